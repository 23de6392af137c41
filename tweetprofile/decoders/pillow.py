"""Decoding with Pillow: the reference, the fast decoder on a CPU, and DALI's fallback.

Pillow reads every header. libjpeg-turbo then decodes the pixels of an ordinary JPEG directly
(`turbojpeg.py`), with the same result. Unless images are decoded in full, JPEGs much larger than
the frame are decoded at a fraction of their size in the DCT domain (`Image.draft`), but never below
three times the frame, so that the resize still has pixels to average; and of a progressive JPEG
only the scans that the frame can show (`scan_choice.py`). nvImageCodec tries the images that Pillow
refuses, so that every decoder uses the same images.
"""

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from PIL import ExifTags, Image, UnidentifiedImageError

from tweetprofile.data.manifests.users import Encoded
from tweetprofile.decoders.base import DecodedFrames, DecodeOptions, OnImage, ignore_image
from tweetprofile.decoders.bounds import (
    CountedFile,
    fits,
    visits_too_many_pixels,
    why_excessive,
)
from tweetprofile.decoders.formats import is_cut, pillow_formats, why_unidentified
from tweetprofile.decoders.nvimagecodec import NvImageCodec
from tweetprofile.decoders.pillow_settings import pillow_settings
from tweetprofile.decoders.resizing import stretch_into
from tweetprofile.decoders.scan_choice import ShortJpeg, shorten_jpeg
from tweetprofile.decoders.turbojpeg import Pixels, decode_jpeg
from tweetprofile.errors import ImageError, Reason
from tweetprofile.job import DecoderName, usable_processors
from tweetprofile.stages import Stage, StageClock

_PNG = b"\x89PNG"
"""The start of a PNG. Of 1,469 PNGs whose pixels Pillow could not decode, nvImageCodec decoded none
either."""

_DRAFT_MARGIN = 3
"""The smallest side that scaled decoding may produce, in longer sides of the frame."""

_UPRIGHT_TRANSPOSES: Mapping[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transpose that turns an image of each EXIF orientation upright."""

_TURNED_SIDEWAYS = frozenset(
    {
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_90,
    }
)

_MAX_PIXELS_IN_PYTHON = 4_000_000
"""The largest image of a format that Pillow decodes in Python (QOI, plain PPM, RLE in BMP), at up
to 2 us per pixel."""

_MAX_EXIF = 1 << 20
"""The largest number of bytes of EXIF that are parsed; cameras write at most 64 kB."""

_STRIP_PIXELS = 4_000_000
"""Larger images are converted one strip at a time, so that no second copy of them is made."""

_UNNAMED = "other"


class _Picture(NamedTuple):
    """A decoded image.

    Attributes:
        pixels: (height, width, 3) RGB.
        covered: The height and width that the picture covers in these pixels; None for all of them.
        turn: The transpose that turns it upright, or None.
    """

    pixels: Pixels
    covered: tuple[float, float] | None = None
    turn: Image.Transpose | None = None


class PillowDecoder:
    """Decodes on the CPU, in several threads if so configured (decoding releases Python's lock).

    Args:
        options: The size of the frames, the largest image, and the number of threads.
        clock: The clock that counts the time spent on decoding.
        pillow_only: Whether images that Pillow refuses are not given to nvImageCodec.
    """

    name: DecoderName
    device = torch.device("cpu")

    def __init__(
        self, options: DecodeOptions, clock: StageClock | None = None, *, pillow_only: bool = False
    ) -> None:
        self._clock = clock or StageClock()
        self.name = "pillow-alone" if pillow_only else "pillow"
        self._options = options
        self._side = max(options.width, options.height)
        self._formats = pillow_formats()
        self._second = None if pillow_only else NvImageCodec(options)
        threads = options.threads or usable_processors()
        self._map = ThreadPoolExecutor(threads).map if threads > 1 else map

    @property
    def host_turn(self) -> None:
        """None: decoding takes far longer than what precedes it."""
        return None

    def decode(self, images: Sequence[Encoded], on_image: OnImage = ignore_image) -> DecodedFrames:
        """Decode as `FrameDecoder.decode` says; the frames are on the CPU."""
        options = self._options
        frames = torch.empty((len(images), options.height, options.width, 3), dtype=torch.uint8)

        def decode_at(position: int) -> Reason | None:
            on_image(position)
            failure = self._decode_into(bytes(images[position]), frames[position])
            on_image(None)
            return failure

        with self._clock.timing(Stage.DECODE), pillow_settings(options.max_pixels):
            outcomes = tuple(self._map(decode_at, range(len(images))))
        usable = [position for position, failure in enumerate(outcomes) if failure is None]
        return DecodedFrames(frames if len(usable) == len(images) else frames[usable], outcomes)

    def _decode_into(self, image: bytes, frame_HWC: torch.Tensor) -> Reason | None:
        try:
            picture = self._decode_one(image)
        except ImageError as error:
            second = self._try_second(image, error)
            if second is None:
                return error.reason
            picture = _Picture(second)
        _write_frame(frame_HWC, picture)
        return None

    def _try_second(self, image: bytes, refused: ImageError) -> Pixels | None:
        """Return the pixels that nvImageCodec finds in an image that Pillow refused, if any."""
        if self._second is None or refused.reason in (Reason.TOO_LARGE, Reason.TOO_SLOW):
            return None
        if isinstance(refused, _BrokenPixelsError) and image.startswith(_PNG):
            return None
        return self._second.decode(image)

    def _decode_one(self, data: bytes) -> _Picture:
        """Return the picture in an encoded image, no smaller than the draft.

        Raises:
            ImageError: The image cannot be decoded.
        """
        short = shorten_jpeg(data, self._side) if self._options.detail == "frame" else None
        picture = None if short is None else self._decode_short(short)
        # With damage before the cut, the outcome has to be that of the whole image.
        return self._decode_all(data) if picture is None else picture

    def _decode_short(self, short: ShortJpeg) -> _Picture | None:
        """Return the picture in a shortened JPEG; None if anything is wrong with it."""
        width, height = short.width, short.height
        if not fits(width, height, self._options.max_pixels):
            return None
        if visits_too_many_pixels(width, height, short.scans):
            return None
        factor = self._factor_of(width, height)
        pixels = decode_jpeg(short.data, -(-width // factor), -(-height // factor))
        if pixels is None:
            return None
        picture = _Picture(pixels, (height / factor, width / factor))
        return self._with_turn(picture, short.data) if short.has_metadata else picture

    def _with_turn(self, picture: _Picture, data: bytes) -> _Picture | None:
        """Return a picture with the turn that its EXIF asks for; None if EXIF is no good."""
        if why_excessive(data, self._options.max_pixels) is not None:
            return None
        try:
            with Image.open(CountedFile(data), formats=self._formats) as image:
                return picture._replace(turn=_transpose_of(image))
        except Exception:  # Broken bytes make Pillow's plugins raise anything.
            return None

    def _factor_of(self, width: int, height: int) -> int:
        """Return the factor by which libjpeg reduces a JPEG, as `Image.draft` chooses it."""
        most = min(width, height) // (self._side * _DRAFT_MARGIN)
        return max(factor for factor in (1, 2, 4, 8) if factor == 1 or factor <= most)

    def _decode_all(self, data: bytes) -> _Picture:
        """Return the picture in an encoded image, of which everything is decoded.

        Raises:
            ImageError: The image cannot be decoded.
        """
        if (excess := why_excessive(data, self._options.max_pixels)) is not None:
            raise ImageError(excess)
        is_open = False
        try:
            with Image.open(CountedFile(data), formats=self._formats) as image:
                is_open = True
                return self._picture_in(image, data)
        except (ImageError, MemoryError):
            raise  # a lack of memory is not the fault of the image
        except Image.DecompressionBombError:
            raise ImageError(Reason.TOO_LARGE) from None
        except UnidentifiedImageError:
            raise ImageError(why_unidentified(data)) from None
        except Exception as error:  # Broken bytes make Pillow's plugins raise anything.
            reason = Reason.TRUNCATED if is_cut(data) else _reason_of(error)
            raise (_BrokenPixelsError if is_open else ImageError)(reason) from None

    def _picture_in(self, image: Image.Image, data: bytes) -> _Picture:
        self._require_fitting(image)
        if image.width * image.height > _MAX_PIXELS_IN_PYTHON and _is_decoded_in_python(image):
            raise ImageError(Reason.TOO_SLOW)
        covered = self._scale_down(image)
        if image.format == "JPEG" and image.mode in ("L", "RGB"):
            pixels = decode_jpeg(data, image.width, image.height)
            if pixels is not None:
                return _Picture(pixels, covered, _transpose_of(image))
        image.load()  # some formats store EXIF after the pixels, and Pillow turns a TIFF itself
        self._require_fitting(image)  # the picture in an icon may be larger than the icon claims
        return _Picture(_rgb_pixels(image), covered, _transpose_of(image))

    def _scale_down(self, image: Image.Image) -> tuple[float, float] | None:
        """Have a large JPEG decoded at a fraction of its size; return what the picture covers."""
        if self._options.detail == "full":
            return None
        # Square, since the image may still be turned.
        scaled = image.draft(None, (self._side * _DRAFT_MARGIN,) * 2)
        return None if scaled is None else (scaled[1][3], scaled[1][2])

    def _require_fitting(self, image: Image.Image) -> None:
        if not fits(image.width, image.height, self._options.max_pixels):
            raise ImageError(Reason.TOO_LARGE)


class _BrokenPixelsError(ImageError):
    """The header of an image could be read, and its pixels could not."""


def identify(data: bytes, formats: tuple[str, ...]) -> tuple[str, int | None, int | None]:
    """Return format, width and height of an image, as Pillow reads them from its header.

    The format is `other`, and the size None, if Pillow cannot read the header as one of `formats`.
    Callers hold `pillow_settings`, so that Pillow opens every image within their `max_pixels`.
    """
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            return image.format or _UNNAMED, image.width, image.height
    except Exception:  # Broken bytes make Pillow's plugins raise anything.
        return _UNNAMED, None, None


def _is_decoded_in_python(image: Image.Image) -> bool:
    tiles = getattr(image, "tile", [])
    return bool(tiles) and tiles[0].codec_name in Image.DECODERS


def _write_frame(frame_HWC: torch.Tensor, picture: _Picture) -> None:
    """Stretch a picture to a frame, and turn it upright."""
    if picture.turn is None:
        stretch_into(frame_HWC, picture.pixels, picture.covered)
        return
    # Turning the frame takes far less time than turning all pixels.
    sideways = picture.turn in _TURNED_SIDEWAYS
    lying = torch.empty_like(frame_HWC.transpose(0, 1) if sideways else frame_HWC)
    stretch_into(lying, picture.pixels, picture.covered)
    upright = Image.fromarray(lying.numpy()).transpose(picture.turn)
    frame_HWC.copy_(torch.from_numpy(np.array(upright)))


def _transpose_of(image: Image.Image) -> Image.Transpose | None:
    """Return the transpose that turns an image upright by its EXIF orientation, or None."""
    if len(image.info.get("exif", b"")) > _MAX_EXIF:
        return None
    try:
        return _UPRIGHT_TRANSPOSES.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # Broken EXIF makes Pillow raise anything, and the pixels are unharmed.
        return None


def _rgb_pixels(image: Image.Image) -> Pixels:
    rows = max(1, _STRIP_PIXELS // image.width)
    if image.height <= rows:
        return np.array(_to_rgb(image))
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        pixels[top:bottom] = np.asarray(_to_rgb(image.crop((0, top, image.width, bottom))))
    return pixels


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips 16-bit grey at 255 instead of scaling it.
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    return image.convert("RGB")


def _reason_of(error: Exception) -> Reason:
    text = str(error).lower()
    if any(word in text for word in ("truncated", "not enough", "buffer overrun", "end of")):
        return Reason.TRUNCATED
    return Reason.CORRUPT
