"""Users in, profiles out, on one device: read, decode, stack, forward.

The same `Predictor` serves every way of running it: one process, many, or a cluster's actors.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from tweetprofile.checkpoint import Checkpoint
from tweetprofile.decoders import DecodeOptions, DecoderName, make_decoder
from tweetprofile.decoders.base import MAX_PIXELS
from tweetprofile.devices import Precision, precision_name, resolve_device, resolve_precision
from tweetprofile.errors import OptionError
from tweetprofile.frames import FrameLoader, UserFrames
from tweetprofile.images import MAX_IMAGE_BYTES, ImageReader
from tweetprofile.manifest import UserImages
from tweetprofile.profiles import Probabilities, UserOutcome, make_profiles
from tweetprofile.volumes import stack_volumes

_BATCH_SIZES = {"cpu": 16, "cuda": 64}
"""Users a forward pass where none is asked for: enough to fill the device, little memory."""


@dataclass(frozen=True, slots=True)
class PredictorOptions:
    """How a `Predictor` works; none of these but the caps changes what it predicts.

    Attributes:
        image_root: folder that image paths are relative to and never leave.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        decoder: `auto`, `dali` or `pillow`.
        precision: `auto`, `bf16`, `fp16` or `fp32`.
        batch_size: users a forward pass; 0 for what suits the device.
        max_pixels: cap of an image's width x height.
        max_image_bytes: cap of an encoded image.

    Raises:
        OptionError: a value out of range.
    """

    image_root: Path = Path()
    device: str = "auto"
    decoder: DecoderName = "auto"
    precision: Precision = "auto"
    batch_size: int = 0
    max_pixels: int = MAX_PIXELS
    max_image_bytes: int = MAX_IMAGE_BYTES

    def __post_init__(self) -> None:
        if self.batch_size < 0:
            raise OptionError(f"batch size {self.batch_size} must be at least 1.")


class Predictor:
    """Predicts profiles on one device.

    Args:
        checkpoint: the network and all that belongs to it.
        options: how to work.

    Raises:
        OptionError: the machine lacks the device or decoder, or the image root is no folder.
    """

    def __init__(self, checkpoint: Checkpoint, options: PredictorOptions | None = None) -> None:
        options = options or PredictorOptions()
        self.device = resolve_device(options.device)
        self._precision = resolve_precision(options.precision, self.device)
        self._schema = checkpoint.schema
        self._spec = checkpoint.volume_spec
        self._batch_size = options.batch_size or _BATCH_SIZES[self.device.type]
        # A copy, since moving a module moves it for everyone who holds the checkpoint. Convolutions
        # over channels-last memory are half as fast again as over PyTorch's default.
        self._network = copy.deepcopy(checkpoint.network).to(
            self.device,
            memory_format=torch.channels_last_3d,  # type: ignore[call-overload]
        )
        sizes = DecodeOptions(self._spec.height, self._spec.width, options.max_pixels)
        self._decoder = make_decoder(options.decoder, sizes, self.device)
        reader = ImageReader(options.image_root, options.max_image_bytes)
        self._loader = FrameLoader(reader, self._decoder, self._spec)

    @property
    def decoder(self) -> str:
        """Name of the decoder in use."""
        return self._decoder.name

    @property
    def precision(self) -> str:
        """Name of the floating-point type computed in."""
        return precision_name(self._precision)

    def __call__(self, users: Sequence[UserImages]) -> pa.Table:
        """Profiles of `users`, a row each, in order, with the columns of `profile_schema`."""
        outcomes: list[UserOutcome] = []
        rows: list[Probabilities] = []
        for batch in _batches(users, self._batch_size):
            frames = self._loader.load(batch)
            outcomes += map(_outcome, frames)
            usable = [each.frames_FHWC for each in frames if len(each.frames_FHWC)]
            if usable:
                rows.append(self._forward(stack_volumes(usable, self._spec)))
        return make_profiles(self._schema, outcomes, self._join(rows))

    @torch.inference_mode()
    def _forward(self, volumes_NDHWC: torch.Tensor) -> Probabilities:
        volumes = self._spec.normalise(volumes_NDHWC.to(self.device))
        lower = self._precision != torch.float32
        with torch.autocast(self.device.type, dtype=self._precision, enabled=lower):
            logits = self._network(volumes)
        return {
            trait: values.float().softmax(dim=1).cpu().numpy() for trait, values in logits.items()
        }

    def _join(self, rows: list[Probabilities]) -> Probabilities:
        def joined(trait: str, classes: int) -> NDArray[np.float32]:
            none = np.empty((0, classes), dtype=np.float32)
            return np.concatenate([none, *(row[trait] for row in rows)])

        return {trait.name: joined(trait.name, len(trait.classes)) for trait in self._schema}


def _batches(users: Sequence[UserImages], size: int) -> Iterator[Sequence[UserImages]]:
    return (users[start : start + size] for start in range(0, len(users), size))


def _outcome(frames: UserFrames) -> UserOutcome:
    return UserOutcome(frames.user_id, frames.images_given, len(frames.frames_FHWC), frames.failed)
