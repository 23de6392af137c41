"""A run from manifest to output: batch by batch to workers, shard by shard to disk, then a sum."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

import pyarrow as pa

from tweetprofile.data.images.missing import explain_missing
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.engines.shards import ShardEngine
from tweetprofile.errors import ManifestError, OptionError, TooManyFailuresError
from tweetprofile.job import RunFactsT
from tweetprofile.plurals import count_of, one_or_many
from tweetprofile.predicting.embedding import EmbedOptions, planned_embedding
from tweetprofile.predicting.finished import take_finished
from tweetprofile.predicting.output import RowWriter
from tweetprofile.predicting.plan import PredictOptions, plan_prediction
from tweetprofile.predicting.planning import RunPlan
from tweetprofile.predicting.record import RunRecord
from tweetprofile.predicting.summary import PredictSummary, StageTimes, write_stats
from tweetprofile.stages import Stage, StageClock
from tweetprofile.workers.evidence import EVIDENCE_COLUMNS
from tweetprofile.workers.profiles import Counts


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    Attributes:
        counts: The numbers of users and images that are finished, including those of the run that
            this one resumes.
        users_total: The number of all users.
        seconds: The time since this run began to predict.
        resumed: The numbers of users and images that the resumed run had finished.
    """

    counts: Counts
    users_total: int
    seconds: float
    resumed: Counts = field(default_factory=Counts)


def run_plan(
    plan: RunPlan[RunFactsT],
    engine: ShardEngine[RunFactsT],
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> PredictSummary:
    """Predict or embed every user of the plan and write the rows.

    Args:
        plan: The plan; see `plan_prediction` and `planned_embedding`.
        engine: The engine, whose block has been entered.
        on_progress: A function to call after every batch.

    Raises:
        InputError: The output must not be written, or comes from another run than the one to
            resume.
        TooManyFailuresError: The output is complete, but too many images are unusable, or all.
        WriteError: The output cannot be written.
        WorkerError: Workers keep crashing, and no user is the cause.
        ManifestError: The manifest is damaged.
    """
    _require_free_names(plan, engine.facts)
    plan.require_input(engine.facts)
    record = plan.record(engine.facts)
    before = take_finished(plan.out, record) if plan.options.resume else None
    if before is not None:
        summary = PredictSummary(plan.out, before, 0.0, engine.facts, resumed=before)
    else:
        summary = _write_rows(plan, engine, record, on_progress)
    if plan.options.stats is not None:
        overwrite = plan.options.overwrite or plan.options.resume
        write_stats(plan.options.stats, summary, overwrite=overwrite)
    _require_few_failures(summary, plan)
    return summary


def _write_rows(
    plan: RunPlan[RunFactsT],
    engine: ShardEngine[RunFactsT],
    record: RunRecord,
    on_progress: Callable[[Progress], None],
) -> PredictSummary:
    began = time.monotonic()
    schema = plan.output_schema(engine.facts)
    with RowWriter(
        plan.out, schema, record, plan.shards, resume=plan.options.resume, inputs=plan.inputs
    ) as writer:
        run = _Run(plan, writer, engine.facts, schema)
        for batch, table in run.processed(engine):
            run.add(batch, table)
            on_progress(Progress(run.counts, plan.users, time.monotonic() - began, run.resumed))
        if run.counts.users != plan.users:
            raise ManifestError(
                f"{plan.manifest.source} was changed while it was being read: it has "
                f"{count_of(run.counts.users, 'user')} instead of {plan.users}; start the run "
                "again."
            )
        run.finish()
    run.clock.add(engine.supervisor_clock.take())
    seconds = time.monotonic() - began
    return PredictSummary(
        out=plan.out,
        counts=run.counts,
        seconds=seconds,
        facts=engine.facts,
        resumed=run.resumed,
        deaths=tuple(engine.deaths),
        times=StageTimes.of(
            workers=engine.clock.take(),
            compute_slots=engine.compute_slots,
            supervisor=run.clock.take(),
            seconds=seconds,
        ),
    )


def predict_manifest(
    manifest: str | Path,
    out: str | Path,
    options: PredictOptions | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> PredictSummary:
    """Predict the profile of every user of a manifest and write the profiles.

    Args:
        manifest: A Parquet file, a folder of them or a glob.
        out: The file to write: `.parquet` or no ending for Parquet, `.csv` for CSV; with a `/` at
            its end, a folder of Parquet files.
        options: How to predict; see `PredictOptions`.
        on_progress: A function to call after every batch; see `Progress`.

    Returns:
        The counts of the run, and where its time went.

    Raises:
        TweetprofileError: See `plan_prediction` and `run_plan`.
    """
    plan = plan_prediction(manifest, out, options)
    with plan.engine() as engine:
        return run_plan(plan, engine, on_progress)


def embed_manifest(
    manifest: str | Path,
    out: str | Path,
    options: EmbedOptions | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> PredictSummary:
    """Embed the images of every user of a manifest and write one vector per image or per user.

    Args:
        manifest: A Parquet file, a folder of them or a glob.
        out: The Parquet file to write; with a `/` at its end, a folder of Parquet files.
        options: How to embed; see `EmbedOptions`.
        on_progress: A function to call after every batch; see `Progress`.

    Returns:
        The counts of the run, and where its time went.

    Raises:
        TweetprofileError: See `planned_embedding` and `run_plan`.
    """
    with planned_embedding(manifest, out, options) as plan, plan.engine() as engine:
        return run_plan(plan, engine, on_progress)


class _Run(Generic[RunFactsT]):
    """Collects finished batches until their shard is complete, and counts users and images.

    Args:
        plan: The plan of the run.
        writer: Writes each shard when it is complete.
        facts: What the workers reported about themselves.
        schema: The columns of the output.

    Attributes:
        clock: The seconds per stage that the supervisor has spent.
        resumed: The counts of the shards that an earlier run had finished.
        counts: The counts of all users so far.
    """

    def __init__(
        self,
        plan: RunPlan[RunFactsT],
        writer: RowWriter,
        facts: RunFactsT,
        schema: pa.Schema,
    ) -> None:
        self._plan: RunPlan[RunFactsT] = plan
        self._writer = writer
        self._facts: RunFactsT = facts
        self._schema = schema
        self._begun: dict[int, dict[int, pa.Table]] = {}
        self.clock = StageClock()
        self.resumed = self.counts = writer.counts

    def processed(self, engine: ShardEngine[RunFactsT]) -> Iterator[tuple[UserBatch, pa.Table]]:
        """Yield the batches of the unfinished shards with the tables of workers, in any order."""
        if not self._plan.users and not self._writer.finished:
            self._writer.write(0, self._schema.empty_table(), Counts())
        finished = self._writer.finished
        unfinished = [shard for shard in range(self._plan.shards) if shard not in finished]
        yield from engine.run_shards(self._plan.source, unfinished)

    def add(self, batch: UserBatch, table: pa.Table) -> None:
        """Add the table of a batch, and write its shard if it is now complete."""
        with self.clock.timing(Stage.WRITE):
            self._add(batch, table)

    def finish(self) -> None:
        """Make the output from the shards, all of which must be written."""
        with self.clock.timing(Stage.WRITE):
            self._writer.finish()

    def _add(self, batch: UserBatch, table: pa.Table) -> None:
        begun = self._begun.setdefault(batch.shard, {})
        begun[batch.first] = self._finished_columns(batch, table)
        self.counts += Counts.of(table, self._plan.options.max_images)
        if sum(map(len, begun.values())) == self._plan.shard_size(batch.shard):
            shard = pa.concat_tables(begun[first] for first in sorted(begun)).unify_dictionaries()
            del self._begun[batch.shard]
            counts = Counts.of(shard, self._plan.options.max_images)
            self._writer.write(batch.shard, shard, counts)

    def _finished_columns(self, batch: UserBatch, table: pa.Table) -> pa.Table:
        rows = self._plan.rows.of(table, self._facts)
        rows = rows.add_column(0, "user_id", batch.table["user_id"])
        for name in self._plan.options.keep:
            rows = rows.append_column(name, batch.table[name])
        return rows.cast(self._schema)


def _require_free_names(plan: RunPlan[RunFactsT], facts: RunFactsT) -> None:
    """Raise OptionError if a kept column has the name of a column of the output."""
    names = plan.rows.schema(facts, pa.string()).names
    taken = set(names)
    for name in taken & set(EVIDENCE_COLUMNS):
        if names.count(name) > 1:
            raise OptionError(
                f"`evidence` adds a column '{name}', which is also the name of a trait of the "
                "model; leave `evidence` out."
            )
    for name in plan.options.keep:
        if name in taken:
            raise OptionError(
                f"`keep` {name}: the output already has a column of that name; rename it in the "
                "manifest."
            )


def _require_few_failures(summary: PredictSummary, plan: RunPlan[RunFactsT]) -> None:
    """Raise TooManyFailuresError if more images are unusable than the options allow, or all."""
    counts, max_failed = summary.counts, plan.options.max_failed
    if counts.images and not counts.users_with_frames:
        hints = explain_missing(plan.manifest, plan.job.options.image_root)
        why = hints[0].rstrip(".") if hints else "see its column image_errors"
        none = f"not one of its {counts.images:,} images was usable"
        none = one_or_many(counts.images, "its only image was not usable", none)
        raise TooManyFailuresError(f"{summary.out} is complete, but {none}: {why}.")
    if counts.failed > max_failed * counts.images:
        raise TooManyFailuresError(
            f"{summary.out} is complete, but {counts.failed:,} of "
            f"{count_of(counts.images, 'image')} failed, more than `max_failed` {max_failed} "
            "allows; see its column image_errors."
        )
