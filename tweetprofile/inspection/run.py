"""From a manifest to what is to be said of it: plan, examine batch by batch, tally, report."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.images.missing import explain_missing
from tweetprofile.data.images.reader import MAX_IMAGE_BYTES
from tweetprofile.data.images.roots import check_image_root
from tweetprofile.data.labels.columns import label_columns, other_columns
from tweetprofile.data.labels.values import ValueKind
from tweetprofile.data.manifests.manifest import MAX_IMAGES, Manifest, UserBatch
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.engines.messages import ExamineJob
from tweetprofile.errors import ManifestError, OptionError
from tweetprofile.inspection.report import Inspection
from tweetprofile.inspection.sampling import sample_batches
from tweetprofile.inspection.sharing import ImageLedger
from tweetprofile.inspection.tally import Tally, ranked
from tweetprofile.job import (
    MAX_IMAGE_SECONDS,
    MAX_PIXELS,
    VOLUME_FRAMES,
    ExaminerFacts,
    PredictorOptions,
)
from tweetprofile.predicting.run import Progress
from tweetprofile.workers.profiles import Counts

_USERS_A_SHARD = 256
"""Users of whom the manifest is read at a time."""


@dataclass(frozen=True, slots=True)
class InspectOptions:
    """How `inspect_manifest` works.

    Attributes:
        image_root: folder that image paths are relative to and never leave; None for the
            manifest's own.
        checkpoint: the model whose volumes predicting would make; None for the usual ones.
        sample: only so many users, spread over the manifest; None for all.
        full_decode: whether to decode every image, and not only those whose headers do not vouch
            for them.
        max_images: images a user; those beyond are counted and not looked at.
        max_pixels: cap of an image's width x height.
        max_image_bytes: cap of an encoded image.
        max_image_seconds: cap of the processor time that decoding an image takes.
        stall_seconds: a worker that finishes nothing for so long, not even an image, hangs.

    Raises:
        OptionError: a value out of range.
    """

    image_root: AnyPath | None = None
    checkpoint: Path | None = None
    sample: int | None = None
    full_decode: bool = False
    max_images: int = MAX_IMAGES
    max_pixels: int = MAX_PIXELS
    max_image_bytes: int = MAX_IMAGE_BYTES
    max_image_seconds: float = MAX_IMAGE_SECONDS
    stall_seconds: float = 300.0

    def __post_init__(self) -> None:
        if self.sample is not None and self.sample < 1:
            raise OptionError(f"--sample {self.sample} must be at least 1.")
        if self.max_images < 1:
            raise OptionError(f"--max-images {self.max_images} must be at least 1.")


@dataclass(frozen=True, slots=True)
class InspectPlan:
    """An inspection whose input has been checked and of which nothing has been done.

    Attributes:
        manifest: whom to inspect.
        users_in_manifest: how many there are.
        job: what workers are to do.
        options: as given.
        engine_options: what they mean for the engine.
        columns: of the manifest, that may be labels, and what they hold.
    """

    manifest: Manifest
    users_in_manifest: int
    job: ExamineJob
    options: InspectOptions
    engine_options: EngineOptions
    columns: Mapping[str, ValueKind]

    @property
    def users(self) -> int:
        """How many will be inspected."""
        return min(self.users_in_manifest, self.options.sample or self.users_in_manifest)

    def engine(self) -> LocalEngine[ExaminerFacts]:
        """What will look at the images; to be entered."""
        return LocalEngine(self.job, self.engine_options)

    def batches(self, users_per_batch: int) -> Iterator[UserBatch]:
        """The users, in batches of so many or fewer."""
        manifest, columns, most = self.manifest, tuple(self.columns), self.options.max_images
        if self.users == self.users_in_manifest:
            yield from manifest.batches(_USERS_A_SHARD, users_per_batch, columns, most)
            return
        for run in sample_batches(manifest, self.users_in_manifest, self.users, columns, most):
            for start in range(0, len(run), users_per_batch):
                part = run.table.slice(start, users_per_batch)
                yield UserBatch(run.shard, run.first + start, part)


def plan_inspection(manifest: str | Path, options: InspectOptions | None = None) -> InspectPlan:
    """Check everything that can be checked without looking at an image.

    Raises:
        InputError: manifest or option is unusable; says which.
    """
    options = options or InspectOptions()
    engine_options = EngineOptions("cpu", options.stall_seconds)
    opened = Manifest.open(manifest)
    root = options.image_root or opened.folder
    check_image_root(root)
    predictor_options = PredictorOptions(
        root,
        decoder="pillow",
        max_pixels=options.max_pixels,
        max_image_bytes=options.max_image_bytes,
        max_image_seconds=options.max_image_seconds,
    )
    job = ExamineJob(_frames_of(options.checkpoint), predictor_options, options.full_decode)
    columns = {
        name: kind for name, kind in label_columns(opened).items() if _is_everywhere(opened, name)
    }
    return InspectPlan(opened, opened.count_users(), job, options, engine_options, columns)


def run_inspection(
    plan: InspectPlan,
    engine: LocalEngine[ExaminerFacts],
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Inspection:
    """Inspect every user of the plan.

    Args:
        plan: what to do.
        engine: that has been entered.
        on_progress: called after every batch.

    Raises:
        ManifestError: the manifest is damaged further in.
        WorkerError: workers die with no user to blame.
        WriteError: there is no room for temporary files.
    """
    began = time.monotonic()
    counts = Counts()
    with ImageLedger(plan.users_in_manifest) as ledger:
        tally = Tally(plan.job.frames, plan.columns, ledger)
        for batch, findings in engine.run(plan.batches(engine.users_per_task)):
            tally.add(batch, findings)
            counts += Counts.of(findings, plan.options.max_images)
            on_progress(Progress(counts, plan.users, time.monotonic() - began))
        return _report(plan, tally, ledger, tuple(engine.deaths), began)


def inspect_manifest(
    manifest: str | Path,
    options: InspectOptions | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Inspection:
    """Say what a manifest's images are, and what predicting would make of its users.

    Args:
        manifest: a Parquet file, a folder of them or a glob.
        options: how.
        on_progress: called after every batch.

    Raises:
        TweetprofileError: see `plan_inspection` and `run_inspection`.
    """
    plan = plan_inspection(manifest, options)
    with plan.engine() as engine:
        return run_inspection(plan, engine, on_progress)


def _frames_of(checkpoint: Path | None) -> int:
    """Frames of a checkpoint's volumes, or of the usual ones."""
    if checkpoint is None:
        return VOLUME_FRAMES
    from tweetprofile.checkpoints.checkpoint import load_checkpoint  # noqa: PLC0415 - it brings in torch

    return load_checkpoint(checkpoint).volume_spec.frames


def _is_everywhere(manifest: Manifest, column: str) -> bool:
    """Whether all files of a manifest have a column: predicting does not need labels."""
    try:
        manifest.require_columns([column])
    except ManifestError:
        return False
    return True


def _hints(plan: InspectPlan, tally: Tally) -> tuple[str, ...]:
    """What to check, where not one image is usable."""
    images = tally.images()
    if images.usable or not images.given:
        return ()
    return explain_missing(plan.manifest, plan.job.options.image_root)


def _report(
    plan: InspectPlan, tally: Tally, ledger: ImageLedger, deaths: tuple[str, ...], began: float
) -> Inspection:
    return Inspection(
        manifest=plan.manifest.source,
        form=plan.manifest.form,
        image_root=str(plan.job.options.image_root),
        users=tally.users,
        users_in_manifest=plan.users_in_manifest,
        full_decode=plan.options.full_decode,
        images=tally.images(),
        images_per_user=tally.images_per_user.range(),
        histogram=tally.histogram,
        formats=ranked(tally.formats),
        widths=tally.widths.range(),
        heights=tally.heights.range(),
        sizes=tally.sizes.range(),
        reasons=ranked(tally.failures.counts),
        examples=tally.failures.examples(),
        sharing=ledger.count(),
        outlook=tally.outlook(),
        labels=tally.labels.labels(),
        no_traits={**other_columns(plan.manifest), **tally.labels.no_traits()},
        label_notes=tally.labels.notes(),
        hints=_hints(plan, tally),
        deaths=deaths,
        seconds=time.monotonic() - began,
    )
