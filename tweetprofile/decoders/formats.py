"""The image formats: which of them are decoded, and what the bytes of an image show about it.

A new format is added here. Pillow decodes every format of its own that `REFUSED_FORMATS` does not
name, so a format that a newer Pillow reads only needs its signature moved from
`_UNSUPPORTED_SIGNATURES` to `_DECODED_SIGNATURES`, and an image in `good_images` of
`tests/conftest.py`.
"""

import zlib

from PIL import Image

from tweetprofile.data.manifests.users import Encoded
from tweetprofile.errors import Reason

REFUSED_FORMATS = frozenset({"EPS", "IPTC", "WMF"})
"""Formats of Pillow that are never tried, because nobody posts them as images.

EPS starts Ghostscript, IPTC opens its content as any other format (EPS among them), and WMF needs
Windows.
"""

HEADER_CHECKED_FORMATS = ("JPEG", "PNG", "WEBP")
"""The formats that `is_complete` knows, by Pillow's names; a JPEG of several pictures is an MPO."""

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"

_DECODED_SIGNATURES: tuple[tuple[int, bytes], ...] = (
    (0, _JPEG),
    (0, _PNG),
    (0, b"GIF8"),
    (8, b"WEBP"),
    (0, b"BM"),
    (0, b"II*\x00"),  # TIFF, both byte orders
    (0, b"MM\x00*"),
    (0, b"II+\x00"),  # BigTIFF
    (0, b"MM\x00+"),
    (0, b"\x00\x00\x01\x00"),  # ICO
    (0, b"\x00\x00\x00\x0cjP  "),  # JPEG 2000
    (0, b"\xff\x4f\xff\x51"),
    (0, b"8BPS"),
    (0, b"qoif"),
    (0, b"DDS "),
)
"""Offset and first bytes of formats that are decoded; such an image, if refused, is corrupt."""

_UNSUPPORTED_SIGNATURES: tuple[tuple[int, bytes], ...] = (
    (4, b"ftyp"),  # HEIF; also AVIF, if Pillow was built without it
    (0, b"\x00\x00\x00\x0cJXL "),
    (0, b"\xff\x0a"),  # JPEG XL
    (0, b"v/1\x01"),  # OpenEXR
    (0, b"#?RADIANCE"),
)
"""Offset and first bytes of image formats that are not decoded."""

_LONGEST_START = 12
"""Bytes that tell JPEG, PNG and WebP apart."""

_JPEG_END = b"\xff\xd9"
_PNG_END = b"IEND\xaeB`\x82"

_JPEG_TAIL = 4096
"""Bytes at the end of a complete JPEG that contain its end marker; some tools add padding."""

_MAX_CHUNKS = 10_000
"""Chunks of a PNG whose checksums are compared; a PNG of 64 MB in chunks of 8 kB has 8,192."""


def pillow_formats() -> tuple[str, ...]:
    """Return the formats that Pillow may try an image as."""
    Image.init()
    return tuple(name for name in Image.ID if name not in REFUSED_FORMATS)


def why_unidentified(data: bytes) -> Reason:
    """Return why no decoder recognises `data`, according to its first bytes and its end."""
    if is_cut(data):
        return Reason.TRUNCATED
    if any(data.startswith(magic, offset) for offset, magic in _DECODED_SIGNATURES):
        return Reason.CORRUPT
    if any(data.startswith(magic, offset) for offset, magic in _UNSUPPORTED_SIGNATURES):
        return Reason.UNSUPPORTED_FORMAT
    return Reason.NOT_AN_IMAGE


def is_cut(data: bytes) -> bool:
    """Return whether a JPEG, PNG or WebP certainly lacks its end; False for all other formats."""
    if data.startswith(_JPEG):
        return _JPEG_END not in data
    if data.startswith(_PNG):
        return b"IEND" not in data
    return _is_webp(data) and _riff_length(data) > len(data)


def is_complete(data: Encoded) -> bool:
    """Return whether `data` is a JPEG, PNG or WebP that is complete, as far as its ends show.

    The checksums of a PNG are compared as well. False for all other formats.
    """
    start = bytes(data[:_LONGEST_START])
    if start.startswith(_JPEG):
        return bytes(data[-_JPEG_TAIL:]).rfind(_JPEG_END) >= 0
    if start.startswith(_PNG):
        return data[-len(_PNG_END) :] == _PNG_END and _has_valid_checksums(data)
    return _is_webp(start) and _riff_length(start) <= len(data)


def _has_valid_checksums(data: Encoded) -> bool:
    """Return whether the checksums of a PNG are right; DALI decodes some damage into noise."""
    view = memoryview(data)
    start = len(_PNG)
    for _ in range(_MAX_CHUNKS):
        if start + 12 > len(data):
            break
        end = start + 8 + int.from_bytes(view[start : start + 4], "big")
        if zlib.crc32(view[start + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return False
        start = end + 4
    return start == len(data)


def _is_webp(data: bytes) -> bool:
    return data.startswith(b"RIFF") and data.startswith(b"WEBP", 8)


def _riff_length(data: bytes) -> int:
    return int.from_bytes(data[4:8], "little") + 8
