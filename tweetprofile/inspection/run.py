"""Inspect a manifest: plan, examine its users batch by batch, count, report."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.images.missing import explain_missing
from tweetprofile.data.images.roots import check_image_root
from tweetprofile.data.labels.columns import label_columns, other_columns
from tweetprofile.data.labels.values import ValueKind
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.texts import MAX_TEXT_BYTES, MAX_TEXTS, LimitsTexts
from tweetprofile.data.manifests.types import is_text
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.engines.jobs import ExamineJob
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.errors import ManifestError, OptionError
from tweetprofile.inspection.counting import InspectionCounter, ranked
from tweetprofile.inspection.profile_fields import count_profile_fields
from tweetprofile.inspection.report import Inspection
from tweetprofile.inspection.sampling import sample_batches
from tweetprofile.inspection.sharing import SharedImageCounter
from tweetprofile.inspection.texts import LANGUAGE_COLUMNS, TextCounter
from tweetprofile.job import (
    DETAIL,
    FRAME_SIDE,
    VOLUME_FRAMES,
    Detail,
    FrameSize,
    LimitsImages,
    WorkerFacts,
)
from tweetprofile.predicting.run import Progress
from tweetprofile.workers.profiles import Counts

_USERS_PER_SHARD = 256
"""Users that are read from the manifest at a time."""


@dataclass(frozen=True, slots=True)
class InspectOptions(LimitsTexts, LimitsImages):
    """How to inspect a manifest; for the limits of images, see `LimitsImages`.

    Attributes:
        image_root: The folder that image paths are relative to and never leave; None for the
            manifest's folder.
        checkpoint: The checkpoint whose volumes the expected outcome of `predict` is computed for:
            their number of frames, the size of these and how much of an image is decoded for them.
            None to assume 11 frames of 112 x 112: the inspection does not look for a default
            checkpoint.
        sample: The number of users to inspect, spread over the manifest; None for all.
        full_decode: Whether to decode every image. Otherwise an image is decoded only if its
            header and its end do not show whether it is usable.
        max_texts: The largest number of texts per user; further ones are only counted.
        max_text_bytes: The largest size of a text; a longer one is cut, and counted.
        detail: How much of an image is decoded, if it is: `full` or `frame`. None for the
            checkpoint's own, or for `frame` where there is no checkpoint.
        stall_seconds: The time, in seconds, after which a worker that has not even finished one
            image is considered to hang.

    Raises:
        OptionError: A value is out of range.
    """

    image_root: AnyPath | None = None
    checkpoint: Path | None = None
    sample: int | None = None
    full_decode: bool = False
    max_texts: int = MAX_TEXTS
    max_text_bytes: int = MAX_TEXT_BYTES
    detail: Detail | None = None
    stall_seconds: float = 300.0

    def __post_init__(self) -> None:
        LimitsImages.__post_init__(self)
        if self.sample is not None and self.sample < 1:
            raise OptionError(f"`sample` is {self.sample}; it must be at least 1.")
        _ = self.text_limits  # which checks them


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectPlan:
    """An inspection whose input has been checked, ready to run.

    Attributes:
        manifest: The manifest to inspect.
        users_in_manifest: The number of users in the manifest.
        job: The job of the workers.
        options: The options as given.
        engine_options: The options of the engine that follow from them.
        columns: The columns of the manifest that may be labels, and the kind of their values.
    """

    manifest: Manifest
    users_in_manifest: int
    job: ExamineJob
    options: InspectOptions
    engine_options: EngineOptions
    columns: Mapping[str, ValueKind]

    @property
    def users(self) -> int:
        """The number of users to inspect."""
        return min(self.users_in_manifest, self.options.sample or self.users_in_manifest)

    @property
    def language(self) -> str | None:
        """The column of languages, if the manifest has one of text."""
        fields = {field.name: field.type for field in self.manifest.schema}
        return next(
            (name for name in LANGUAGE_COLUMNS if name in fields and is_text(fields[name])), None
        )

    def engine(self) -> LocalEngine[WorkerFacts]:
        """Return the engine that examines the images; a context manager."""
        return LocalEngine(self.job, self.engine_options)

    def batches(self, users_per_batch: int) -> Iterator[UserBatch]:
        """Yield the users in batches of at most `users_per_batch`, with texts if there are any."""
        manifest, most = self.manifest, self.options.max_images
        texts = self.options.text_limits if manifest.has_texts else None
        columns = [*self.columns]
        if texts is not None and self.language is not None:
            columns.append(self.language)
        if self.users == self.users_in_manifest:
            yield from manifest.batches(
                _USERS_PER_SHARD, users_per_batch, columns, most, texts=texts
            )
            return
        for batch in sample_batches(
            manifest, self.users_in_manifest, self.users, columns, most, texts=texts
        ):
            for start in range(0, len(batch), users_per_batch):
                part = batch.table.slice(start, users_per_batch)
                yield UserBatch(batch.shard, batch.first + start, part)


def plan_inspection(manifest: str | Path, options: InspectOptions | None = None) -> InspectPlan:
    """Check everything that can be checked without reading an image.

    Args:
        manifest: A Parquet file, a folder of Parquet files or a glob.
        options: How to inspect; see `InspectOptions`.

    Raises:
        InputError: The manifest or an option is unusable; the message says which.
    """
    options = options or InspectOptions()
    engine_options = EngineOptions("cpu", options.stall_seconds)
    opened = Manifest.open(manifest)
    root = options.image_root or opened.folder
    check_image_root(root)
    frames, detail = _volume_of(options)
    reading = options.reading(root, detail)
    job = ExamineJob(frames, options=reading, full_decode=options.full_decode)
    columns = {
        name: kind for name, kind in label_columns(opened).items() if _is_everywhere(opened, name)
    }
    return InspectPlan(
        manifest=opened,
        users_in_manifest=opened.count_users(),
        job=job,
        options=options,
        engine_options=engine_options,
        columns=columns,
    )


def run_inspection(
    plan: InspectPlan,
    engine: LocalEngine[WorkerFacts],
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Inspection:
    """Inspect every user of the plan.

    Args:
        plan: The inspection to run.
        engine: The engine of the plan, already entered as a context manager.
        on_progress: A function that is called after every batch.

    Raises:
        ManifestError: The manifest is damaged beyond its beginning.
        WorkerError: Workers die and no user's images are the cause.
        WriteError: There is no space for temporary files.
    """
    began = time.monotonic()
    counts = Counts()
    with SharedImageCounter(plan.users_in_manifest) as shared_images:
        counter = InspectionCounter(plan.job.frames.frames, plan.columns, shared_images)
        texts = TextCounter(plan.language) if plan.manifest.has_texts else None
        batches = plan.batches(engine.users_per_task)
        if texts is not None:
            batches = texts.counted(batches)
        for batch, findings in engine.run(batches):
            counter.add(batch, findings)
            counts += Counts.of(findings, plan.options.max_images)
            on_progress(Progress(counts, plan.users, time.monotonic() - began))
        report = _report(plan, counter, shared_images, tuple(engine.deaths), began)
        return report if texts is None else replace(report, texts=texts.totals())


def inspect_manifest(
    manifest: str | Path,
    options: InspectOptions | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Inspection:
    """Report a manifest's images and labels, and the expected outcome of predicting its users.

    Args:
        manifest: A Parquet file, a folder of Parquet files or a glob.
        options: How to inspect; see `InspectOptions`.
        on_progress: A function that is called after every batch.

    Raises:
        TweetprofileError: As for `plan_inspection` and `run_inspection`.
    """
    plan = plan_inspection(manifest, options)
    with plan.engine() as engine:
        return run_inspection(plan, engine, on_progress)


def _volume_of(options: InspectOptions) -> tuple[FrameSize, Detail]:
    """Return the frames of the volumes to expect, and how much of an image is decoded for them."""
    if options.checkpoint is None:
        return FrameSize(VOLUME_FRAMES, FRAME_SIDE, FRAME_SIDE), options.detail or DETAIL
    from tweetprofile.checkpoints.checkpoint import load_checkpoint  # noqa: PLC0415 - imports torch

    spec = load_checkpoint(options.checkpoint).volume_spec
    return spec.frame_size(), options.detail or spec.detail


def _is_everywhere(manifest: Manifest, column: str) -> bool:
    """Return whether all files of a manifest have a column; label columns are optional."""
    try:
        manifest.require_columns([column])
    except ManifestError:
        return False
    return True


def _hints(plan: InspectPlan, counter: InspectionCounter) -> tuple[str, ...]:
    """Return sentences about what to check if no image is usable."""
    images = counter.images()
    if images.usable or not images.given:
        return ()
    return explain_missing(plan.manifest, plan.job.options.image_root)


def _report(
    plan: InspectPlan,
    counter: InspectionCounter,
    shared_images: SharedImageCounter,
    deaths: tuple[str, ...],
    began: float,
) -> Inspection:
    return Inspection(
        manifest=plan.manifest.source,
        form=plan.manifest.form,
        image_root=str(plan.job.options.image_root),
        users=counter.users,
        users_in_manifest=plan.users_in_manifest,
        full_decode=plan.options.full_decode,
        detail=plan.job.options.detail or DETAIL,
        images=counter.images(),
        images_per_user=counter.images_per_user.range(),
        histogram=counter.histogram,
        formats=ranked(counter.formats),
        widths=counter.widths.range(),
        heights=counter.heights.range(),
        sizes=counter.sizes.range(),
        reasons=ranked(counter.failures.counts),
        examples=counter.failures.examples(),
        sharing=shared_images.count(),
        texts=None,
        profile_fields=count_profile_fields(plan.manifest),
        outlook=counter.forecast(),
        labels=counter.labels.labels(),
        no_traits={**other_columns(plan.manifest), **counter.labels.no_traits()},
        label_notes=counter.labels.notes(),
        hints=_hints(plan, counter),
        deaths=deaths,
        seconds=time.monotonic() - began,
    )
