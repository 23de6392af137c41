"""The whole journey: plan, predict batch by batch, write shard by shard, sum up."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.engines.messages import PredictJob
from tweetprofile.engines.shards import ShardEngine, ShardSource
from tweetprofile.errors import ManifestError, OptionError, TooManyFailuresError
from tweetprofile.images import MAX_IMAGE_BYTES, ImageReader
from tweetprofile.job import MAX_PIXELS, DecoderName, Precision, PredictorFacts, PredictorOptions
from tweetprofile.manifest import MAX_IMAGES, Manifest, UserBatch
from tweetprofile.models import find_checkpoint
from tweetprofile.output import Place, ProfileWriter, check_output, take_finished
from tweetprofile.profiles import Counts, profile_schema
from tweetprofile.record import RunRecord
from tweetprofile.stages import Stage, StageClock
from tweetprofile.storage import AnyPath, canonical
from tweetprofile.summary import PredictSummary, StageTimes, check_stats, write_stats
from tweetprofile.version import __version__

EngineName = Literal["local", "ray"]


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """How `predict_manifest` works.

    Attributes:
        checkpoint: the model file; None for $TWEETPROFILE_CHECKPOINT, else the last trained.
        image_root: folder that image paths are relative to and never leave; None for the
            manifest's own.
        devices: `auto`, `cpu`, `cuda`, `cuda:N`, or several with commas between.
        engine: `local`, or `ray` for the machines of a cluster.
        ray_address: of the cluster; None for one of this machine alone.
        decoder: `auto`, `dali` or `pillow`.
        precision: `auto`, `bf16`, `fp16` or `fp32`.
        batch_size: users a forward pass; 0 for what suits the device.
        users_per_shard: users written as one unit; what an interrupted run may have to redo.
        limit: only the first so many users; None for all.
        keep: columns of the manifest to copy to the output.
        clips: volumes to make of a user with more images than one holds; their mean is taken.
        orders: orders of the frames to take the mean over (model1, model2).
        views: views of each frame to take the mean over: 1, 2 (mirrored) or 4 (and the middle).
        max_images: images a user; those beyond are counted and not looked at.
        max_pixels: cap of an image's width x height.
        max_image_bytes: cap of an encoded image.
        max_failed: share of the images (0 to 1) that may fail before the run counts as a failure.
        stats: file that gets the summary as JSON; None for none.
        stall_seconds: a batch that takes longer means that its worker hangs.
        overwrite: whether an existing output may be replaced.
        resume: whether to go on with an unfinished run, where there is one.
        keep_logs: whether what decoding libraries print is kept beside the output.

    Raises:
        OptionError: a value out of range.
    """

    checkpoint: Path | None = None
    image_root: AnyPath | None = None
    devices: str = "auto"
    engine: EngineName = "local"
    ray_address: str | None = None
    decoder: DecoderName = "auto"
    precision: Precision = "auto"
    batch_size: int = 0
    users_per_shard: int = 256
    limit: int | None = None
    keep: tuple[str, ...] = ()
    clips: int = 1
    orders: int = 1
    views: int = 1
    max_images: int = MAX_IMAGES
    max_pixels: int = MAX_PIXELS
    max_image_bytes: int = MAX_IMAGE_BYTES
    max_failed: float = 1.0
    stats: Path | None = None
    stall_seconds: float = 300.0
    overwrite: bool = False
    resume: bool = False
    keep_logs: bool = False

    def __post_init__(self) -> None:
        if self.ray_address is not None and self.engine != "ray":
            raise OptionError("--ray-address is for --engine ray; give both or neither.")
        if self.users_per_shard < 1:
            raise OptionError(f"--users-per-shard {self.users_per_shard} must be at least 1.")
        if self.limit is not None and self.limit < 0:
            raise OptionError(f"--limit {self.limit} must not be below 0.")
        if self.max_images < 1:
            raise OptionError(f"--max-images {self.max_images} must be at least 1.")
        if not 0.0 <= self.max_failed <= 1.0:
            raise OptionError(f"--max-failed {self.max_failed} must be from 0 to 1.")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    Attributes:
        counts: what is done, by this run and by the one that it resumes.
        resumed: how much of it the resumed run had done.
        users_total: of how many users.
        seconds: since this run began to predict.
    """

    counts: Counts
    users_total: int
    seconds: float
    resumed: Counts = field(default_factory=Counts)


@dataclass(frozen=True, slots=True)
class PredictPlan:
    """A run whose input has been checked and of which nothing has been done.

    Attributes:
        manifest: whom to predict.
        users: how many of them.
        job: with what and how.
        out: where to.
        options: the options as given.
        engine_options: what they mean for the engine.
    """

    manifest: Manifest
    users: int
    job: PredictJob
    out: str
    options: PredictOptions
    engine_options: EngineOptions

    @property
    def shards(self) -> int:
        """How many shards there will be; one without a user where there is none."""
        return max(1, -(-self.users // self.options.users_per_shard))

    def shard_size(self, shard: int) -> int:
        """Users of a shard."""
        return min(self.options.users_per_shard, self.users - shard * self.options.users_per_shard)

    def engine(self) -> ShardEngine:
        """What will do the work; to be entered."""
        if self.options.engine == "ray":
            return _ray_engine(self)
        return LocalEngine(self.job, self.engine_options)

    @property
    def source(self) -> ShardSource:
        """Where the shards of the users come from."""
        options = self.options
        return ShardSource(
            self.manifest, self.users, options.users_per_shard, options.keep, options.max_images
        )

    def output_schema(self, facts: PredictorFacts) -> pa.Schema:
        """The columns that will be written."""
        columns = profile_schema(facts.schema, self.manifest.user_id_type)
        for name in self.options.keep:
            columns = columns.append(self.manifest.plain_field(name))
        return columns

    def record(self, facts: PredictorFacts) -> RunRecord:
        """What decides what is written; it goes into the output, too."""
        options = self.options
        described: dict[str, Any] = {
            "version": __version__,
            "checkpoint_sha256": facts.checkpoint_sha256,
            "network": facts.network,
            "schema": facts.schema.to_dict(),
            "volume": dict(facts.volume),
            "decoder": facts.decoder,
            "device": facts.device,
            "precision": facts.precision,
            "batch_size": facts.batch_size,
            "manifest_fingerprint": self.manifest.fingerprint(),
            "image_root_sha256": _sha256(self.job.options.image_root),
            "users_per_shard": options.users_per_shard,
            "limit": options.limit,
            "keep": options.keep,
            "clips": options.clips,
            "orders": options.orders,
            "views": options.views,
            "max_images": options.max_images,
            "max_pixels": options.max_pixels,
            "max_image_bytes": options.max_image_bytes,
        }
        return RunRecord.new(described, overwrite=options.overwrite)


def plan_prediction(
    manifest: str | Path, out: str | Path, options: PredictOptions | None = None
) -> PredictPlan:
    """Check everything that can be checked without a worker.

    Raises:
        InputError: manifest, option or output is unusable; says which.
    """
    options = options or PredictOptions()
    log = Place.of(str(out)).path if options.keep_logs else None
    engine_options = EngineOptions(options.devices, options.stall_seconds, log)
    check_output(str(out), overwrite=options.overwrite, resume=options.resume)
    if options.stats is not None:
        check_stats(options.stats, overwrite=options.overwrite or options.resume)
    opened = Manifest.open(manifest)
    opened.require_columns(options.keep)
    checkpoint = find_checkpoint(options.checkpoint)
    root = options.image_root or opened.folder
    ImageReader(root)
    job = PredictJob(
        checkpoint,
        PredictorOptions(
            root,
            decoder=options.decoder,
            precision=options.precision,
            batch_size=options.batch_size,
            max_pixels=options.max_pixels,
            max_image_bytes=options.max_image_bytes,
            clips=options.clips,
            orders=options.orders,
            views=options.views,
        ),
    )
    users = opened.count_users()
    users = users if options.limit is None else min(users, options.limit)
    return PredictPlan(opened, users, job, str(out), options, engine_options)


def run_plan(
    plan: PredictPlan,
    engine: ShardEngine,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> PredictSummary:
    """Predict every user of the plan and write the profiles.

    Args:
        plan: what to do.
        engine: that has been entered.
        on_progress: called after every batch.

    Raises:
        InputError: the output must not be written, or is of another run than the one to resume.
        TooManyFailuresError: all is written, but too many images failed.
        WriteError: the output could not be written.
        WorkerError: workers die with no user to blame.
        ManifestError: the manifest is damaged further in.
    """
    _refuse_clashes(plan.options.keep, engine.facts)
    record = plan.record(engine.facts)
    before = take_finished(plan.out, record) if plan.options.resume else None
    if before is not None:
        summary = PredictSummary(plan.out, before, 0.0, engine.facts, before)
    else:
        summary = _write_profiles(plan, engine, record, on_progress)
    if plan.options.stats is not None:
        write_stats(plan.options.stats, summary)
    _judge_failures(summary, plan.options.max_failed)
    return summary


def _write_profiles(
    plan: PredictPlan,
    engine: ShardEngine,
    record: RunRecord,
    on_progress: Callable[[Progress], None],
) -> PredictSummary:
    began = time.monotonic()
    schema = plan.output_schema(engine.facts)
    with ProfileWriter(plan.out, schema, record, plan.shards, resume=plan.options.resume) as writer:
        run = _Run(plan, writer, schema)
        for batch, profiles in run.predicted(engine):
            run.add(batch, profiles)
            on_progress(Progress(run.counts, plan.users, time.monotonic() - began, run.resumed))
        if run.counts.users != plan.users:
            raise ManifestError(
                f"{plan.manifest.source} has changed while it was read: {run.counts.users} users "
                f"where there were {plan.users}; run the command again."
            )
        run.finish()
    run.clock.add(engine.beside.take())
    seconds = time.monotonic() - began
    return PredictSummary(
        plan.out,
        run.counts,
        seconds,
        engine.facts,
        run.resumed,
        tuple(engine.deaths),
        StageTimes.of(engine.clock.take(), engine.turns, run.clock.take(), seconds),
    )


def predict_manifest(
    manifest: str | Path,
    out: str | Path,
    options: PredictOptions | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> PredictSummary:
    """Predict the profile of every user of a manifest and write them as Parquet.

    Args:
        manifest: a Parquet file, a folder of them or a glob.
        out: the Parquet file to write, or with a `/` at its end a folder of them.
        options: how.
        on_progress: called after every batch.

    Raises:
        TweetprofileError: see `plan_prediction` and `run_plan`.
    """
    plan = plan_prediction(manifest, out, options)
    with plan.engine() as engine:
        return run_plan(plan, engine, on_progress)


class _Run:
    """Batches that become shards: which are still to be predicted, and what has come of the others.

    Args:
        plan: what to do.
        writer: gets each shard when it is complete.
        schema: the columns to write.
    """

    def __init__(self, plan: PredictPlan, writer: ProfileWriter, schema: pa.Schema) -> None:
        self._plan = plan
        self._writer = writer
        self._schema = schema
        self._begun: dict[int, dict[int, pa.Table]] = {}
        self.clock = StageClock()
        self.resumed = self.counts = writer.counts

    def predicted(self, engine: ShardEngine) -> Iterator[tuple[UserBatch, pa.Table]]:
        """The batches of the shards that are not finished, with their profiles, as they come."""
        if not self._plan.users and not self._writer.finished:
            self._writer.write(0, self._schema.empty_table(), Counts())
        finished = self._writer.finished
        unfinished = [shard for shard in range(self._plan.shards) if shard not in finished]
        yield from engine.run_shards(self._plan.source, unfinished)

    def add(self, batch: UserBatch, profiles: pa.Table) -> None:
        """Take the profiles of a batch; its shard is written when it is complete."""
        with self.clock.timing(Stage.WRITE):
            self._add(batch, profiles)

    def finish(self) -> None:
        """Put the output together, all shards being written."""
        with self.clock.timing(Stage.WRITE):
            self._writer.finish()

    def _add(self, batch: UserBatch, profiles: pa.Table) -> None:
        begun = self._begun.setdefault(batch.shard, {})
        begun[batch.first] = self._finished_columns(batch, profiles)
        self.counts += Counts.of(profiles, self._plan.options.max_images)
        if sum(map(len, begun.values())) == self._plan.shard_size(batch.shard):
            shard = pa.concat_tables(begun[first] for first in sorted(begun)).unify_dictionaries()
            del self._begun[batch.shard]
            counts = Counts.of(shard, self._plan.options.max_images)
            self._writer.write(batch.shard, shard, counts)

    def _finished_columns(self, batch: UserBatch, profiles: pa.Table) -> pa.Table:
        profiles = profiles.add_column(0, "user_id", batch.table["user_id"])
        for name in self._plan.options.keep:
            profiles = profiles.append_column(name, batch.table[name])
        return profiles.cast(self._schema)


def _ray_engine(plan: PredictPlan) -> ShardEngine:
    try:
        from tweetprofile.engines.ray import RayEngine  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise OptionError(
            f"--engine ray needs Ray, which cannot be imported ({error}); pip install "
            "'tweetprofile[ray]'."
        ) from error
    return RayEngine(plan.job, plan.engine_options, plan.options.ray_address)


def _refuse_clashes(keep: tuple[str, ...], facts: PredictorFacts) -> None:
    taken = set(profile_schema(facts.schema, pa.string()).names)
    for name in keep:
        if name in taken:
            raise OptionError(
                f"--keep {name}: the output has a column of that name already; rename it in the "
                "manifest."
            )


def _sha256(path: AnyPath) -> str:
    """Stands for a path in what may be published."""
    return hashlib.sha256(canonical(path).encode()).hexdigest()


def _judge_failures(summary: PredictSummary, max_failed: float) -> None:
    counts = summary.counts
    if counts.failed > max_failed * counts.images:
        raise TooManyFailuresError(
            f"{summary.out} is complete, but {counts.failed} of {counts.images} images failed, "
            f"more than --max-failed {max_failed} allows; see its column image_errors."
        )
