"""Which scans of a progressive JPEG a frame can show; the others are cut out of the file.

A progressive JPEG stores a picture in some ten scans: first a coarse picture, then finer waves,
then the last bits of everything. Decoding them takes most of the time, and most of what they add is
lost when a photograph is resized to a frame.

A scan is kept if it changes the frame enough for the time that it takes. Both are estimated from
the scan itself: its bytes, which coefficients and bits it holds, and their quantisers. Differences
of several scans add up in squares, so what counts is the square of the change per unit of time.

The constants are fitted to photographs, pages of text and drawings, at frames of 32 to 224 pixels:
the estimates need not be exact, only right about which scans matter.
"""

from math import pi, sqrt
from typing import NamedTuple

from tweetprofile.decoders.formats import is_complete
from tweetprofile.decoders.jpeg_scans import (
    COEFFICIENTS,
    IrregularJpegError,
    Picture,
    Scan,
    read_picture,
    read_scan_header,
    read_scans,
)

_WORTH = 1.0
"""The grey levels by which a scan must change a frame if it takes one unit of work: refining the
brightness of one megapixel with 20 bits per block, which takes some 2.5 ms."""

_BITS_OF_VISIT = 8
"""Bits that take as long to decode as visiting a block takes by itself."""

_BITS_OF_WORK = 20 + _BITS_OF_VISIT

_WORK_OF_MEANS = 1 / 16
"""The work of refining the means of all blocks by one bit each."""

_PIXELS = 1_000_000
"""Pictures with fewer pixels take less time, so that a scan of theirs has to change less."""

_BITS_OF_NEW = 6
"""Bits for a coefficient that becomes nonzero with the first scan of its band."""

_BITS_OF_REFINED = 5
"""The same for later scans of a band, which also correct coefficients that are nonzero already."""

_AMPLITUDE_OF_NEW = 1.5
"""The typical amplitude of such a coefficient in a first scan, in units of its lowest bit."""

_LEAST_UNIT = 16
"""With finer quantisers, the amplitudes in a first scan remain those of the picture."""

_LEAST_PASSED = 0.13
"""The least share of its amplitude by which a new band changes a frame, however fine its waves are.
Without them, sharp edges overshoot, are cut off at black or white, and shift the mean of text."""

_MOST_BITS = 80
"""Bits per block of a scan of refinements that is still to come, at most."""

_GUESSED = 10
"""libjpeg-turbo guesses what is left out of the first ten coefficients of a block from the blocks
around it, unless one of their quantisers is 0. That takes a third of the time, and makes a frame no
better."""

_UNKNOWN = -1
"""Stands for the number of bits that a coefficient lacks before its first scan."""

_FREQUENCY = tuple(
    diagonal for diagonal in range(15) for _ in range(min(diagonal + 1, 15 - diagonal))
)
"""The half waves per block of each coefficient, along both axes together."""

_JPEG = b"\xff\xd8\xff"
_END_OF_IMAGE = b"\xff\xd9"


class ShortJpeg(NamedTuple):
    """A progressive JPEG without the scans that a frame cannot show.

    Attributes:
        data: The file.
        width: The width in pixels.
        height: The height in pixels.
        scans: The number of its scans.
        has_metadata: Whether it may have EXIF.
    """

    data: bytes
    width: int
    height: int
    scans: int
    has_metadata: bool


def shorten_jpeg(data: bytes, side: int, *, guesses: bool = False) -> ShortJpeg | None:
    """Return a progressive JPEG without the scans that a frame cannot show.

    Damage to those scans is not noticed, except that the image must have its end.

    Args:
        data: An encoded image of any format.
        side: The longer side of the frame in pixels.
        guesses: Whether libjpeg-turbo may guess what is left out. If not, it decodes faster, but
            the result has a quantiser of 0, which the standard does not allow.

    Returns:
        A complete JPEG; None if the image needs all its scans, is not progressive, or has anything
        irregular before the last scan that is needed.
    """
    if not (data.startswith(_JPEG) and is_complete(data)):
        return None
    try:
        picture = read_picture(data)
        choice = _Choice(data, picture, side)
        for scan in read_scans(data, picture):
            choice.add(scan)
            if choice.is_settled:
                break
        # If a marker got into the data of the last scan, what follows is not regular.
        rest = read_scan_header(data, picture, choice.end)
        if rest is not None:
            choice.require_next(rest)
        elif not choice.is_complete:
            return None
    except IrregularJpegError:
        return None
    if not choice.is_shorter:
        return None
    file = choice.join(guesses=guesses)
    return ShortJpeg(file, picture.width, picture.height, choice.scans, picture.has_metadata)


class _Choice:
    """The scans chosen so far.

    Args:
        data: The encoded image.
        picture: What precedes its first scan.
        side: The longer side of the frame in pixels.
    """

    def __init__(self, data: bytes, picture: Picture, side: int) -> None:
        self._data = data
        self._picture = picture
        self._components = picture.components
        self._blocks = picture.width * picture.height / COEFFICIENTS
        self._relief = min(1.0, sqrt(picture.width * picture.height / _PIXELS))
        self._shrink = min(picture.width, picture.height) / side
        self._scans: list[tuple[Scan, bool]] = []
        # For each component and coefficient, the bits that it lacks: in the file so far, and in the
        # scans that are kept.
        self._sent = [[_UNKNOWN] * COEFFICIENTS for _ in self._components]
        self._kept = [[_UNKNOWN] * COEFFICIENTS for _ in self._components]
        self._unsettled = set(range(len(self._components)))

    @property
    def end(self) -> int:
        """The position after the last scan so far."""
        return self._scans[-1][0].ends

    @property
    def is_complete(self) -> bool:
        """Whether the scans so far hold all of the picture."""
        return all(sent == [0] * COEFFICIENTS for sent in self._sent)

    @property
    def is_shorter(self) -> bool:
        """Whether the scans that are kept lack something of the picture."""
        return any(kept != [0] * COEFFICIENTS for kept in self._kept)

    @property
    def is_settled(self) -> bool:
        """Whether no scan that may follow would be kept."""
        return not self._unsettled

    @property
    def scans(self) -> int:
        """The number of scans that are kept."""
        return sum(keeps for _, keeps in self._scans)

    def add(self, scan: Scan) -> None:
        """Take the next scan of the file, and decide whether to keep it.

        Raises:
            IrregularJpegError: The scan does not continue those before it.
        """
        self.require_next(scan)
        band = slice(scan.first, scan.last + 1)
        before, after = [scan.high or _UNKNOWN], [scan.low]
        width = scan.last + 1 - scan.first
        keeps = all(self._kept[index][band] == before * width for index in scan.components)
        keeps = keeps and self._is_worth(scan, scan.ends - scan.begins)
        for index in scan.components:
            self._sent[index][band] = after * width
            if keeps:
                self._kept[index][band] = after * width
            if min(self._sent[index]) > _UNKNOWN and not self._may_refine(index):
                self._unsettled.discard(index)
        self._scans.append((scan, keeps))

    def require_next(self, scan: Scan) -> None:
        """Raise IrregularJpegError if a scan does not continue those so far."""
        if scan.high and scan.low != scan.high - 1:
            raise IrregularJpegError
        before = [scan.high or _UNKNOWN] * (scan.last + 1 - scan.first)
        for index in scan.components:
            is_begun = scan.first == 0 or self._sent[index][0] > _UNKNOWN
            if not is_begun or self._sent[index][scan.first : scan.last + 1] != before:
                raise IrregularJpegError

    def join(self, *, guesses: bool) -> bytes:
        """Return the scans that are kept, with all tables before the last of them."""
        last = max(number for number, (_, keeps) in enumerate(self._scans) if keeps)
        file = memoryview(self._data)
        parts = [
            file[scan.segments_begin : scan.ends if keeps else scan.begins]
            for scan, keeps in self._scans[: last + 1]
        ]
        return b"".join([self._header(guesses=guesses), *parts, _END_OF_IMAGE])

    def _is_worth(self, scan: Scan, size: int) -> bool:
        """Return whether a scan of `size` bytes changes the frame enough for its time."""
        if scan.first == 0:
            work = _WORK_OF_MEANS * self._relief
            return not scan.high or self._gain_of_means(scan) > _WORTH * sqrt(work)
        blocks = self._components[scan.components[0]].blocks
        bits = 8 * size / blocks
        work = blocks / self._blocks * (bits + _BITS_OF_VISIT) / _BITS_OF_WORK * self._relief
        if not scan.high:
            work /= 2  # a first scan has no earlier bits to look at
        return self._gain_of_waves(scan, bits) > _WORTH * sqrt(work)

    def _gain_of_means(self, scan: Scan) -> float:
        """Return the grey levels by which a frame is too dark without a refinement of the means."""
        units = [self._quantiser(index, 0) << scan.low for index in scan.components]
        return sqrt(sum(unit**2 for unit in units)) / 2 / 8

    def _gain_of_waves(self, scan: Scan, bits: float) -> float:
        """Return the grey levels by which a frame changes without a scan of `bits` per block.

        The bits tell how many coefficients of a block change, and the quantisers by how much. The
        resize averages a wave away: a gradient across blocks with its length, and finer waves with
        the square of it.
        """
        (index,) = scan.components
        typical = scan.first + ((scan.last - scan.first) // 16 if scan.high else 0)
        unit = self._quantiser(index, typical) << scan.low
        frequency = _FREQUENCY[typical]
        waves = self._shrink / self._components[index].spacing * frequency / 16
        passed = 1 / (1 + (pi * waves) ** min(frequency, 2))
        if scan.high:
            return sqrt(bits / _BITS_OF_REFINED) * unit / 8 * passed
        amplitude = _AMPLITUDE_OF_NEW * max(unit, _LEAST_UNIT)
        return sqrt(bits / _BITS_OF_NEW) * amplitude / 8 * max(passed, _LEAST_PASSED)

    def _may_refine(self, index: int) -> bool:
        """Return whether a refinement of a component that is still to come could be kept."""
        for first, last in ((0, 0), (1, COEFFICIENTS - 1)):
            lacking = max(self._kept[index][first : last + 1])
            if lacking > 0 and lacking == max(self._sent[index][first : last + 1]):
                refinement = Scan(0, 0, 0, (index,), first, last, lacking, lacking - 1)
                if self._is_worth(refinement, self._components[index].blocks * _MOST_BITS // 8):
                    return True
        return False

    def _quantiser(self, index: int, coefficient: int) -> int:
        table = self._components[index].table
        return self._data[self._picture.quantisers[table] + coefficient]

    def _header(self, *, guesses: bool) -> bytes:
        header = bytearray(self._data[: self._picture.scans_begin])
        if not guesses and (position := self._unused_quantiser()) is not None:
            header[position] = 0
        return bytes(header)

    def _unused_quantiser(self) -> int | None:
        """Return the position of a quantiser, among those that switch off guessing, without use.

        If all are in use, it is that of fine waves of the colours, if these are stored at half
        their size: that changes a frame of 112 pixels by 0.01 grey levels.
        """
        for table, position in self._picture.quantisers.items():
            users = [index for index, each in enumerate(self._components) if each.table == table]
            for coefficient in range(_GUESSED - 1, 0, -1):
                if users and all(self._kept[user][coefficient] == _UNKNOWN for user in users):
                    return position + coefficient
        for table, position in self._picture.quantisers.items():
            spacings = [each.spacing for each in self._components if each.table == table]
            if spacings and min(spacings) > 1:
                return position + _GUESSED - 1
        return None
