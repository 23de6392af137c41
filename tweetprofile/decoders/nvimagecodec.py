"""Decoding with nvImageCodec on the CPU, one image at a time: a second attempt after Pillow.

DALI decodes with the same library, which reads some images that Pillow refuses: JPEGs broken in
the middle, some BMPs and TIFFs. With this second attempt, which images are usable does not depend
on the decoder. The library's `Decoder` fails one image at a time, where DALI fails the batch. It
can still crash on malformed JPEG 2000 (version 0.9; 2 of 43,000 fuzzed images): the worker is then
replaced, and Pillow alone decodes the image.
"""

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from tweetprofile.decoders.base import DecodeOptions
from tweetprofile.decoders.bounds import fits
from tweetprofile.decoders.formats import is_cut

_MAX_CHANNELS = 4
"""Channels of an image whose memory its pixels bound; a TIFF may have thousands of channels."""


class NvImageCodec:
    """Decodes what it can; nothing where nvImageCodec is not installed (it exists for Linux)."""

    def __init__(self, options: DecodeOptions) -> None:
        self._max_pixels = options.max_pixels
        self._lock = Lock()  # one image at a time, so that memory is that of one image
        try:
            from nvidia import nvimgcodec  # noqa: PLC0415 - heavy, and only on Linux
        except ImportError:
            self._codec = None
            return
        self._codec = nvimgcodec
        self._decoder = nvimgcodec.Decoder(
            device_id=nvimgcodec.NVIMGCODEC_DEVICE_CPU_ONLY,
            backends=[nvimgcodec.Backend(nvimgcodec.BackendKind.CPU_ONLY)],
        )

    def decode(self, data: bytes) -> NDArray[np.uint8] | None:
        """Return (height, width, 3) RGB, upright, or None if the image cannot be decoded.

        An image of more than `max_pixels` is not decoded.
        """
        if self._codec is None or is_cut(data):  # a cut image would fail only after much work
            return None
        with self._lock:
            pixels = self._decode(data)
        return None if pixels is None else np.array(pixels)

    def _decode(self, data: bytes) -> object | None:
        assert self._codec is not None
        try:
            stream = self._codec.CodeStream(data)
            width, height = stream.width, stream.height
            if not width * height or not fits(width, height, self._max_pixels):
                return None
            if stream.num_channels > _MAX_CHANNELS:
                return None
            pixels: object | None = self._decoder.decode(stream)
        except (RuntimeError, TypeError, ValueError):
            return None
        return pixels
