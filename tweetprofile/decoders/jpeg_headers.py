"""The header of a JPEG, as far as it shows how much work the image is to decode."""

import re
from struct import Struct
from typing import NamedTuple

_JPEG = b"\xff\xd8\xff"

_START_OF_SCAN = 0xDA
_APP1 = 0xE1
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE_FRAMES = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_NO_MARKERS = frozenset({0x00, 0xFF})
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})

_FRAME = Struct(">BHHB")
_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)

_USUAL_HEADER = 4096
"""Bytes that hold the header of nearly every image that Twitter serves."""

_SCAN_HEADER = 8
"""Bytes of a scan's header that are read."""

_MAX_SEGMENTS = 10_000
"""Segments before the first scan; 64 MB of segments of the greatest length are 1,024."""

_MAX_PADDING = 1 << 20
"""Bytes outside any segment. Pillow skips them one by one, in 0.5 us each."""

_MAX_EXIF = 1 << 20
"""Bytes of EXIF. A segment holds 64 kB, and Pillow copies all earlier ones for each it adds."""


class OverlongHeaderError(Exception):
    """A header has more segments, padding or EXIF than a parser should have to read."""


class JpegHeader(NamedTuple):
    """The facts of a JPEG's header that determine how much work the image is to decode.

    Attributes:
        width: The width in pixels.
        height: The height in pixels.
        precision: The bits per sample.
        components: The number of components; 1 for grey, 3 for colour.
        scans_begin: The position of the first scan in the file.
        may_repeat: Whether a decoder looks for further scans after the first.
    """

    width: int
    height: int
    precision: int
    components: int
    scans_begin: int
    may_repeat: bool

    def count_scans(self, data: bytes | memoryview) -> int:
        """Count the scans of `data`, the image with this header."""
        return bytes(data).count(b"\xff\xda", self.scans_begin) if self.may_repeat else 1


def read_jpeg_header(data: bytes | memoryview) -> JpegHeader | None:
    """Return the header of a JPEG; None if `data` is not a JPEG, or lacks a frame or a scan.

    Raises:
        OverlongHeaderError: The header is too long; finding out takes milliseconds.
    """
    if data[: len(_JPEG)] != _JPEG:
        return None
    if isinstance(data, memoryview):  # whose single bytes take twice as long to read
        header = read_jpeg_header(bytes(data[:_USUAL_HEADER]))
        if header is not None and header.scans_begin < _USUAL_HEADER - _SCAN_HEADER:
            return header
        data = bytes(data)
    height = width = precision = components = exif = padding = 0
    progressive = False
    position, end = 2, len(data) - 6
    # Every image comes here, so the segments are read in this loop, byte by byte: a generator that
    # unpacks them takes twice as long.
    for _ in range(_MAX_SEGMENTS):
        if position > end:
            return None
        marker = data[position + 1]
        if data[position] != 0xFF or marker in _NO_MARKERS:
            following = _next_marker(data, position)
            padding += following - position
            if padding > _MAX_PADDING:
                raise OverlongHeaderError
            position = following
            continue
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        start, size = position + 4, (data[position + 2] << 8 | data[position + 3]) - 2
        position = start + size if size > 0 else start
        if marker == _START_OF_SCAN and components:
            several = start < len(data) and data[start] < components
            may_repeat = progressive or several
            return JpegHeader(width, height, precision, components, start - 4, may_repeat)
        if marker in _FRAMES and size >= 6 and start + 6 <= len(data):
            precision, height, width, components = _FRAME.unpack_from(data, start)
            progressive = marker in _PROGRESSIVE_FRAMES
        elif marker == _APP1 and data.startswith(b"Exif", start):
            exif += size
            if exif > _MAX_EXIF:
                raise OverlongHeaderError
    raise OverlongHeaderError


def _next_marker(data: bytes, position: int) -> int:
    """Return the position of the next marker within the padding allowed, or the end of `data`."""
    found = _MARKER.search(data, position, position + _MAX_PADDING + 2)
    return found.start() if found else len(data)
