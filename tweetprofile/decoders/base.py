"""What every decoder is: encoded images in, one frame or one reason for each out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from tweetprofile.errors import Reason
from tweetprofile.job import MAX_PIXELS, DecoderName


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """What a decoder makes of an image, and how much of the machine it may use.

    Attributes:
        height: of a frame, in pixels.
        width: of a frame, in pixels.
        max_pixels: images of more are refused before they are decoded.
        threads: decoding threads; 0 for as many as there are processors.
    """

    height: int
    width: int
    max_pixels: int = MAX_PIXELS
    threads: int = 0


@dataclass(frozen=True, slots=True)
class DecodedFrames:
    """What became of a sequence of images.

    Attributes:
        frames_FHWC: (F, H, W, 3) uint8 RGB on the decoder's device; one frame for each image that
            could be decoded, in the order of the images.
        failures: for each image None, or why it has no frame.
    """

    frames_FHWC: torch.Tensor
    failures: tuple[Reason | None, ...]


OnImage = Callable[[int | None], None]
"""Called in the thread that decodes: with an image's position as its decoding begins, with None
when the thread has finished with it."""


def ignore_image(position: int | None) -> None:
    """Do nothing: the `OnImage` of those who do not watch what is being decoded."""


class FrameDecoder(Protocol):
    """Decodes, turns upright (EXIF), converts to RGB and stretches to the frame's size.

    What becomes of an image depends on that image alone, never on those decoded with it.
    """

    name: DecoderName
    device: torch.device

    def decode(self, images: Sequence[bytes], on_image: OnImage = ignore_image) -> DecodedFrames:
        """Decode every image; one that cannot be decoded is a failure, never an exception.

        Args:
            images: encoded.
            on_image: told which image each thread is decoding, as far as there is one.
        """
        ...
