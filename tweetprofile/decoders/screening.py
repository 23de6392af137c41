"""Header checks before any decoder sees a byte.

DALI decodes a batch as one: an image whose header it cannot parse takes the whole batch, and in
DALI 2.4 often the process, with it; a header that claims 400 megapixels is believed. So only what
passes here goes to DALI, and the rest goes to Pillow, which fails one image at a time.
"""

import zlib

from tweetprofile.decoders.bounds import fits, why_excessive
from tweetprofile.errors import OptionError, Reason

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"

_READ: tuple[tuple[int, bytes], ...] = (
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

_NOT_READ: tuple[tuple[int, bytes], ...] = (
    (4, b"ftyp"),  # HEIF; AVIF, where Pillow was built without it
    (0, b"\x00\x00\x00\x0cJXL "),
    (0, b"\xff\x0a"),  # JPEG XL
    (0, b"v/1\x01"),  # OpenEXR
    (0, b"#?RADIANCE"),
)

_JPEG_TAIL = 4096
"""Bytes at the end in which a complete JPEG has its end marker; some tools pad after it."""


_MAX_CHUNKS = 10_000
"""Of a PNG that its ends may vouch for; 64 MB in chunks of 8 kB are 8,192."""


def why_unidentified(data: bytes) -> Reason:
    """Why no decoder takes `data`, going by its first bytes and its end."""
    if is_cut(data):
        return Reason.TRUNCATED
    if any(data.startswith(magic, offset) for offset, magic in _READ):
        return Reason.CORRUPT
    if any(data.startswith(magic, offset) for offset, magic in _NOT_READ):
        return Reason.UNSUPPORTED_FORMAT
    return Reason.NOT_AN_IMAGE


def is_cut(data: bytes) -> bool:
    """Whether a JPEG, PNG or WebP lacks its end for certain; False for all else."""
    if data.startswith(_JPEG):
        return b"\xff\xd9" not in data
    if data.startswith(_PNG):
        return b"IEND" not in data
    return _is_webp(data) and not _has_riff_length(data)


class HeaderScreen:
    """Tells which images are safe to hand to DALI: JPEG, PNG and WebP, complete and in bounds.

    The header is parsed by nvImageCodec, whose parsers DALI uses too (some 4 us an image).

    Args:
        max_pixels: images of more are not passed.

    Raises:
        OptionError: nvImageCodec is not installed.
    """

    def __init__(self, max_pixels: int) -> None:
        try:
            from nvidia import nvimgcodec  # noqa: PLC0415 - heavy, and only on Linux
        except ImportError:
            raise OptionError(
                "decoder 'dali' needs the package nvidia-dali-cuda130, which is for Linux; "
                "install it or use --decoder pillow."
            ) from None
        self._parse = nvimgcodec.CodeStream
        self._max_pixels = max_pixels

    def count_pixels(self, data: bytes) -> int:
        """Height x width of an image that passes, else 0.

        One passes that is complete as far as its ends tell, and whose header is sane.
        """
        if not is_complete(data) or why_excessive(data, self._max_pixels) is not None:
            return 0
        return self._pixels_of_header(data)

    def _pixels_of_header(self, data: bytes) -> int:
        try:
            header = self._parse(data)
            height, width = header.height, header.width
            channels, dtype = header.num_channels, header.dtype
            codec = header.codec_name
        except (RuntimeError, TypeError, ValueError):
            return 0
        if codec == "jpeg" and channels not in (1, 3):
            return 0  # CMYK without Adobe's marker comes out far off
        if dtype != "uint8" or not fits(width, height, self._max_pixels):
            return 0
        return int(height * width)


def is_complete(data: bytes) -> bool:
    """Whether `data` is a JPEG, PNG or WebP that is whole, as far as its ends tell.

    Of a PNG, every checksum is compared too. False for all other formats.
    """
    if data.startswith(_JPEG):
        return data.rfind(b"\xff\xd9", max(0, len(data) - _JPEG_TAIL)) > 0
    if data.startswith(_PNG):
        return data.endswith(b"IEND\xaeB`\x82") and _has_sound_chunks(data)
    return _is_webp(data) and _has_riff_length(data)


def _has_sound_chunks(data: bytes) -> bool:
    """Whether every chunk of a PNG has its checksum: DALI decodes some damage into noise."""
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


def _has_riff_length(data: bytes) -> bool:
    return int.from_bytes(data[4:8], "little") + 8 <= len(data)
