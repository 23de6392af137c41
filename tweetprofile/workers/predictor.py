"""Users in, profiles out, on one device: read, decode, stack, run the network.

The same `Predictor` runs in a program of yours, in the workers of one machine, and on a cluster.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from tweetprofile.checkpoints.checkpoint import Checkpoint
from tweetprofile.checkpoints.header import describe_origin
from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.manifests.users import UserImages
from tweetprofile.decoders import DecodeOptions, make_decoder
from tweetprofile.errors import OptionError
from tweetprofile.job import PROCESSORS_PER_WORKER, PredictorFacts, PredictorOptions
from tweetprofile.networks import (
    EmbeddingSetSpec,
)
from tweetprofile.stages import Stage, StageClock
from tweetprofile.workers.devices import (
    default_batch_size,
    precision_name,
    resolve_device,
    resolve_precision,
)
from tweetprofile.workers.embedding import embedding_batch_size
from tweetprofile.workers.evidence import Explanation, Explanations
from tweetprofile.workers.frames import FrameLoader, UserFrames
from tweetprofile.workers.image_model import ImageModel
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
    PROCESSORS_PER_READER,
    TEXT_BATCH_SIZE,
    combine,
    count_texts,
    explain_texts,
    probabilities_by_texts,
    seen_in,
    weigh_explanations,
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
        self._parts = self._named_parts() if options.parts else ()
        self._clock = StageClock()
        self._images = ImageModel(
            checkpoint,
            replace(options, batch_size=self._batch_size),
            spec=self._spec,
            device=self.device,
            precision=self._precision,
            clock=self._clock,
            observer=self._observer,
        )
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
            processors_per_worker=(
                PROCESSORS_PER_WORKER if self._checkpoint.sees_images else PROCESSORS_PER_READER
            ),
            origin=describe_origin(self._checkpoint.training),
            sees_images=self._checkpoint.sees_images,
            reads_texts=self._checkpoint.texts is not None,
            reads_posted_texts=self._reads_posted_texts,
            profile_fields=self._profile_fields,
            parts=self._parts,
            evidence=self._images.contributions,
        )

    @property
    def _reads_posted_texts(self) -> bool:
        texts = self._checkpoint.texts
        return texts is not None and "texts" in texts.header.spec.sources

    @property
    def _profile_fields(self) -> tuple[str, ...]:
        texts = self._checkpoint.texts
        return () if texts is None else texts.header.spec.profile_fields

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
        of_images: list[Explanation] = []
        of_texts: list[tuple[Explanation, Explanation]] = []
        for batch in _batches(users, self._batch_size):
            frames = self._load(batch)
            outcomes += map(self._outcome, batch, frames)
            with self._compute_slot:
                if self._checkpoint.sees_images:
                    each = self._images.predict([user.frames_FHWC for user in frames])
                    by_images.append(each.probabilities)
                    of_images += self._images.explain(frames, each)
                if (texts := self._checkpoint.texts) is not None:
                    with self._clock.timing(Stage.TEXTS):
                        counts = count_texts(texts, batch)
                        by_texts.append(probabilities_by_texts(texts, counts))
                        if self._images.contributions is not None:
                            of_texts += explain_texts(texts, batch, counts)
        with self._clock.timing(Stage.PROFILE):
            return self._profiles(
                outcomes,
                self._join(by_images),
                self._join(by_texts),
                self._explanations(outcomes, of_images, of_texts),
            )

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
            texts=TextOutcome.of(user, self._checkpoint.texts.header.spec),
            texts_alone=not self._checkpoint.sees_images,
        )

    def _explanations(
        self,
        outcomes: list[UserOutcome],
        images: list[Explanation],
        texts: list[tuple[Explanation, Explanation]],
    ) -> Explanations | None:
        if self._images.contributions is None:
            return None
        images = images or [Explanation() for _ in outcomes]
        part = self._checkpoint.texts
        if part is None:
            return Explanations(images)
        of_texts, of_profiles = [each for each, _ in texts], [each for _, each in texts]
        every = Explanations(images, of_texts, of_profiles if self._profile_fields else None)
        return weigh_explanations(part, every, outcomes)

    def _profiles(
        self,
        outcomes: list[UserOutcome],
        by_images: Probabilities,
        by_texts: Probabilities,
        explanations: Explanations | None,
    ) -> pa.Table:
        schema, texts = self._checkpoint.schema, self._checkpoint.texts
        if texts is None:
            return make_profiles(schema, outcomes, by_images, explanations=explanations)
        each = zip((IMAGES, TEXTS), seen_in(outcomes), (by_images, by_texts), strict=True)
        return make_profiles(
            schema,
            outcomes,
            combine(texts, by_images, by_texts, outcomes),
            texts=True,
            profile=bool(self._profile_fields),
            parts={name: (seen, rows) for name, seen, rows in each if name in self._parts},
            explanations=explanations,
        )

    def _join(self, rows: list[Probabilities]) -> Probabilities:
        def joined(trait: str, classes: int) -> NDArray[np.float32]:
            none = np.empty((0, classes), dtype=np.float32)
            return np.concatenate([none, *(row[trait] for row in rows)])

        schema = self._checkpoint.schema
        return {trait.name: joined(trait.name, len(trait.classes)) for trait in schema}


def _batches(users: Sequence[UserImages], size: int) -> Iterator[Sequence[UserImages]]:
    return (users[start : start + size] for start in range(0, len(users), size))
