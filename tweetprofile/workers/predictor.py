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

from tweetprofile.checkpoints.checkpoint import Checkpoint
from tweetprofile.checkpoints.header import describe_origin
from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.manifests.manifest import UserImages
from tweetprofile.decoders import DecodeOptions, make_decoder
from tweetprofile.errors import CheckpointError, OptionError
from tweetprofile.job import PredictorFacts, PredictorOptions
from tweetprofile.networks import DeepSetSpec, for_inference
from tweetprofile.stages import Stage, StageClock
from tweetprofile.volumes.stacking import draw_orders, frame_mask, split_clips, stack_volumes
from tweetprofile.volumes.views import VIEWS
from tweetprofile.workers.devices import precision_name, resolve_device, resolve_precision
from tweetprofile.workers.frames import FrameLoader
from tweetprofile.workers.profiles import Probabilities, UserOutcome, make_profiles
from tweetprofile.workers.watch import ImageWatch, NoWatch

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
        watch: is told which image is being decoded. Without a supervisor that acts on it, as
            `predict_manifest` has one, nothing bounds the time of an image but what its header
            shows: `max_image_seconds` is for supervisors.

    Raises:
        OptionError: the machine lacks the device or decoder, the image root is no folder, or orders
            are asked for that the network cannot see.
        CheckpointError: in a call, if the network's numbers overflow.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: PredictorOptions | None = None,
        turn: AbstractContextManager[object] | None = None,
        watch: ImageWatch | None = None,
    ) -> None:
        options = options or PredictorOptions()
        self._watch = watch or NoWatch()
        self._turn = turn or nullcontext()
        self.device = resolve_device(options.device)
        self._precision = resolve_precision(options.precision, self.device)
        self._checkpoint = checkpoint
        self._spec = checkpoint.volume_spec
        self._batch_size = options.batch_size or _BATCH_SIZES[self.device.type]
        self._network = for_inference(checkpoint.network, self.device, self._precision)
        self._orders = self._draw_orders(options.orders)
        self._views = VIEWS[: options.views]
        self._none = torch.empty((0, *self._spec.shape[1:], 3), dtype=torch.uint8)
        self._clock = StageClock()
        sizes = DecodeOptions(
            self._spec.height, self._spec.width, options.max_pixels, options.threads
        )
        self._decoder = make_decoder(options.decoder, sizes, self.device, self._clock)
        reader = ImageReader(options.image_root, options.max_image_bytes)
        wanted = self._spec.frame_size(options.clips)
        self._loader = FrameLoader(
            reader, self._decoder, wanted, self._clock, self._turn, self._watch
        )

    @property
    def facts(self) -> PredictorFacts:
        """What it is that predicts here."""
        return PredictorFacts(
            checkpoint_sha256=self._checkpoint.sha256,
            network=self._checkpoint.network_spec.name,
            schema=self._checkpoint.schema,
            volume=asdict(self._spec),
            device=self.device.type,
            decoder=self._decoder.name,
            precision=precision_name(self._precision),
            batch_size=self._batch_size,
            cuda_devices=torch.cuda.device_count(),
            origin=describe_origin(self._checkpoint.training),
        )

    def _draw_orders(self, orders: int) -> list[torch.Tensor]:
        network = self._checkpoint.network_spec
        if orders > 1 and isinstance(network, DeepSetSpec):
            raise OptionError(
                f"--orders {orders}: {network.name} gives the same in any order; leave it out."
            )
        return draw_orders(self._spec.frames, orders)

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
            outcomes += map(UserOutcome.of, frames)
            with self._turn:
                rows.append(self._judge([user.frames_FHWC for user in frames]))
        with self._clock.timing(Stage.PROFILE):
            return make_profiles(self._checkpoint.schema, outcomes, self._join(rows))

    def _judge(self, frames: list[torch.Tensor]) -> Probabilities:
        """The probabilities of a batch of users, from the (F, H, W, 3) frames of each.

        Those of a user with several clips are the mean over them.
        """
        clips = [split_clips(each, self._spec) for each in frames]
        sums = {
            trait.name: np.zeros((len(frames), len(trait.classes)), np.float32)
            for trait in self._checkpoint.schema
        }
        for number in range(max(map(len, clips))):
            present = np.array([len(each) > number for each in clips])
            # Blank volumes of users without a frame are computed, too: without them the batch would
            # shrink, and with its size the order in which the hardware adds up numbers may change.
            clip = [each[number] if len(each) > number else self._none for each in clips]
            for trait, rows in self._judge_clip(clip).items():
                sums[trait][present] += rows[present]
        counts = np.maximum(1, [len(each) for each in clips]).astype(np.float32)
        return {trait: rows / counts[:, None] for trait, rows in sums.items()}

    def _judge_clip(self, frames: list[torch.Tensor]) -> Probabilities:
        with self._clock.timing(Stage.STACK):
            volumes = stack_volumes(frames, self._spec)
            mask = frame_mask([len(each) for each in frames], self._spec.frames)
        with self._clock.timing(Stage.FORWARD):
            return self._forward(volumes, mask)

    @torch.inference_mode()
    def _forward(self, volumes_NDHWC: torch.Tensor, mask_ND: torch.Tensor) -> Probabilities:
        """Probabilities, the mean over the orders and views that were asked for."""
        users = len(volumes_NDHWC)
        if users == 1 and self._precision == torch.float32 and self.device.type == "cpu":
            # PyTorch hands a single fp32 volume to a convolution that takes five times as long.
            volumes_NDHWC = volumes_NDHWC.expand(2, -1, -1, -1, -1)
            mask_ND = mask_ND.expand(2, -1)
        volumes = self._spec.normalise(volumes_NDHWC.to(self.device), self._precision)
        mask = mask_ND.to(self.device)
        passes = []
        for order in self._orders:
            for view in self._views:
                passes.append(self._network(view.of(self._reorder(volumes, order)), mask))
                self._watch.end()
        return {
            trait: self._mean_probabilities([each[trait][:users] for each in passes], trait)
            for trait in self._checkpoint.schema.names
        }

    def _reorder(self, volumes_NCDHW: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        if len(self._orders) == 1:
            return volumes_NCDHW
        # Through the memory's own layout, so that the result is channels-last again.
        frames_NDHWC = volumes_NCDHW.permute(0, 2, 3, 4, 1)[:, order]
        return frames_NDHWC.permute(0, 4, 1, 2, 3)

    def _mean_probabilities(self, logits: list[torch.Tensor], trait: str) -> NDArray[np.float32]:
        temperature = self._checkpoint.temperatures[trait]
        each = [(values / temperature).softmax(dim=1) for values in logits]
        mean: NDArray[np.float32] = torch.stack(each).mean(dim=0).cpu().numpy()
        if not np.isfinite(mean).all():
            raise CheckpointError(
                f"{self._checkpoint.path} gives probabilities of '{trait}' that are no numbers: "
                "its weights are too large to compute with; train it anew, or give --precision "
                "fp32."
            )
        return mean

    def _join(self, rows: list[Probabilities]) -> Probabilities:
        def joined(trait: str, classes: int) -> NDArray[np.float32]:
            none = np.empty((0, classes), dtype=np.float32)
            return np.concatenate([none, *(row[trait] for row in rows)])

        schema = self._checkpoint.schema
        return {trait.name: joined(trait.name, len(trait.classes)) for trait in schema}


def _batches(users: Sequence[UserImages], size: int) -> Iterator[Sequence[UserImages]]:
    return (users[start : start + size] for start in range(0, len(users), size))
