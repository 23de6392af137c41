"""The scans of a progressive JPEG: where each of them is, and what it adds to the picture.

Only regular files are read. Whatever the standard (ITU-T T.81) does not provide for, or encoders do
not write, ends the reading with an `IrregularJpegError`, and the image is then decoded as a whole.
"""

import re
from collections.abc import Iterator
from struct import Struct, error
from typing import NamedTuple

_PROGRESSIVE = 0xC2
_HUFFMAN_TABLE = 0xC4
_END = 0xD9
_SCAN = 0xDA
_QUANTISERS = 0xDB
_RESTART_INTERVAL = 0xDD
_COMMENT = 0xFE
_APPLICATION = frozenset(range(0xE0, 0xF0))
_METADATA = frozenset({0xE1, 0xE2})

_BEFORE_SCANS = {_HUFFMAN_TABLE, _QUANTISERS, _RESTART_INTERVAL, _COMMENT, *_APPLICATION}
_BETWEEN_SCANS = {_HUFFMAN_TABLE, _RESTART_INTERVAL, _COMMENT}
# A table of quantisers between two scans would apply to some components and not to others.

_MAX_SEGMENTS = 1000
"""The largest number of segments before a scan; encoders write a few dozen at most."""

_MAX_SCANS = 100
"""The largest number of scans that are looked at; encoders write 3 to 20."""

_END_OF_IMAGE = b"\xff\xd9"

_FRAME = Struct(">BHHB")
_PRECISION = 8

COEFFICIENTS = 64
"""The coefficients of a block of 8 x 8 samples, by rising frequency; the first is the mean."""

_END_OF_DATA = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""The first marker after the data of a scan. Within it, FF is followed by 00, by a restart marker,
or, as padding, by another FF."""


class IrregularJpegError(Exception):
    """A JPEG is not progressive, or has something in its structure that encoders do not write."""


class Component(NamedTuple):
    """A component of the picture: its brightness, or one of its two colour differences.

    Attributes:
        identifier: The number by which scans name it.
        spacing: The width in pixels of what one of its samples stands for; 2 for colours that are
            stored at half the size.
        blocks: The number of its blocks of 8 x 8 samples.
        table: The number of its table of quantisers.
    """

    identifier: int
    spacing: int
    blocks: int
    table: int


class Picture(NamedTuple):
    """What the header of a progressive JPEG says about all its scans.

    Attributes:
        width: The width in pixels.
        height: The height in pixels.
        components: The components.
        quantisers: For each table, by its number, the position of its 64 bytes in the file.
        has_metadata: Whether it may have EXIF, or say that other pictures follow.
        scans_begin: The position of the first scan.
    """

    width: int
    height: int
    components: tuple[Component, ...]
    quantisers: dict[int, int]
    has_metadata: bool
    scans_begin: int


class Scan(NamedTuple):
    """One scan: some bits of some coefficients of some components.

    Attributes:
        segments_begin: The position of the tables that precede it, which may serve later scans too.
        begins: The position of its header.
        ends: The position after its data.
        components: The indices of its components in `Picture.components`.
        first: Its first coefficient, 0 to 63; 0 only if it is also the last.
        last: Its last coefficient.
        high: The number of low bits that these coefficients lacked before this scan; 0 if nothing
            was known about them.
        low: The number of low bits that they still lack after it.
    """

    segments_begin: int
    begins: int
    ends: int
    components: tuple[int, ...]
    first: int
    last: int
    high: int
    low: int


def read_picture(data: bytes) -> Picture:
    """Return what precedes the first scan of a progressive JPEG.

    Raises:
        IrregularJpegError: It is not a regular progressive JPEG of 8 bits per sample.
    """
    frame = -1
    has_metadata = False
    quantisers: dict[int, int] = {}
    end = 2
    for _ in range(_MAX_SEGMENTS):
        marker, start, end = _read_segment(data, end)
        if marker == _SCAN and frame >= 0:
            width, height, components = _read_frame(data, frame)
            if any(each.table not in quantisers for each in components):
                raise IrregularJpegError
            return Picture(width, height, components, quantisers, has_metadata, start - 4)
        if marker == _PROGRESSIVE and frame < 0:
            frame = start
        elif marker == _QUANTISERS:
            quantisers |= _find_quantisers(data, start, end)
        elif marker in _METADATA:
            has_metadata = True
        elif marker not in _BEFORE_SCANS:
            raise IrregularJpegError
    raise IrregularJpegError


def read_scans(data: bytes, picture: Picture) -> Iterator[Scan]:
    """Yield the scans of a progressive JPEG, in their order, up to its end marker.

    No more of the file is looked at than the scans that are taken.

    Raises:
        IrregularJpegError: The file is not regular from here on.
    """
    position = picture.scans_begin
    for _ in range(_MAX_SCANS):
        scan = read_scan_header(data, picture, position)
        if scan is None:
            return
        found = _END_OF_DATA.search(data, scan.ends)
        if found is None:
            raise IrregularJpegError
        position = found.start()
        yield scan._replace(ends=position)
    raise IrregularJpegError


def read_scan_header(data: bytes, picture: Picture, position: int) -> Scan | None:
    """Return the scan whose tables or header begin at a position, which ends with its header.

    None if the image ends there.

    Raises:
        IrregularJpegError: There is something else, or the header is not regular.
    """
    header = _find_scan(data, position)
    if header is None:
        return None
    start, end = header
    components, bits = _read_scan_fields(data, start, end, picture)
    return Scan(position, start - 4, end, components, *bits)


def _find_scan(data: bytes, position: int) -> tuple[int, int] | None:
    """Return the start and the end of the next scan's header; None at the end of the image."""
    end = position
    for _ in range(_MAX_SEGMENTS):
        marker, start, end = _read_segment(data, end)
        if marker == _SCAN:
            return start, end
        if marker == _END:
            return None
        if marker not in _BETWEEN_SCANS:
            raise IrregularJpegError
    raise IrregularJpegError


def _read_segment(data: bytes, position: int) -> tuple[int, int, int]:
    """Return the marker at a position, and the start and the end of the content that follows it."""
    head = data[position : position + 4]
    if head[:2] == _END_OF_IMAGE:
        return _END, position + 2, position + 2
    if len(head) < 4 or head[0] != 0xFF:
        raise IrregularJpegError
    length = head[2] << 8 | head[3]
    end = position + 2 + length
    if length < 2 or end > len(data):
        raise IrregularJpegError
    return head[1], position + 4, end


def _read_frame(data: bytes, start: int) -> tuple[int, int, tuple[Component, ...]]:
    """Return width, height and components from the content of a frame header."""
    try:
        precision, height, width, count = _FRAME.unpack_from(data, start)
        rows = [data[at : at + 3] for at in range(start + 6, start + 6 + 3 * count, 3)]
        across = [row[1] >> 4 for row in rows]
        down = [row[1] & 15 for row in rows]
        most_across, most_down = max(across), max(down)
        components = tuple(
            Component(
                row[0],
                max(most_across // x, most_down // y),
                -(-width * x // (8 * most_across)) * -(-height * y // (8 * most_down)),
                row[2],
            )
            for row, x, y in zip(rows, across, down, strict=True)
        )
    except (error, IndexError, ValueError, ZeroDivisionError):
        raise IrregularJpegError from None
    if precision != _PRECISION or not width or not height or count not in (1, 3):
        raise IrregularJpegError
    return width, height, components


def _find_quantisers(data: bytes, start: int, end: int) -> dict[int, int]:
    """Return the position of each table in a segment of quantisers."""
    found: dict[int, int] = {}
    while start < end:
        if data[start] > 3:  # a table of 16 bits per quantiser, or no table
            raise IrregularJpegError
        found[data[start]] = start + 1
        start += 1 + COEFFICIENTS
    if start != end:
        raise IrregularJpegError
    return found


def _read_scan_fields(
    data: bytes, start: int, end: int, picture: Picture
) -> tuple[tuple[int, ...], tuple[int, int, int, int]]:
    """Return the components of a scan, and `first`, `last`, `high` and `low`."""
    count = (end - start - 4) // 2
    if count < 1 or end - start != 4 + 2 * count or data[start] != count:
        raise IrregularJpegError
    identifiers = [each.identifier for each in picture.components]
    try:
        indices = tuple(identifiers.index(data[start + 1 + 2 * each]) for each in range(count))
    except ValueError:
        raise IrregularJpegError from None
    first, last, bits = data[end - 3 : end]
    if first > last or last >= COEFFICIENTS or (not first) != (not last):
        raise IrregularJpegError
    if first and count > 1:
        raise IrregularJpegError
    return indices, (first, last, bits >> 4, bits & 15)
