"""The jobs that a worker can do, each described once.

A job is plain data that the supervisor sends to a worker. Its class says everything that the rest
of the engine needs to know about this kind of work:

=============== ======================== ==================== =========================
job             actor                    facts                row of a user who crashed
=============== ======================== ==================== =========================
`PredictJob`    `workers.Predictor`      `PredictorFacts`     profile without traits
`ExtractJob`    `workers.FrameExtractor` `WorkerFacts`        no frames
`EmbedJob`      `workers.Embedder`       `EmbedderFacts`      no embeddings
`ExamineJob`    `workers.Examiner`       `WorkerFacts`        no usable images
`CountJob`      `workers.TextCounter`    `WorkerFacts`        no n-grams
`NameJob`       `workers.TextNamer`      `WorkerFacts`        no n-grams
=============== ======================== ==================== =========================

To add a kind of work, write the module of its actor and add a class here; nothing else in
`engines/` changes.

The supervisor imports this module and must load neither torch nor a decoder. An actor is therefore
named by a string, which only a worker imports.
"""

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import pyarrow as pa

from tweetprofile.data.files.storage import absolute
from tweetprofile.data.manifests.content_rows import ContentRows
from tweetprofile.job import EmbedderFacts, FrameSize, PredictorFacts, PredictorOptions, WorkerFacts
from tweetprofile.texts.spec import TextSpec
from tweetprofile.workers.feature_rows import (
    crashed_counts,
    crashed_embeddings,
    crashed_frames,
    crashed_names,
)
from tweetprofile.workers.findings import crashed_findings
from tweetprofile.workers.profiles import crashed_profile

FactsT = TypeVar("FactsT", bound=WorkerFacts)
"""What the workers of a job report about themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(ABC, Generic[FactsT]):
    """What a worker is to do; the first message that it receives.

    Attributes:
        options: Where images are and how to decode them; see `PredictorOptions`.
        processors: The number of processors that the worker may use.
        most_small_workers: The most workers among which these processors are divided, if each keeps
            few processors busy; None if they are not divided.
        worker_threads: The number of its worker threads; None for the number that suits its device.
        rows: The manifest from which the worker reads images if a task names only rows.
        actor: The class of the actors, as `module:name`. It is called with `actor_arguments()` and
            the options; see `worker.Actor`.
    """

    options: PredictorOptions
    processors: int = 1
    most_small_workers: int | None = None
    worker_threads: int | None = None
    rows: ContentRows | None = None
    actor: ClassVar[str]

    def absolute(self) -> Self:
        """Return the same job for workers on other machines, whose current folder is another."""
        cache, root = self.options.embedding_cache, absolute(self.options.image_root)
        options = replace(self.options, image_root=root, embedding_cache=cache and cache.resolve())
        return replace(self, options=options)

    @abstractmethod
    def actor_arguments(self) -> tuple[Any, ...]:
        """Return the first arguments of the actor. Only a worker calls this."""

    def suits_gpu(self, arguments: tuple[Any, ...]) -> bool:
        """Return whether a GPU is of use for the job; otherwise `auto` means the CPU.

        Args:
            arguments: What `actor_arguments` has returned.
        """
        return True

    @abstractmethod
    def crashed_row(self, facts: FactsT, images_given: int) -> pa.Table:
        """Return the row of a user whose images crashed the worker.

        Args:
            facts: What the workers reported about themselves.
            images_given: The number of images that the manifest lists for the user.
        """


@dataclass(frozen=True, slots=True)
class PredictJob(Job[PredictorFacts]):
    """Predict profiles.

    Attributes:
        checkpoint: The file of the model.
    """

    checkpoint: Path
    actor: ClassVar[str] = "tweetprofile.workers.predictor:Predictor"

    def absolute(self) -> Self:
        """See `Job.absolute`."""
        # Not `super()`, which a class with slots cannot use.
        return replace(Job.absolute(self), checkpoint=self.checkpoint.resolve())

    def actor_arguments(self) -> tuple[Any, ...]:
        """See `Job.actor_arguments`."""
        load_checkpoint = imported("tweetprofile.checkpoints.checkpoint:load_checkpoint")
        return (load_checkpoint(self.checkpoint),)

    def suits_gpu(self, arguments: tuple[Any, ...]) -> bool:
        """See `Job.suits_gpu`; texts are read on processors."""
        return bool(arguments[0].sees_images)

    def crashed_row(self, facts: PredictorFacts, images_given: int) -> pa.Table:
        """See `Job.crashed_row`."""
        return crashed_profile(
            facts.schema,
            "",
            images_given,
            texts=facts.reads_texts,
            profile=bool(facts.profile_fields),
            parts=facts.parts,
            evidence=facts.evidence is not None,
        )


@dataclass(frozen=True, slots=True)
class ExtractJob(Job[WorkerFacts]):
    """Extract frames; the precision among the options has no effect.

    Attributes:
        frames: The number of frames per user, and their size.
    """

    frames: FrameSize
    actor: ClassVar[str] = "tweetprofile.workers.extractor:FrameExtractor"

    def actor_arguments(self) -> tuple[Any, ...]:
        """See `Job.actor_arguments`."""
        return (self.frames,)

    def crashed_row(self, facts: WorkerFacts, images_given: int) -> pa.Table:
        """See `Job.crashed_row`."""
        return crashed_frames(images_given)


@dataclass(frozen=True, slots=True)
class EmbedJob(Job[EmbedderFacts]):
    """Embed images.

    Attributes:
        backbone: The file of a backbone, or of a model that has one.
        frames: The largest number of frames per user; None for as many as a volume of the model.
    """

    backbone: Path
    frames: int | None
    actor: ClassVar[str] = "tweetprofile.workers.embedder:Embedder"

    def absolute(self) -> Self:
        """See `Job.absolute`."""
        return replace(Job.absolute(self), backbone=self.backbone.resolve())

    def actor_arguments(self) -> tuple[Any, ...]:
        """See `Job.actor_arguments`."""
        load_backbone = imported("tweetprofile.checkpoints.backbone:load_backbone")
        return (load_backbone(self.backbone), self.frames)

    def crashed_row(self, facts: EmbedderFacts, images_given: int) -> pa.Table:
        """See `Job.crashed_row`."""
        return crashed_embeddings(images_given)


@dataclass(frozen=True, slots=True)
class ExamineJob(Job[WorkerFacts]):
    """Find out what every image is; the precision among the options has no effect.

    Attributes:
        frames: The number of frames in a volume, and their size.
        full_decode: Whether to decode images that pass the check of their header and end.
    """

    frames: FrameSize
    full_decode: bool = False
    actor: ClassVar[str] = "tweetprofile.workers.examiner:Examiner"

    def actor_arguments(self) -> tuple[Any, ...]:
        """See `Job.actor_arguments`."""
        return (self.frames, self.full_decode)

    def crashed_row(self, facts: WorkerFacts, images_given: int) -> pa.Table:
        """See `Job.crashed_row`."""
        return crashed_findings(images_given)


@dataclass(frozen=True, slots=True)
class CountJob(Job[WorkerFacts]):
    """Count the n-grams of texts; the options that concern images have no effect.

    Attributes:
        spec: How to normalise texts, and which n-grams to count.
    """

    spec: TextSpec
    actor: ClassVar[str] = "tweetprofile.workers.text_counter:TextCounter"

    def actor_arguments(self) -> tuple[Any, ...]:
        """See `Job.actor_arguments`."""
        return (self.spec,)

    def crashed_row(self, facts: WorkerFacts, images_given: int) -> pa.Table:
        """See `Job.crashed_row`."""
        return crashed_counts(images_given)


@dataclass(frozen=True, slots=True)
class NameJob(Job[WorkerFacts]):
    """Name the n-grams behind buckets; the options that concern images have no effect.

    Attributes:
        spec: How to normalise texts, and which n-grams to count.
        buckets: The buckets, as the bytes of uint32 in rising order.
    """

    spec: TextSpec
    buckets: bytes
    actor: ClassVar[str] = "tweetprofile.workers.text_namer:TextNamer"

    def actor_arguments(self) -> tuple[Any, ...]:
        """See `Job.actor_arguments`."""
        return (self.spec, self.buckets)

    def crashed_row(self, facts: WorkerFacts, images_given: int) -> pa.Table:
        """See `Job.crashed_row`."""
        return crashed_names(images_given)


def imported(name: str) -> Any:
    """Import what `module:name` refers to."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
