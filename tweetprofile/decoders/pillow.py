"""Decoding with Pillow: the reference, the fast decoder on a CPU, and DALI's fallback.

JPEGs much larger than the frame are decoded at a fraction of their size in the DCT domain
(`Image.draft`), never below four times the frame, so that the resize still has pixels to average.
What Pillow refuses, nvImageCodec looks at, so that every decoder uses the same images.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from tweetprofile.decoders.base import DecodedFrames, DecodeOptions
from tweetprofile.decoders.nvimagecodec import NvImageCodec
from tweetprofile.errors import ImageError, Reason
from tweetprofile.job import DecoderName, usable_processors
from tweetprofile.screening import is_cut, why_unidentified

# What Pillow warns of either comes out as a frame or as a reason; the terminal is not its place.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module="PIL")

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

# EPS runs Ghostscript and WMF needs Windows: neither is an image anyone posts.
_REFUSED_FORMATS = frozenset({"EPS", "WMF"})


def _allowed_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in _REFUSED_FORMATS)


class PillowDecoder:
    """Decodes on the CPU with a pool of threads (Pillow lets go of the interpreter's lock).

    Args:
        options: the frame's size, caps and threads.
        alone: whether nvImageCodec does not look at what Pillow refuses.
    """

    name: DecoderName
    device = torch.device("cpu")

    def __init__(self, options: DecodeOptions, *, alone: bool = False) -> None:
        self.name = "pillow-alone" if alone else "pillow"
        self._options = options
        self._size = options.width, options.height
        self._formats = _allowed_formats()
        self._second = None if alone else NvImageCodec(options)
        self._pool = ThreadPoolExecutor(options.threads or usable_processors())

    def decode(self, images: Sequence[bytes]) -> DecodedFrames:
        """See `FrameDecoder.decode`; the frames are on the CPU."""
        frames = np.empty((len(images), self._options.height, self._options.width, 3), np.uint8)
        outcomes = list(self._pool.map(self._decode_into, images, frames))
        usable = [position for position, failure in enumerate(outcomes) if failure is None]
        kept = torch.from_numpy(frames)
        return DecodedFrames(kept if len(usable) == len(images) else kept[usable], tuple(outcomes))

    def _decode_into(self, image: bytes, frame_HWC: NDArray[np.uint8]) -> Reason | None:
        try:
            frame_HWC[:] = np.asarray(self._decode_one(image))
        except ImageError as error:
            return self._look_again(image, frame_HWC, error.reason)
        return None

    def _look_again(
        self, image: bytes, frame_HWC: NDArray[np.uint8], refused: Reason
    ) -> Reason | None:
        """What becomes of an image that Pillow refused."""
        if self._second is None or refused is Reason.TOO_LARGE:
            return refused
        if (decoded := self._second.decode(image)) is None:
            return refused
        frame_HWC[:] = np.asarray(self._resize(decoded))
        return None

    def _decode_one(self, data: bytes) -> Image.Image:
        """One RGB image of the frame's size, or an ImageError."""
        try:
            with Image.open(io.BytesIO(data), formats=self._formats) as image:
                return self._frame_of(image)
        except (ImageError, MemoryError):
            raise  # that memory is short is no fault of the image
        except Image.DecompressionBombError:
            raise ImageError(Reason.TOO_LARGE) from None
        except UnidentifiedImageError:
            raise ImageError(why_unidentified(data)) from None
        except Exception as error:  # Pillow's plugins raise whatever broken bytes make them raise.
            reason = Reason.TRUNCATED if is_cut(data) else _reason_of(error)
            raise ImageError(reason) from None

    def _frame_of(self, image: Image.Image) -> Image.Image:
        if image.width * image.height > self._options.max_pixels:
            raise ImageError(Reason.TOO_LARGE)
        image.draft(None, (max(self._size) * _DRAFT_MARGIN,) * 2)  # square: it may yet be turned
        return self._resize(_to_rgb(_upright(image)))

    def _resize(self, image: Image.Image) -> Image.Image:
        return image.resize(self._size, Image.Resampling.BILINEAR)


def _upright(image: Image.Image) -> Image.Image:
    image.load()  # some formats carry EXIF after the pixels, and TIFF turns itself
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Whatever broken EXIF makes Pillow raise, the pixels are unharmed.
        return image
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


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
