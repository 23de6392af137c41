"""Frames in, probabilities out: the network that looks at images, on one device.

Users with several clips, orders or views get the mean over them. Explained predictions also say
what each frame contributes.

Shapes: N users, F frames of one user, D frames of a volume, K classes, C features, V views, H, W.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.checkpoints.backbone import Backbone
from tweetprofile.checkpoints.checkpoint import Checkpoint
from tweetprofile.errors import CheckpointError, OptionError
from tweetprofile.job import PredictorOptions
from tweetprofile.networks import (
    AnyNetwork,
    Cnn3dSpec,
    Contributions,
    DeepSet,
    EmbeddingHead,
    EmbeddingSetSpec,
    Ensemble,
    Explained,
    contributions_of,
    for_inference,
)
from tweetprofile.plurals import count_of
from tweetprofile.stages import Stage, StageClock
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.volumes.stacking import draw_orders, frame_mask, split_clips, stack_volumes
from tweetprofile.volumes.views import VIEWS
from tweetprofile.workers.devices import exact_numerics, is_out_of_memory
from tweetprofile.workers.embedding import FrameEmbedder, shared_embedder
from tweetprofile.workers.embedding_store import EmbeddingStore
from tweetprofile.workers.evidence import Explanation, leave_one_out
from tweetprofile.workers.frames import UserFrames
from tweetprofile.workers.observers import ImageObserver
from tweetprofile.workers.profiles import Probabilities


@dataclass(frozen=True, slots=True)
class Predicted:
    """What is predicted of a batch of users by their images.

    Attributes:
        probabilities: (N, K) by trait name.
        contributions: (N, D, K) by trait name: what each frame adds to the calibrated logits; empty
            if that is not wanted, or not known from one pass.
    """

    probabilities: Probabilities
    contributions: Mapping[str, NDArray[np.floating]]


class ImageModel:
    """The network of a checkpoint, ready to look at the frames of users.

    Args:
        checkpoint: The checkpoint; the network of one of texts alone says nothing.
        options: How to predict; `batch_size` must have been chosen.
        spec: The volumes, with the detail that is used.
        device: The device to compute on.
        precision: The floating-point type to compute in.
        clock: The clock that stages are timed by.
        observer: The observer that learns of every pass.

    Raises:
        OptionError: An option does not suit the network. During a call: the device has too little
            memory for `batch_size` users.
        CheckpointError: The network's numbers overflow during a call.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: PredictorOptions,
        *,
        spec: VolumeSpec,
        device: torch.device,
        precision: torch.dtype,
        clock: StageClock,
        observer: ImageObserver,
    ) -> None:
        self._checkpoint, self._spec = checkpoint, spec
        self._device, self._precision = device, precision
        self._batch_size = options.batch_size
        self._clock, self._observer = clock, observer
        self._orders = self._draw_orders(options.orders)
        self._views = VIEWS[: options.views]
        self.contributions: Contributions | None = None
        if options.evidence:
            self.contributions = contributions_of(checkpoint.network_spec)
        self._network, self._embedder, self._store = self._load_network(options)

    def predict(self, frames: list[torch.Tensor]) -> Predicted:
        """Return what is predicted of a batch of users, given the (F, H, W, 3) frames of each.

        For a user with several clips, probabilities are the mean over the clips.
        """
        clips = [split_clips(each, self._spec) for each in frames]
        sums = {
            trait.name: np.zeros((len(frames), len(trait.classes)), np.float32)
            for trait in self._checkpoint.schema
        }
        contributions: Mapping[str, NDArray[np.float32]] = {}
        for number in range(max(map(len, clips))):
            present = np.array([len(each) > number for each in clips])
            # Users without a frame are computed as blank volumes: without them the batch would
            # shrink, and the hardware may add up numbers in another order in a smaller batch.
            # None of a user's own frames are on the device of the others, whichever that is.
            clip = [
                each[number] if len(each) > number else user[:0]
                for each, user in zip(clips, frames, strict=True)
            ]
            predicted = self._predict_clip(clip)
            contributions = predicted.contributions  # of the only clip, where they are wanted
            for trait, rows in predicted.probabilities.items():
                sums[trait][present] += rows[present]
        counts = np.maximum(1, [len(each) for each in clips]).astype(np.float32)
        means = {trait: rows / counts[:, None] for trait, rows in sums.items()}
        return Predicted(means, contributions)

    def explain(self, users: Sequence[UserFrames], predicted: Predicted) -> list[Explanation]:
        """Return what each image of users contributes, if that is wanted."""
        if self.contributions is None:
            return []
        added, counts = predicted.contributions, [len(user.frames_FHWC) for user in users]
        if isinstance(self._checkpoint.network_spec, Cnn3dSpec):
            frames = [user.frames_FHWC for user in users]
            without = lambda at: self.predict(_without(frames, at)).probabilities  # noqa: E731
            added = leave_one_out(without, predicted.probabilities, counts)
        return [
            Explanation(user.indexes, {name: rows[row, :count] for name, rows in added.items()})
            for row, (user, count) in enumerate(zip(users, counts, strict=True))
        ]

    def _load_network(
        self, options: PredictorOptions
    ) -> tuple[AnyNetwork, FrameEmbedder | None, EmbeddingStore | None]:
        """Return what computes: a network over volumes; or a head, an embedder and its store."""
        if not isinstance(self._checkpoint.network_spec, EmbeddingSetSpec):
            if options.embedding_cache is not None:
                raise OptionError(
                    f"`embedding_cache` is {options.embedding_cache}, but "
                    f"{self._checkpoint.network_spec.name} computes no embeddings; leave it out."
                )
            network = for_inference(self._checkpoint.network, self._device, self._precision)
            return network, None, None
        backbone = Backbone.of(replace(self._checkpoint, volume_spec=self._spec))
        embedder = shared_embedder(
            backbone, device=self._device, precision=self._precision, views=self._views
        )
        store = None
        if options.embedding_cache is not None:
            store = embedder.open_store(options.embedding_cache, options.embedding_cache_gb)
        return copy.deepcopy(self._checkpoint.head).to(self._device), embedder, store

    def _draw_orders(self, orders: int) -> list[torch.Tensor]:
        network = self._checkpoint.network_spec
        if orders > 1 and not isinstance(network, Cnn3dSpec):
            raise OptionError(
                f"`orders` is {orders}, but {network.name} gives the same result in any order; "
                "leave `orders` out."
            )
        return draw_orders(self._spec.frames, orders)

    def _predict_clip(self, frames: list[torch.Tensor]) -> Predicted:
        mask = frame_mask([len(each) for each in frames], self._spec.frames)
        if self._embedder is None:
            with self._clock.timing(Stage.STACK):
                volumes = stack_volumes(frames, self._spec)
        try:
            with (
                self._clock.timing(Stage.FORWARD),
                exact_numerics(self._device, self._precision),
            ):
                if self._embedder is not None:
                    return self._combine(frames, mask, self._embedder)
                return self._forward(volumes, mask)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise self._lack_of_memory() from error
            raise

    def _lack_of_memory(self) -> OptionError:
        """Return the error for a batch that does not fit; no image and no user is to blame."""
        if self._batch_size == 1:
            fix = "let other programs free some, or use another of `devices`"
        else:
            fix = f"pass `batch_size={self._batch_size // 2}`"
        where = "the GPU" if self._device.type == "cuda" else "this machine"
        return OptionError(
            f"{where} has too little memory for the network and "
            f"{count_of(self._batch_size, 'user')} at a time; {fix}."
        )

    @torch.inference_mode()
    def _forward(self, volumes_NDHWC: torch.Tensor, mask_ND: torch.Tensor) -> Predicted:
        """Return what is predicted of volumes, as the mean over all orders and views."""
        users = len(volumes_NDHWC)
        if users == 1 and self._precision == torch.float32 and self._device.type == "cpu":
            # For a single fp32 volume, PyTorch uses a convolution that takes five times as long.
            volumes_NDHWC = volumes_NDHWC.expand(2, -1, -1, -1, -1)
            mask_ND = mask_ND.expand(2, -1)
        volumes = self._spec.normalise(volumes_NDHWC.to(self._device), self._precision)
        mask = mask_ND.to(self._device)
        passes = []
        for order in self._orders:
            for view in self._views:
                viewed = view.apply(self._reorder(volumes, order))
                passes.append(self._pass(viewed, mask))
                self._observer.end()
        return self._mean(passes, users)

    @torch.inference_mode()
    def _combine(
        self, frames: list[torch.Tensor], mask_ND: torch.Tensor, embedder: FrameEmbedder
    ) -> Predicted:
        """Return what is predicted from the embeddings of frames, as the mean over all views."""
        each_MVC = embedder.embed(torch.cat(frames), self._observer, self._store)
        padded_NDVC = each_MVC.new_zeros(*mask_ND.shape, *each_MVC.shape[1:])
        padded_NDVC[mask_ND] = each_MVC
        embeddings, mask = padded_NDVC.to(self._device).float(), mask_ND.to(self._device)
        passes = [self._pass(view, mask) for view in embeddings.unbind(2)]
        return self._mean(passes, len(mask))

    def _pass(self, users: torch.Tensor, mask_ND: torch.Tensor) -> Explained:
        """Return the logits of users, and what frames contribute if that is wanted and known."""
        network = self._network
        if self.contributions is None or isinstance(self._checkpoint.network_spec, Cnn3dSpec):
            return Explained(network(users, mask_ND), {})
        assert isinstance(network, DeepSet | EmbeddingHead | Ensemble)
        return network.explain(users, mask_ND)

    def _mean(self, passes: list[Explained], users: int) -> Predicted:
        """Return the mean probabilities over passes, and what frames contribute to the only one."""
        return Predicted(
            {
                trait: self._mean_probabilities(
                    [one.logits[trait][:users] for one in passes], trait
                )
                for trait in self._checkpoint.schema.names
            },
            {
                trait: (added[:users] / self._checkpoint.temperatures[trait]).cpu().numpy()
                for trait, added in passes[0].contributions.items()
            },
        )

    def _reorder(self, volumes_NCDHW: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        if len(self._orders) == 1:
            return volumes_NCDHW
        # Indexing in the order of the memory keeps the result channels-last.
        frames_NDHWC = volumes_NCDHW.permute(0, 2, 3, 4, 1)[:, order]
        return frames_NDHWC.permute(0, 4, 1, 2, 3)

    def _mean_probabilities(self, logits: list[torch.Tensor], trait: str) -> NDArray[np.float32]:
        temperature = self._checkpoint.temperatures[trait]
        each = [(values / temperature).softmax(dim=1) for values in logits]
        mean: NDArray[np.float32] = torch.stack(each).mean(dim=0).cpu().numpy()
        if not np.isfinite(mean).all():
            exact = self._precision == torch.float32
            remedy = "" if exact else ', or pass `precision="fp32"`'
            raise CheckpointError(
                f"{self._checkpoint.path} gives probabilities of '{trait}' that are not numbers, "
                "because its weights are too large to compute with; train the model again"
                f"{remedy}."
            )
        return mean


def _without(frames: Sequence[torch.Tensor], position: int) -> list[torch.Tensor]:
    """Return the frames of users without the one at a position."""
    return [torch.cat([each[:position], each[position + 1 :]]) for each in frames]
