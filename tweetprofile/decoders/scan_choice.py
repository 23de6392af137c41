"""Which scans of a progressive JPEG a frame can show: the others are cut out of the file.

A progressive JPEG stores a picture in some ten scans: first a coarse picture, then finer details,
then the last bits of everything. A frame is far smaller than most photographs, so that most of this
is lost in the resize. But decoding it takes two thirds of the time.

A scan is kept if leaving it out would change the frame by more than it is worth. What it adds is
estimated from the scan itself: from its number of bytes, its coefficients, their quantisers, and
the bits that it sends; see `_gain_of`. Measured changes are in `benchmarks/results/`.
"""

from math import pi, sqrt

from tweetprofile.decoders.formats import is_complete
from tweetprofile.decoders.jpeg_scans import (
    COEFFICIENTS,
    IrregularJpegError,
    Picture,
    Scan,
    read_picture,
    read_scans,
)

_WORTH = 0.85
"""The grey levels by which a scan must change the frame if decoding it takes as long as a typical
refinement of the brightness, 2.3 ms per megapixel; others by the square root of their time."""

_PIXELS = 1_000_000
_WORK_OF_MEANS = 1 / 16
_BITS_OF_WORK = 28
_BITS_OF_VISIT = 8
_LEAST_PASSED = 0.11
_LEAST_UNIT = 16
_BITS_OF_NEW = 6
_BITS_OF_REFINED = 5
_NEW = 1.5
_MOST_BITS = 80
"""Bits per block that a scan of refinements takes at most; it decides when reading can end."""

_SMOOTHED = 10
"""libjpeg-turbo guesses the low bits of the first ten coefficients of a block from its neighbours,
unless one of their quantisers is 0. That takes a quarter of the time and does not help a frame."""

_UNSENT = -1

_DIAGONAL = tuple(
    diagonal for diagonal in range(15) for _ in range(min(diagonal + 1, 15 - diagonal))
)
"""For each coefficient, the sum of its horizontal and vertical frequency, in half waves per block.
"""

_JPEG = b"\xff\xd8\xff"
_END_OF_IMAGE = b"\xff\xd9"


def shorten_jpeg(data: bytes, side: int, *, unsmoothed: bool = True) -> bytes | None:
    """Return a progressive JPEG without the scans that a frame cannot show.

    Args:
        data: The encoded image.
        side: The longer side of the frame in pixels.
        unsmoothed: Whether to keep libjpeg-turbo from guessing what is left out. It then decodes
            faster, but a quantiser is 0, which the standard does not allow.

    Returns:
        The shortened image, which decodes as a JPEG of its own; None if all of the image is needed,
        or if that cannot be judged.
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
    except IrregularJpegError:
        return None
    return choice.join(unsmoothed=unsmoothed) if choice.is_shorter else None


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
        self._pixels = picture.width * picture.height
        self._scale = min(1.0, sqrt(self._pixels / _PIXELS))
        self._shrink = min(picture.width, picture.height) / side
        self._scans: list[tuple[Scan, bool]] = []
        # For each component and coefficient the number of bits that it lacks, in the file so far
        # and in the scans kept.
        self._sent = [[_UNSENT] * COEFFICIENTS for _ in picture.components]
        self._kept = [[_UNSENT] * COEFFICIENTS for _ in picture.components]

    def add(self, scan: Scan) -> None:
        """Take the next scan of the file, and decide whether to keep it.

        Raises:
            IrregularJpegError: The scan does not follow from those before it.
        """
        band = slice(scan.first, scan.last + 1)
        before = [_UNSENT if not scan.high else scan.high] * (scan.last + 1 - scan.first)
        if scan.high and scan.low != scan.high - 1:
            raise IrregularJpegError
        for index in scan.components:
            if self._sent[index][band] != before or (scan.first and self._sent[index][0] < 0):
                raise IrregularJpegError
        keeps = all(self._kept[index][band] == before for index in scan.components)
        keeps = keeps and self._is_worth(scan, scan.ends - scan.begins)
        after = [scan.low] * len(before)
        for index in scan.components:
            self._sent[index][band] = after
            if keeps:
                self._kept[index][band] = after
        self._scans.append((scan, keeps))

    @property
    def is_shorter(self) -> bool:
        """Whether the scans kept lack something of the picture."""
        return any(kept != [0] * COEFFICIENTS for kept in self._kept)

    @property
    def is_settled(self) -> bool:
        """Whether no further scan would be kept, whatever it is."""
        return all(
            min(sent) >= 0 and not self._may_refine(index) for index, sent in enumerate(self._sent)
        )

    def join(self, *, unsmoothed: bool) -> bytes:
        """Return the scans that are kept, with all tables before the last of them."""
        last = max(number for number, (_, keeps) in enumerate(self._scans) if keeps)
        file = memoryview(self._data)
        parts = [
            file[scan.segments_begin : scan.ends if keeps else scan.begins]
            for scan, keeps in self._scans[: last + 1]
        ]
        return b"".join([self._header(unsmoothed=unsmoothed), *parts, _END_OF_IMAGE])

    def _is_worth(self, scan: Scan, size: int) -> bool:
        """Return whether a scan of `size` bytes changes the frame enough to be decoded."""
        if scan.first == 0:
            work = _WORK_OF_MEANS * self._scale
            return not scan.high or self._gain_of_means(scan) > _WORTH * sqrt(work)
        (index,) = scan.components
        blocks = self._picture.components[index].blocks
        bits = 8 * size / blocks
        work = (
            self._scale
            * blocks
            * COEFFICIENTS
            / self._pixels
            * (bits + _BITS_OF_VISIT)
            / _BITS_OF_WORK
            / (1 if scan.high else 2)
        )
        return self._gain_of(scan, bits) > _WORTH * sqrt(work)

    def _gain_of_means(self, scan: Scan) -> float:
        """Return the grey levels by which a frame is too dark without a refinement of the means."""
        units = [self._quantiser(index, 0) * 2**scan.low for index in scan.components]
        return sqrt(sum(unit**2 for unit in units)) / 2 / 8

    def _gain_of(self, scan: Scan, bits: float) -> float:
        """Return the grey levels by which a frame changes without a scan of `bits` per block.

        The bits tell how many coefficients of a block the scan changes, and the quantisers by how
        much. Such a wave passes the resize, which averages over several waves, to a part.
        """
        (index,) = scan.components
        typical = scan.first + (scan.last // 16 if scan.high else 0)
        unit = self._quantiser(index, typical) * 2**scan.low
        if scan.high:
            amplitude = sqrt(bits / _BITS_OF_REFINED) * unit / 8
        else:
            amplitude = sqrt(bits / _BITS_OF_NEW) * _NEW * max(unit, _LEAST_UNIT) / 8
        waves = self._shrink / self._picture.components[index].spacing * _DIAGONAL[typical] / 16
        passed = 1 / (1 + (pi * waves) ** min(_DIAGONAL[typical], 2))
        return amplitude * (passed if scan.high else max(passed, _LEAST_PASSED))

    def _may_refine(self, index: int) -> bool:
        """Return whether a refinement of a component that is still to come could be kept."""
        for first, last in ((0, 0), (1, COEFFICIENTS - 1)):
            lacking = max(self._kept[index][first : last + 1])
            if lacking > 0 and lacking == max(self._sent[index][first : last + 1]):
                rest = Scan(0, 0, 0, (index,), first, last, lacking, lacking - 1)
                size = self._picture.components[index].blocks * _MOST_BITS // 8
                if self._is_worth(rest, size):
                    return True
        return False

    def _quantiser(self, index: int, coefficient: int) -> int:
        table = self._picture.components[index].table
        return self._data[self._picture.quantisers[table] + coefficient]

    def _header(self, *, unsmoothed: bool) -> bytes:
        header = self._data[: self._picture.scans_begin]
        position = self._unneeded_quantiser() if unsmoothed else None
        return header if position is None else header[:position] + b"\x00" + header[position + 1 :]

    def _unneeded_quantiser(self) -> int | None:
        """Return the position of a quantiser, among those that switch off smoothing, without use.

        If every coefficient is used, it is that of the finest waves of the colours, if these are
        stored at half the size, where they are too fine for a frame.
        """
        components = self._picture.components
        for table, position in self._picture.quantisers.items():
            users = [index for index, each in enumerate(components) if each.table == table]
            for coefficient in range(_SMOOTHED - 1, 0, -1):
                if users and all(self._kept[user][coefficient] < 0 for user in users):
                    return position + coefficient
        for table, position in self._picture.quantisers.items():
            spacings = [each.spacing for each in components if each.table == table]
            if spacings and min(spacings) > 1:
                return position + _SMOOTHED - 1
        return None
