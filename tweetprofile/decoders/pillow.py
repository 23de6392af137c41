"""Decoding with Pillow: the reference, the fast decoder on a CPU, and DALI's fallback.

Pillow reads every header. The pixels of an ordinary JPEG are then decoded by libjpeg-turbo directly
(`turbojpeg.py`), which gives the same. JPEGs much larger than the frame are decoded at a fraction
of their size in the DCT domain (`Image.draft`), never below four times the frame, so that the
resize still has pixels to average. What Pillow refuses, nvImageCodec looks at, so that every
decoder uses the same images.
"""

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import AvifImagePlugin, ExifTags, Image, UnidentifiedImageError

from tweetprofile.decoders.base import DecodedFrames, DecodeOptions, OnImage, ignore_image
from tweetprofile.decoders.bounds import CountedFile, fits, why_excessive
from tweetprofile.decoders.nvimagecodec import NvImageCodec
from tweetprofile.decoders.resizing import stretch_into
from tweetprofile.decoders.screening import is_cut, why_unidentified
from tweetprofile.decoders.turbojpeg import Pixels, decode_jpeg
from tweetprofile.errors import ImageError, Reason
from tweetprofile.job import DecoderName, usable_processors
from tweetprofile.stages import Stage, StageClock

# What Pillow warns of either comes out as a frame or as a reason; the terminal is not its place.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module="PIL")

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # processors are shared out by images already

_PNG = b"\x89PNG"
"""Of the PNGs whose pixels Pillow could not decode, nvImageCodec decoded none of 1,469."""

_DRAFT_MARGIN = 4
"""Scaled decoding stops at this many times the frame's side.

Of 300 users with sharp drawings, an unsure model put 0.2% in another class than with DALI's full
decode at 4 (mean over three traits), 0.7% at 3, and 1.2% at 2, where frames of 64 pixels are off
by up to 8 grey levels.
"""

_TURNS: Mapping[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""

# EPS runs Ghostscript, IPTC opens what it contains as any format, EPS among them, and WMF needs
# Windows: none is an image anyone posts.
_REFUSED_FORMATS = frozenset({"EPS", "IPTC", "WMF"})

_MAX_PIXELS_IN_PYTHON = 4_000_000
"""Cap for formats that Pillow decodes in Python (QOI, plain PPM, RLE in BMP), at up to 2 us a
pixel."""

_MAX_EXIF = 1 << 20
"""Bytes of EXIF that are looked at; cameras write at most 64 kB."""

_STRIP_PIXELS = 4_000_000
"""Images of more are converted a strip at a time, so that no second copy of them is made."""


def allowed_formats() -> tuple[str, ...]:
    """The formats that Pillow may try an image as."""
    Image.init()
    return tuple(name for name in Image.ID if name not in _REFUSED_FORMATS)


class PillowDecoder:
    """Decodes on the CPU, with a pool of threads if asked for (decoding frees Python's lock).

    Args:
        options: the frame's size, caps and threads.
        clock: counts the time that decoding takes.
        alone: whether nvImageCodec does not look at what Pillow refuses.
    """

    name: DecoderName
    device = torch.device("cpu")

    def __init__(
        self, options: DecodeOptions, clock: StageClock | None = None, *, alone: bool = False
    ) -> None:
        _permit_pixels(options.max_pixels)
        self._clock = clock or StageClock()
        self.name = "pillow-alone" if alone else "pillow"
        self._options = options
        self._draft_size = (max(options.width, options.height) * _DRAFT_MARGIN,) * 2
        self._formats = allowed_formats()
        self._second = None if alone else NvImageCodec(options)
        threads = options.threads or usable_processors()
        self._map = ThreadPoolExecutor(threads).map if threads > 1 else map

    def decode(self, images: Sequence[bytes], on_image: OnImage = ignore_image) -> DecodedFrames:
        """See `FrameDecoder.decode`; the frames are on the CPU."""
        options = self._options
        frames = torch.empty((len(images), options.height, options.width, 3), dtype=torch.uint8)

        def decode_at(position: int) -> Reason | None:
            on_image(position)
            failure = self._decode_into(images[position], frames[position])
            on_image(None)
            return failure

        with self._clock.timing(Stage.DECODE):
            outcomes = tuple(self._map(decode_at, range(len(images))))
        usable = [position for position, failure in enumerate(outcomes) if failure is None]
        return DecodedFrames(frames if len(usable) == len(images) else frames[usable], outcomes)

    def _decode_into(self, image: bytes, frame_HWC: torch.Tensor) -> Reason | None:
        try:
            pixels = self._decode_one(image)
        except ImageError as error:
            second = self._look_again(image, error)
            if second is None:
                return error.reason
            pixels = second
        stretch_into(frame_HWC, pixels)
        return None

    def _look_again(self, image: bytes, refused: ImageError) -> Pixels | None:
        """The pixels of an image that Pillow refused, if there are any."""
        if self._second is None or refused.reason in (Reason.TOO_LARGE, Reason.TOO_SLOW):
            return None
        if isinstance(refused, _BrokenPixelsError) and image.startswith(_PNG):
            return None
        return self._second.decode(image)

    def _decode_one(self, data: bytes) -> Pixels:
        """(height, width, 3) RGB, upright and at least as large as the draft, or an ImageError."""
        if (excess := why_excessive(data, self._options.max_pixels)) is not None:
            raise ImageError(excess)
        is_open = False
        try:
            with Image.open(CountedFile(data), formats=self._formats) as image:
                is_open = True
                return self._pixels_of(image, data)
        except (ImageError, MemoryError):
            raise  # that memory is short is no fault of the image
        except Image.DecompressionBombError:
            raise ImageError(Reason.TOO_LARGE) from None
        except UnidentifiedImageError:
            raise ImageError(why_unidentified(data)) from None
        except Exception as error:  # Pillow's plugins raise whatever broken bytes make them raise.
            reason = Reason.TRUNCATED if is_cut(data) else _reason_of(error)
            raise (_BrokenPixelsError if is_open else ImageError)(reason) from None

    def _pixels_of(self, image: Image.Image, data: bytes) -> Pixels:
        self._require_fitting(image)
        if image.width * image.height > _MAX_PIXELS_IN_PYTHON and _is_decoded_in_python(image):
            raise ImageError(Reason.TOO_SLOW)
        image.draft(None, self._draft_size)  # square: it may yet be turned
        if _is_plain_jpeg(image):
            pixels = decode_jpeg(data, image.width, image.height)
            if pixels is not None:
                return pixels
        image.load()  # some formats carry EXIF after the pixels, and TIFF turns itself
        self._require_fitting(image)  # what is inside an icon may be larger than the icon says
        return _rgb_pixels(_upright(image))

    def _require_fitting(self, image: Image.Image) -> None:
        if not fits(image.width, image.height, self._options.max_pixels):
            raise ImageError(Reason.TOO_LARGE)


class _BrokenPixelsError(ImageError):
    """The header could be read and the pixels could not."""


def _permit_pixels(max_pixels: int) -> None:
    """Have Pillow open images within the cap. It refuses those of more than twice its own."""
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, (max_pixels + 1) // 2)


def _is_decoded_in_python(image: Image.Image) -> bool:
    tiles = getattr(image, "tile", [])
    return bool(tiles) and tiles[0].codec_name in Image.DECODERS


def _is_plain_jpeg(image: Image.Image) -> bool:
    """Whether libjpeg-turbo alone gives its pixels: one picture, grey or RGB, not to be turned."""
    return image.format == "JPEG" and image.mode in ("L", "RGB") and _turn_of(image) is None


def _upright(image: Image.Image) -> Image.Image:
    turn = _turn_of(image)
    return image if turn is None else image.transpose(turn)


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    if len(image.info.get("exif", b"")) > _MAX_EXIF:
        return None
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # Whatever broken EXIF makes Pillow raise, the pixels are unharmed.
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
