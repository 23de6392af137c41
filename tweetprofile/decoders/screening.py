"""Header checks that decide which images DALI may see.

DALI decodes a batch as a unit: an image whose header it cannot parse fails the whole batch, and in
DALI 2.4 often ends the process; a header that claims 400 megapixels is believed. So only images
that pass these checks go to DALI, and all others go to Pillow, which fails one image at a time.
"""

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.manifests.users import Encoded
from tweetprofile.decoders.bounds import fits, why_excessive_jpeg
from tweetprofile.decoders.formats import is_complete
from tweetprofile.decoders.jpeg_headers import JpegHeader, OverlongHeaderError, read_jpeg_header
from tweetprofile.errors import OptionError

_JPEG_COMPONENTS = (1, 3)
"""Grey and colour. The colours of a CMYK JPEG without Adobe's marker would be far off."""

_JPEG_PRECISION = 8


class HeaderScreen:
    """Finds the images that are safe to give to DALI: complete JPEG, PNG and WebP within bounds.

    nvImageCodec parses the header, with the parsers that DALI uses (about 4 us per image).

    Args:
        max_pixels: The largest width x height of an image that passes.

    Raises:
        OptionError: nvImageCodec is not installed.
    """

    def __init__(self, max_pixels: int) -> None:
        try:
            from nvidia import nvimgcodec  # noqa: PLC0415 - heavy, and only on Linux
        except ImportError:
            raise OptionError(
                "decoder 'dali' needs the package nvidia-dali-cuda130, which exists for Linux "
                'only; install it or pass `decoder="pillow"`.'
            ) from None
        self._parse = nvimgcodec.CodeStream
        self._max_pixels = max_pixels

    def count_pixels(self, data: Encoded) -> int:
        """Return height x width of an image that passes, otherwise 0.

        An image passes if it is complete as far as its ends show and its header is sound.
        """
        if not is_complete(data):
            return 0
        try:
            header = read_jpeg_header(data)
        except OverlongHeaderError:
            return 0
        if header is not None:
            return self._pixels_of_jpeg(data, header)
        return self._pixels_of_header(data)

    def _pixels_of_jpeg(self, data: Encoded, header: JpegHeader) -> int:
        """Do the same for a JPEG, in half the time: its header is read already."""
        if why_excessive_jpeg(header, data, self._max_pixels) is not None:
            return 0
        if header.precision != _JPEG_PRECISION or header.components not in _JPEG_COMPONENTS:
            return 0
        try:
            parsed = self._parse(_parsable(data))
            same = parsed.height == header.height and parsed.width == header.width
        except (RuntimeError, TypeError, ValueError):
            return 0
        return header.height * header.width if same else 0

    def _pixels_of_header(self, data: Encoded) -> int:
        try:
            header = self._parse(_parsable(data))
            height, width = header.height, header.width
            channels, dtype = header.num_channels, header.dtype
            codec = header.codec_name
        except (RuntimeError, TypeError, ValueError):
            return 0
        if codec == "jpeg" and channels not in _JPEG_COMPONENTS:
            return 0
        if dtype != "uint8" or not fits(width, height, self._max_pixels):
            return 0
        return int(height * width)


def _parsable(data: Encoded) -> bytes | NDArray[np.uint8]:
    """Return an encoded image in a form that nvImageCodec takes, without copying it."""
    return data if isinstance(data, bytes) else np.frombuffer(data, np.uint8)
