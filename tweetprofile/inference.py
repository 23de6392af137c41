"""Users in, profiles out, on one device: read, decode, stack, forward.

The same `Predictor` serves every way of running it: one process, many, or a cluster's actors.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from tweetprofile.checkpoint import Checkpoint
from tweetprofile.decoders import DecodeOptions, make_decoder
from tweetprofile.devices import precision_name, resolve_device, resolve_precision
from tweetprofile.frames import FrameLoader, UserFrames
from tweetprofile.images import ImageReader
from tweetprofile.job import PredictorFacts, PredictorOptions
from tweetprofile.manifest import UserImages
from tweetprofile.networks import for_inference
from tweetprofile.profiles import Probabilities, UserOutcome, make_profiles
from tweetprofile.stages import Stage, StageClock
from tweetprofile.volumes import stack_volumes

_BATCH_SIZES = {"cpu": 4, "cuda": 64}
"""Users a forward pass where none is asked for.

On a CPU, what four users need (some 20 MB at 112 pixels) stays in its caches; larger batches are no
faster, and 16 users take 100 MB. On a GPU, 64 users are 704 images, which is what DALI needs to be
at its best.
"""


class Predictor:
    """Predicts profiles on one device.

    Args:
        checkpoint: the network and all that belongs to it.
        options: how to work.
        turn: entered to compute, and left to read: who shares processors with others waits there.

    Raises:
        OptionError: the machine lacks the device or decoder, or the image root is no folder.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: PredictorOptions | None = None,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        options = options or PredictorOptions()
        self._turn = turn or nullcontext()
        self.device = resolve_device(options.device)
        self._precision = resolve_precision(options.precision, self.device)
        self._checkpoint = checkpoint
        self._spec = checkpoint.volume_spec
        self._batch_size = options.batch_size or _BATCH_SIZES[self.device.type]
        self._network = for_inference(checkpoint.network, self.device, self._precision)
        self._clock = StageClock()
        sizes = DecodeOptions(
            self._spec.height, self._spec.width, options.max_pixels, options.threads
        )
        self._decoder = make_decoder(options.decoder, sizes, self.device, self._clock)
        reader = ImageReader(options.image_root, options.max_image_bytes)
        self._loader = FrameLoader(reader, self._decoder, self._spec, self._clock, self._turn)

    @property
    def facts(self) -> PredictorFacts:
        """What it is that predicts here."""
        return PredictorFacts(
            self._checkpoint.sha256,
            self._checkpoint.network_spec.name,
            self._checkpoint.schema,
            asdict(self._spec),
            self.device.type,
            self._decoder.name,
            precision_name(self._precision),
            self._batch_size,
            torch.cuda.device_count(),
        )

    def take_seconds(self) -> dict[Stage, float]:
        """Where the time of the calls since the last time went."""
        return self._clock.take()

    def __call__(self, users: Sequence[UserImages]) -> pa.Table:
        """Profiles of `users`, a row each, in order, with the columns of `profile_schema`.

        A user's row depends, to the last bit, on that user's own images, their place among `users`
        and the number of users alone: not on what the images of others are like.
        """
        outcomes: list[UserOutcome] = []
        rows: list[Probabilities] = []
        for batch in _batches(users, self._batch_size):
            frames = self._loader.load(batch)
            outcomes += map(_outcome, frames)
            with self._turn:
                rows.append(self._judge([user.frames_FHWC for user in frames]))
        with self._clock.timing(Stage.PROFILE):
            return make_profiles(self._checkpoint.schema, outcomes, self._join(rows))

    def _judge(self, frames: list[torch.Tensor]) -> Probabilities:
        """The probabilities of a batch of users, from the (F, H, W, 3) frames of each."""
        if not any(map(len, frames)):
            return {
                trait.name: np.zeros((len(frames), len(trait.classes)), np.float32)
                for trait in self._checkpoint.schema
            }
        # Blank volumes of users without a frame are computed, too: without them the batch would
        # shrink, and with its size the order in which the hardware adds up numbers may change.
        with self._clock.timing(Stage.STACK):
            volumes = stack_volumes(frames, self._spec)
        with self._clock.timing(Stage.FORWARD):
            return self._forward(volumes)

    @torch.inference_mode()
    def _forward(self, volumes_NDHWC: torch.Tensor) -> Probabilities:
        users = len(volumes_NDHWC)
        if users == 1 and self._precision == torch.float32 and self.device.type == "cpu":
            # PyTorch hands a single fp32 volume to a convolution that takes five times as long.
            volumes_NDHWC = volumes_NDHWC.expand(2, -1, -1, -1, -1)
        volumes = self._spec.normalise(volumes_NDHWC.to(self.device), self._precision)
        logits = self._network(volumes)
        return {
            trait: values[:users].softmax(dim=1).cpu().numpy() for trait, values in logits.items()
        }

    def _join(self, rows: list[Probabilities]) -> Probabilities:
        def joined(trait: str, classes: int) -> NDArray[np.float32]:
            none = np.empty((0, classes), dtype=np.float32)
            return np.concatenate([none, *(row[trait] for row in rows)])

        schema = self._checkpoint.schema
        return {trait.name: joined(trait.name, len(trait.classes)) for trait in schema}


def _batches(users: Sequence[UserImages], size: int) -> Iterator[Sequence[UserImages]]:
    return (users[start : start + size] for start in range(0, len(users), size))


def _outcome(frames: UserFrames) -> UserOutcome:
    return UserOutcome(frames.user_id, frames.images_given, len(frames.frames_FHWC), frames.failed)
