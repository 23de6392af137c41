"""Users in, profiles out, on one device: read, decode, stack, run the network.

The same `Predictor` runs in a program of yours, in the workers of one machine, and on a cluster.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from tweetprofile.checkpoints.backbone import Backbone
from tweetprofile.checkpoints.checkpoint import Checkpoint
from tweetprofile.checkpoints.header import describe_origin
from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.manifests.users import UserImages
from tweetprofile.decoders import DecodeOptions, make_decoder
from tweetprofile.errors import CheckpointError, OptionError
from tweetprofile.job import PredictorFacts, PredictorOptions
from tweetprofile.networks import (
    AnyNetwork,
    Cnn3dSpec,
    EmbeddingSetSpec,
    for_inference,
)
from tweetprofile.stages import Stage, StageClock
from tweetprofile.volumes.stacking import draw_orders, frame_mask, split_clips, stack_volumes
from tweetprofile.volumes.views import VIEWS
from tweetprofile.workers.devices import (
    default_batch_size,
    exact_numerics,
    is_out_of_memory,
    precision_name,
    resolve_device,
    resolve_precision,
)
from tweetprofile.workers.embedding import FrameEmbedder, embedding_batch_size, shared_embedder
from tweetprofile.workers.embedding_store import EmbeddingStore
from tweetprofile.workers.frames import FrameLoader, UserFrames
from tweetprofile.workers.observers import ImageObserver, NullObserver
from tweetprofile.workers.profiles import (
    IMAGES,
    TEXTS,
    Probabilities,
    TextOutcome,
    UserOutcome,
    make_profiles,
)
from tweetprofile.workers.text_reading import (
    TEXT_BATCH_SIZE,
    combine,
    probabilities_by_texts,
    seen_in,
)


class Predictor:
    """Predicts profiles on one device.

    Args:
        checkpoint: The network and everything that belongs to it.
        options: How to predict; see `PredictorOptions`.
        compute_slot: The context entered to compute and left to read, in which predictors that
            share processors wait for each other; None for no limit.
        observer: The observer that learns which image is being decoded. Without a supervisor that
            acts on it, as `predict_manifest` has, only the image's header bounds the time that an
            image may take: `max_image_seconds` has no effect.

    Raises:
        OptionError: The machine lacks the device or decoder, the image root is not a folder, or
            `orders` is above 1 for a network that ignores the order. During a call: the device has
            too little memory for `batch_size` users.
        CheckpointError: The network's numbers overflow during a call.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        options: PredictorOptions | None = None,
        compute_slot: AbstractContextManager[object] | None = None,
        observer: ImageObserver | None = None,
    ) -> None:
        options = options or PredictorOptions()
        self._observer = observer or NullObserver()
        self._compute_slot = compute_slot or nullcontext()
        self.device = resolve_device(options.device)
        self._precision = resolve_precision(options.precision, self.device)
        self._checkpoint = checkpoint
        own = checkpoint.volume_spec
        self._spec = replace(own, detail=options.detail or own.detail)
        over_embeddings = isinstance(checkpoint.network_spec, EmbeddingSetSpec)
        usual_size = embedding_batch_size if over_embeddings else default_batch_size
        usual = usual_size(self.device) if self._checkpoint.sees_images else TEXT_BATCH_SIZE
        self._batch_size = options.batch_size or usual
        self._require_images(options)
        self._orders = self._draw_orders(options.orders)
        self._views = VIEWS[: options.views]
        self._parts = self._named_parts() if options.parts else ()
        self._network, self._embedder, self._store = self._load_network(options)
        self._clock = StageClock()
        wanted = self._spec.frame_size(options.clips)
        decoding = DecodeOptions.of(wanted, replace(options, detail=self._spec.detail))
        self._decoder = make_decoder(options.decoder, decoding, self.device, self._clock)
        in_place = self._decoder.host_turn is not None
        reader = ImageReader(options.image_root, options.max_image_bytes, writable=in_place)
        self._loader = FrameLoader(
            reader,
            self._decoder,
            wanted,
            clock=self._clock,
            compute_slot=self._compute_slot,
            observer=self._observer,
        )

    @property
    def facts(self) -> PredictorFacts:
        """The checkpoint, the device and the settings that this predictor uses."""
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
            sees_images=self._checkpoint.sees_images,
            reads_texts=self._checkpoint.texts is not None,
            parts=self._parts,
        )

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
            network = for_inference(self._checkpoint.network, self.device, self._precision)
            return network, None, None
        backbone = Backbone.of(replace(self._checkpoint, volume_spec=self._spec))
        embedder = shared_embedder(
            backbone, device=self.device, precision=self._precision, views=self._views
        )
        store = None
        if options.embedding_cache is not None:
            store = embedder.open_store(options.embedding_cache, options.embedding_cache_gb)
        return copy.deepcopy(self._checkpoint.head).to(self.device), embedder, store

    def _require_images(self, options: PredictorOptions) -> None:
        """Refuse options that concern images if the model looks at none."""
        for name in () if self._checkpoint.sees_images else ("clips", "views"):
            if (value := getattr(options, name)) > 1:
                raise OptionError(
                    f"`{name}` is {value}, but {self._checkpoint.path} looks at no images; leave "
                    f"`{name}` out."
                )

    def _named_parts(self) -> tuple[str, ...]:
        """Return what the probabilities are given by alone, too."""
        if self._checkpoint.texts is None or not self._checkpoint.sees_images:
            raise OptionError(
                f"`parts` is for models of images and texts, and {self._checkpoint.path} has only "
                "one of them; leave it out."
            )
        return IMAGES, TEXTS

    def _draw_orders(self, orders: int) -> list[torch.Tensor]:
        network = self._checkpoint.network_spec
        if orders > 1 and not isinstance(network, Cnn3dSpec):
            raise OptionError(
                f"`orders` is {orders}, but {network.name} gives the same result in any order; "
                "leave `orders` out."
            )
        return draw_orders(self._spec.frames, orders)

    def take_seconds(self) -> dict[Stage, float]:
        """Return the seconds per stage since this method was last called."""
        return self._clock.take()

    def __call__(self, users: Sequence[UserImages]) -> pa.Table:
        """Return the profiles of `users`, one row each, in order, with `profile_schema`'s columns.

        A user's row depends only on that user's own images, the user's position among `users` and
        the number of users. The images of other users do not change a single bit of it.
        """
        outcomes: list[UserOutcome] = []
        by_images: list[Probabilities] = []
        by_texts: list[Probabilities] = []
        for batch in _batches(users, self._batch_size):
            frames = self._load(batch)
            outcomes += map(self._outcome, batch, frames)
            with self._compute_slot:
                if self._checkpoint.sees_images:
                    each = self._predict_batch([user.frames_FHWC for user in frames])
                    by_images.append(each)
                if (texts := self._checkpoint.texts) is not None:
                    with self._clock.timing(Stage.TEXTS):
                        by_texts.append(probabilities_by_texts(texts, batch))
        with self._clock.timing(Stage.PROFILE):
            return self._profiles(outcomes, self._join(by_images), self._join(by_texts))

    def _load(self, users: Sequence[UserImages]) -> list[UserFrames]:
        """Return the frames of users; none if the model looks at no images."""
        if not self._checkpoint.sees_images:
            users = [replace(user, images=()) for user in users]
        return self._loader.load(users)

    def _outcome(self, user: UserImages, frames: UserFrames) -> UserOutcome:
        outcome = UserOutcome.of(frames)
        if self._checkpoint.texts is None:
            return outcome
        return replace(
            outcome,
            images_given=len(user.images) + user.left_out,
            texts=TextOutcome.of(user),
            texts_alone=not self._checkpoint.sees_images,
        )

    def _profiles(
        self, outcomes: list[UserOutcome], by_images: Probabilities, by_texts: Probabilities
    ) -> pa.Table:
        schema, texts = self._checkpoint.schema, self._checkpoint.texts
        if texts is None:
            return make_profiles(schema, outcomes, by_images)
        each = zip((IMAGES, TEXTS), seen_in(outcomes), (by_images, by_texts), strict=True)
        return make_profiles(
            schema,
            outcomes,
            combine(texts, by_images, by_texts, outcomes),
            texts=True,
            parts={name: (seen, rows) for name, seen, rows in each if name in self._parts},
        )

    def _predict_batch(self, frames: list[torch.Tensor]) -> Probabilities:
        """Return the probabilities of a batch of users, given the (F, H, W, 3) frames of each.

        For a user with several clips, they are the mean over the clips.
        """
        clips = [split_clips(each, self._spec) for each in frames]
        sums = {
            trait.name: np.zeros((len(frames), len(trait.classes)), np.float32)
            for trait in self._checkpoint.schema
        }
        for number in range(max(map(len, clips))):
            present = np.array([len(each) > number for each in clips])
            # Users without a frame are computed as blank volumes: without them the batch would
            # shrink, and the hardware may add up numbers in another order in a smaller batch.
            # None of a user's own frames are on the device of the others, whichever that is.
            clip = [
                each[number] if len(each) > number else user[:0]
                for each, user in zip(clips, frames, strict=True)
            ]
            for trait, rows in self._predict_clip(clip).items():
                sums[trait][present] += rows[present]
        counts = np.maximum(1, [len(each) for each in clips]).astype(np.float32)
        return {trait: rows / counts[:, None] for trait, rows in sums.items()}

    def _predict_clip(self, frames: list[torch.Tensor]) -> Probabilities:
        mask = frame_mask([len(each) for each in frames], self._spec.frames)
        if self._embedder is None:
            with self._clock.timing(Stage.STACK):
                volumes = stack_volumes(frames, self._spec)
        try:
            with (
                self._clock.timing(Stage.FORWARD),
                exact_numerics(self.device, self._precision),
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
        where = "the GPU" if self.device.type == "cuda" else "this machine"
        return OptionError(
            f"{where} has too little memory for the network and {self._batch_size} user(s) at a "
            f"time; {fix}."
        )

    @torch.inference_mode()
    def _forward(self, volumes_NDHWC: torch.Tensor, mask_ND: torch.Tensor) -> Probabilities:
        """Return the probabilities, as the mean over all orders and views."""
        users = len(volumes_NDHWC)
        if users == 1 and self._precision == torch.float32 and self.device.type == "cpu":
            # For a single fp32 volume, PyTorch uses a convolution that takes five times as long.
            volumes_NDHWC = volumes_NDHWC.expand(2, -1, -1, -1, -1)
            mask_ND = mask_ND.expand(2, -1)
        volumes = self._spec.normalise(volumes_NDHWC.to(self.device), self._precision)
        mask = mask_ND.to(self.device)
        passes = []
        for order in self._orders:
            for view in self._views:
                passes.append(self._network(view.apply(self._reorder(volumes, order)), mask))
                self._observer.end()
        return {
            trait: self._mean_probabilities([each[trait][:users] for each in passes], trait)
            for trait in self._checkpoint.schema.names
        }

    @torch.inference_mode()
    def _combine(
        self, frames: list[torch.Tensor], mask_ND: torch.Tensor, embedder: FrameEmbedder
    ) -> Probabilities:
        """Return the probabilities from the embeddings of frames, as the mean over all views."""
        each_MVC = embedder.embed(torch.cat(frames), self._observer, self._store)
        padded_NDVC = each_MVC.new_zeros(*mask_ND.shape, *each_MVC.shape[1:])
        padded_NDVC[mask_ND] = each_MVC
        embeddings, mask = padded_NDVC.to(self.device).float(), mask_ND.to(self.device)
        passes = [self._network(view, mask) for view in embeddings.unbind(2)]
        return {
            trait: self._mean_probabilities([each[trait] for each in passes], trait)
            for trait in self._checkpoint.schema.names
        }

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
            raise CheckpointError(
                f"{self._checkpoint.path} gives probabilities of '{trait}' that are not numbers, "
                "because its weights are too large to compute with; train the model again, or pass "
                '`precision="fp32"`.'
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
