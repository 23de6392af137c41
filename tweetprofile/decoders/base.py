"""The interface of every decoder: encoded images in, one frame or one reason for each out."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch

from tweetprofile.data.manifests.users import Encoded
from tweetprofile.errors import Reason
from tweetprofile.job import (
    DETAIL,
    MAX_PIXELS,
    DecoderName,
    Detail,
    FrameSize,
    PredictorOptions,
)


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """The size of the frames, and the limits within which a decoder works.

    Attributes:
        height: The height of a frame in pixels.
        width: The width of a frame in pixels.
        max_pixels: The largest width x height of an image that is decoded.
        threads: The number of threads that decode; 0 for one per processor.
        detail: Whether large JPEGs are decoded in `full`, or as far as a `frame` can show.
    """

    height: int
    width: int
    max_pixels: int = MAX_PIXELS
    threads: int = 0
    detail: Detail = DETAIL

    @classmethod
    def of(cls, frames: FrameSize, options: PredictorOptions) -> "DecodeOptions":
        """Return how a worker with these options decodes images to frames of a size."""
        return cls(
            height=frames.height,
            width=frames.width,
            max_pixels=options.max_pixels,
            threads=options.threads,
            detail=options.detail or DETAIL,
        )


@dataclass(frozen=True, slots=True)
class DecodedFrames:
    """The result of decoding a sequence of images.

    Attributes:
        frames_FHWC: (F, H, W, 3) uint8 RGB on the decoder's device; one frame for each image that
            could be decoded, in the order of the images.
        failures: For each image None, or the reason why it has no frame.
    """

    frames_FHWC: torch.Tensor
    failures: tuple[Reason | None, ...]


OnImage = Callable[[int | None], None]
"""A function that the decoding thread calls with the position of an image when it starts to decode
that image, and with None when it has finished."""


def ignore_image(position: int | None) -> None:
    """Do nothing: an `OnImage` for callers that do not follow the decoding."""


class FrameDecoder(Protocol):
    """Decodes images, turns them upright (EXIF), converts them to RGB and resizes them to frames.

    The frame of an image depends on that image alone, never on the others of its batch.
    """

    name: DecoderName
    device: torch.device

    @property
    def host_turn(self) -> AbstractContextManager[object] | None:
        """The context in which threads take turns at the work that precedes decoding.

        None if nothing is gained by that, because decoding itself takes long on the host. If there
        is one, the decoder also takes images in writable memory where they are, without a copy.
        """

    def decode(self, images: Sequence[Encoded], on_image: OnImage = ignore_image) -> DecodedFrames:
        """Decode every image; one that cannot be decoded is a failure, never an exception.

        Args:
            images: The encoded images.
            on_image: The function that learns which image each thread decodes, as far as the
                decoder knows.
        """
        ...
