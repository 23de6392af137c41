"""The header of a JPEG, as far as it shows how much work the image is to decode."""

import re
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

_JPEG = b"\xff\xd8\xff"

_START_OF_SCAN = 0xDA
_APP1 = 0xE1
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE_FRAMES = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})

_SEGMENT = Struct(">BBH")
_FRAME = Struct(">xHHB")
_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)

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
        scans_begin: The position of the first scan in the file.
        may_repeat: Whether a decoder looks for further scans after the first.
    """

    width: int
    height: int
    scans_begin: int
    may_repeat: bool

    def count_scans(self, data: bytes) -> int:
        """Count the scans of `data`, the image with this header."""
        return data.count(b"\xff\xda", self.scans_begin) if self.may_repeat else 1


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """Return the header of a JPEG; None if `data` is not a JPEG, or lacks a frame or a scan.

    Raises:
        OverlongHeaderError: The header is too long; finding out takes milliseconds.
    """
    if not data.startswith(_JPEG):
        return None
    height = width = components = exif = 0
    progressive = False
    for marker, start, size in _segments(data):
        if marker == _START_OF_SCAN and components:
            several = start < len(data) and data[start] < components
            return JpegHeader(width, height, start - 4, progressive or several)
        if marker in _FRAMES and size >= 6 and start + 6 <= len(data):
            height, width, components = _FRAME.unpack_from(data, start)
            progressive = marker in _PROGRESSIVE_FRAMES
        elif marker == _APP1 and data.startswith(b"Exif", start):
            exif += size
            if exif > _MAX_EXIF:
                raise OverlongHeaderError
    return None


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the marker of each segment, and the start and size of its payload."""
    position, padding, end = 2, 0, len(data) - 6
    for _ in range(_MAX_SEGMENTS):
        if position > end:
            return
        lead, marker, size = _SEGMENT.unpack_from(data, position)
        if lead != 0xFF or marker in (0x00, 0xFF):
            found = _MARKER.search(data, position, position + _MAX_PADDING + 2)
            following = found.start() if found else len(data)
            padding += following - position
            if padding > _MAX_PADDING:
                raise OverlongHeaderError
            position = following
        elif marker in _WITHOUT_LENGTH:
            position += 2
        else:
            yield marker, position + 4, size - 2
            position += 2 + max(2, size)
    raise OverlongHeaderError
