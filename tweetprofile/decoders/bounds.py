"""Bounds on the work of decoding an image, checked on its bytes before a decoder sees them.

An image can have few pixels and still take minutes to decode: a progressive JPEG repeats its scans,
a header hides behind millions of empty segments, a picture of 1 x 40 million pixels is stretched
over gigabytes. In the formats that people post, an image within these bounds takes seconds at most;
for everything else there is the deadline of `max_image_seconds`.
"""

import io
import struct

from tweetprofile.data.manifests.users import Encoded
from tweetprofile.decoders.jpeg_headers import JpegHeader, OverlongHeaderError, read_jpeg_header
from tweetprofile.decoders.tiff_headers import read_tiff_tags
from tweetprofile.errors import ImageError, Reason

MAX_SIDE = 65_535
"""The largest width or height of an image in pixels; JPEG and GIF allow no more.

Resizing stretches one side first: a strip of 1 x 40 million pixels would take 13 GB in between.
"""

MAX_SCAN_PIXELS = 1_000_000_000
"""The largest product of a JPEG's scans and pixels: 25 scans of 40 megapixels; encoders write 10.

Each scan visits every pixel, which takes 0.3 to 1.6 ns, depending on its kind: about 1.5 s at this
limit.
"""

MAX_READS = 100_000
"""The number of times that a parser may read from one image.

Pillow parses in Python, in 1 to 10 us per read. A PNG of 64 MB in chunks of 8 kB takes 25,000
reads.
"""

MAX_TAG_VALUES = 262_144
"""The largest number of values in one TIFF tag; the longest genuine one, a 16-bit palette, has
196,608."""

_PIXELS_TO_BEGIN = 10_000
"""The cost of starting a scan, in pixels, so that a tiny image cannot have millions of scans."""

_PSD = b"8BPS"


class CountedFile(io.BytesIO):
    """An encoded image that raises an error when it is read in too many pieces.

    Most parsers of image headers are Python code and read a few bytes at a time, so this ends any
    loop that an image makes them run.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as `io.BytesIO` does.

        Raises:
            ImageError: The image has been read `MAX_READS` times; the reason is `too_slow`.
        """
        self._count()
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line as `io.BytesIO` does; it counts like a `read`."""
        self._count()
        return super().readline(size)

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ImageError(Reason.TOO_SLOW)


def fits(width: int, height: int, max_pixels: int) -> bool:
    """Return whether an image of this size may be decoded."""
    return max(width, height) <= MAX_SIDE and width * height <= max_pixels


def why_excessive(data: bytes, max_pixels: int) -> Reason | None:
    """Return why an image must not be decoded, going by its bytes alone, or None if it may.

    This reads a dozen header segments of an ordinary JPEG, in about 5 us, and less of other images.
    """
    try:
        header = read_jpeg_header(data)
    except OverlongHeaderError:
        return Reason.TOO_SLOW
    if header is not None:
        return why_excessive_jpeg(header, data, max_pixels)
    if data.startswith(_PSD) and len(data) >= 22:  # Pillow loops over its rows to open it
        height, width = struct.unpack_from(">II", data, 14)
        return None if fits(width, height, max_pixels) else Reason.TOO_LARGE
    return _why_excessive_tiff(data, max_pixels)


def why_excessive_jpeg(header: JpegHeader, data: Encoded, max_pixels: int) -> Reason | None:
    """Return why a JPEG with this header must not be decoded, or None if it may."""
    if not fits(header.width, header.height, max_pixels):
        return Reason.TOO_LARGE
    visits_too_many = visits_too_many_pixels(header.width, header.height, header.count_scans(data))
    return Reason.TOO_SLOW if visits_too_many else None


def visits_too_many_pixels(width: int, height: int, scans: int) -> bool:
    """Return whether the scans of a JPEG together visit more pixels than `MAX_SCAN_PIXELS`."""
    return scans * max(width * height, _PIXELS_TO_BEGIN) > MAX_SCAN_PIXELS


def _why_excessive_tiff(data: bytes, max_pixels: int) -> Reason | None:
    # Pillow turns numbers into Python objects: 16 million strip offsets take 5 GB. And libtiff
    # keeps a complete tile in memory, however small the image is.
    tile_sides: list[int] = []
    for tag in read_tiff_tags(data):
        if tag.values > MAX_TAG_VALUES and not tag.is_bytes:
            return Reason.TOO_SLOW
        if tag.is_tile_side:
            tile_sides.append(tag.value)
    width, height = max(tile_sides, default=0), min(tile_sides, default=0)
    return None if fits(width, height, max_pixels) else Reason.TOO_LARGE
