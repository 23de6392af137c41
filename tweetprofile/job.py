"""What a predictor is told, and what it says of itself: plain data that crosses process borders.

Nothing here needs torch, so that the process which only hands out work need not load it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.images.reader import MAX_IMAGE_BYTES
from tweetprofile.errors import OptionError
from tweetprofile.traits import TraitSchema

DecoderName = Literal["auto", "dali", "pillow", "pillow-alone"]
"""`pillow-alone` is for who survives nothing else: what Pillow refuses, no other library sees."""

Precision = Literal["auto", "bf16", "fp16", "fp32"]

VOLUME_FRAMES = 11
"""Frames of a volume, unless a checkpoint says otherwise: the paper's."""

MAX_PIXELS = 40_000_000
"""Default cap of an image's width x height; a 40-megapixel RGB image takes 120 MB decoded."""

MAX_IMAGE_SECONDS = 10.0
"""Default cap of the processor time for an image. One of 40 megapixels takes 0.5 to 2 s in the
formats that people post; the slowest honest one, 64 MB of JPEG 2000, 10 s."""

VIEW_COUNTS = (1, 2, 4)
"""As it is; mirrored, too; and the middle of both, enlarged."""

_MOST_PASSES = 1000
"""Volumes of a user, or orders of one; every image of the longest timeline is in 1,164 of 11."""


def usable_processors() -> int:
    """Processors that this process may use: a cluster's scheduler grants fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class PredictorOptions:
    """How a `Predictor` works; caps, clips, orders and views change what it predicts, nothing else.

    Attributes:
        image_root: folder that image paths are relative to and never leave.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        decoder: `auto`, `dali`, `pillow` or `pillow-alone`.
        precision: `auto`, `bf16`, `fp16` or `fp32`.
        batch_size: users a forward pass; 0 for what suits the device.
        max_pixels: cap of an image's width x height.
        max_image_bytes: cap of an encoded image.
        threads: threads to decode and to compute with on a CPU; 0 for one a processor.
        clips: volumes to make of a user with more images than one holds; their mean is taken.
        orders: orders of the frames to take the mean over, for networks that see the order.
        views: of each frame to take the mean over: 2 with the mirrored one, 4 with the middle.
        max_image_seconds: processor time that decoding an image may take, as far as a supervisor
            is there to end it.

    Raises:
        OptionError: a value out of range.
    """

    image_root: AnyPath = Path()
    device: str = "auto"
    decoder: DecoderName = "auto"
    precision: Precision = "auto"
    batch_size: int = 0
    max_pixels: int = MAX_PIXELS
    max_image_bytes: int = MAX_IMAGE_BYTES
    threads: int = 0
    clips: int = 1
    orders: int = 1
    views: int = 1
    max_image_seconds: float = MAX_IMAGE_SECONDS

    def __post_init__(self) -> None:
        if not self.max_image_seconds > 0:
            raise OptionError(f"--max-image-seconds {self.max_image_seconds} must be above 0.")
        if not 1 <= self.clips <= _MOST_PASSES:
            raise OptionError(f"--clips {self.clips} must be from 1 to {_MOST_PASSES}.")
        if not 1 <= self.orders <= _MOST_PASSES:
            raise OptionError(f"--orders {self.orders} must be from 1 to {_MOST_PASSES}.")
        if self.views not in VIEW_COUNTS:
            raise OptionError(f"--views {self.views} must be 1, 2 or 4.")
        if self.batch_size < 0:
            raise OptionError(f"batch size {self.batch_size} must be at least 1.")
        if self.max_pixels < 1:
            raise OptionError(f"--max-pixels {self.max_pixels} must be at least 1.")
        if self.max_image_bytes < 1:
            raise OptionError(f"--max-image-bytes {self.max_image_bytes} must be at least 1.")


@dataclass(frozen=True, slots=True)
class FrameSize:
    """The frames to extract.

    Attributes:
        frames: of a user, at most.
        height: of a frame, in pixels.
        width: of a frame, in pixels.
    """

    frames: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class ExtractorFacts:
    """What a frame extractor came to be on its machine.

    Attributes:
        device: type of the device it decodes on: `cpu` or `cuda`.
        decoder: any name but `auto`.
        batch_size: users that it is best given at a time.
        cuda_devices: how many there are on its machine.
    """

    device: str
    decoder: DecoderName
    batch_size: int
    cuda_devices: int


@dataclass(frozen=True, slots=True)
class ExaminerFacts:
    """What an examiner came to be on its machine.

    Attributes:
        device: type of the device it decodes on.
        decoder: any name but `auto`.
        batch_size: users that it is best given at a time.
        cuda_devices: how many there are on its machine.
    """

    device: str
    decoder: DecoderName
    batch_size: int
    cuda_devices: int


@dataclass(frozen=True, slots=True)
class PredictorFacts:
    """What a predictor came to be on its machine.

    Attributes:
        checkpoint_sha256: of the file.
        network: name of the network.
        schema: the traits it predicts.
        volume: the volume spec, as JSON.
        device: type of the device: `cpu` or `cuda`.
        decoder: any of the above but `auto`.
        precision: floating-point type computed in.
        batch_size: users a forward pass.
        cuda_devices: how many there are on its machine.
        origin: which run the checkpoint is from, when and on what it was trained, for people.
    """

    checkpoint_sha256: str
    network: str
    schema: TraitSchema
    volume: Mapping[str, Any]
    device: str
    decoder: DecoderName
    precision: str
    batch_size: int
    cuda_devices: int
    origin: str = ""
