"""What decoding an image may cost, told from its bytes before a decoder sees them.

An image may be small in every way that a pixel cap looks at and still take minutes: a progressive
JPEG repeats its scans, a header hides behind millions of empty segments, a picture of 1 x 40
million pixels is stretched over gigabytes. What passes here takes seconds at most in the formats
that people post; for everything else there is the deadline of `max_image_seconds`.
"""

import io
import struct

from tweetprofile.decoders.jpeg_headers import JpegHeader, OverlongHeaderError, read_jpeg_header
from tweetprofile.decoders.tiff_headers import read_tiff_tags
from tweetprofile.errors import ImageError, Reason

MAX_SIDE = 65_535
"""Pixels of an image's width or height; JPEG and GIF hold no more.

Resizing stretches one side first: a strip of 1 x 40 million pixels would fill 13 GB in between.
"""

MAX_SCAN_PIXELS = 1_000_000_000
"""Scans of a JPEG times its pixels: 25 scans of 40 megapixels, where encoders write 10.

Each scan visits every pixel, which takes 0.3 to 1.6 ns by its kind: at the cap, some 1.5 s.
"""

MAX_READS = 100_000
"""Times that a parser may ask for more bytes of an image.

Pillow parses in Python, in 1 to 10 us a read. A PNG of 64 MB in chunks of 8 kB takes 25,000 reads.
"""

MAX_TAG_VALUES = 262_144
"""Values of one TIFF tag. The longest honest one, the palette of a 16-bit image, has 196,608."""

_PIXELS_TO_BEGIN = 10_000
"""What the beginning of a scan costs, in pixels: so tiny images cannot have millions of them."""

_PSD = b"8BPS"


class CountedFile(io.BytesIO):
    """An encoded image that raises when it is read in too many pieces.

    Most parsers of image headers are Python code and read a few bytes at a time, so this ends
    whatever loop an image has them run.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as `io.BytesIO` does.

        Raises:
            ImageError: `too_slow`, after `MAX_READS` calls.
        """
        self._count()
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line as `io.BytesIO` does, counted as `read` is."""
        self._count()
        return super().readline(size)

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ImageError(Reason.TOO_SLOW)


def fits(width: int, height: int, max_pixels: int) -> bool:
    """Whether an image of this size may be decoded."""
    return max(width, height) <= MAX_SIDE and width * height <= max_pixels


def why_excessive(data: bytes, max_pixels: int) -> Reason | None:
    """Why an image must not be decoded, going by its bytes alone; None where nothing is wrong.

    Of an ordinary JPEG it looks at a dozen header segments, in some 5 us; of other images, at less.
    """
    try:
        header = read_jpeg_header(data)
    except OverlongHeaderError:
        return Reason.TOO_SLOW
    if header is not None:
        return _why_excessive_jpeg(header, data, max_pixels)
    if data.startswith(_PSD) and len(data) >= 22:  # Pillow loops over its rows to open it
        height, width = struct.unpack_from(">II", data, 14)
        return None if fits(width, height, max_pixels) else Reason.TOO_LARGE
    return _why_excessive_tiff(data, max_pixels)


def _why_excessive_jpeg(header: JpegHeader, data: bytes, max_pixels: int) -> Reason | None:
    if not fits(header.width, header.height, max_pixels):
        return Reason.TOO_LARGE
    pixels = max(header.width * header.height, _PIXELS_TO_BEGIN)
    return Reason.TOO_SLOW if header.count_scans(data) * pixels > MAX_SCAN_PIXELS else None


def _why_excessive_tiff(data: bytes, max_pixels: int) -> Reason | None:
    # Pillow makes Python objects of numbers: 5 GB of 16 million strip offsets. And libtiff holds a
    # whole tile in memory, however small the image is.
    tile_sides: list[int] = []
    for tag in read_tiff_tags(data):
        if tag.values > MAX_TAG_VALUES and not tag.is_bytes:
            return Reason.TOO_SLOW
        if tag.is_tile_side:
            tile_sides.append(tag.value)
    width, height = max(tile_sides, default=0), min(tile_sides, default=0)
    return None if fits(width, height, max_pixels) else Reason.TOO_LARGE
