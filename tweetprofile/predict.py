"""The whole journey: plan, predict shard by shard, write, sum up."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from tweetprofile.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from tweetprofile.decoders import DecoderName
from tweetprofile.devices import Precision
from tweetprofile.errors import OptionError, TooManyFailuresError
from tweetprofile.inference import Predictor, PredictorOptions
from tweetprofile.manifest import Manifest, Shard
from tweetprofile.output import ProfileWriter, check_output
from tweetprofile.profiles import Counts, profile_schema
from tweetprofile.version import __version__


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """How `predict_manifest` works.

    Attributes:
        checkpoint: the model file; None for $TWEETPROFILE_CHECKPOINT, else the last trained.
        image_root: folder that image paths are relative to and never leave; None for the
            manifest's own.
        devices: `auto`, `cpu`, `cuda` or `cuda:N`.
        decoder: `auto`, `dali` or `pillow`.
        precision: `auto`, `bf16`, `fp16` or `fp32`.
        batch_size: users a forward pass; 0 for what suits the device.
        users_per_shard: users read and handled as one unit; memory grows with it.
        limit: only the first so many users; None for all.
        keep: columns of the manifest to copy to the output.
        max_failed: share of the images (0 to 1) that may fail before the run counts as a failure.
        overwrite: whether an existing output may be replaced.

    Raises:
        OptionError: a value out of range.
    """

    checkpoint: Path | None = None
    image_root: Path | None = None
    devices: str = "auto"
    decoder: DecoderName = "auto"
    precision: Precision = "auto"
    batch_size: int = 0
    users_per_shard: int = 256
    limit: int | None = None
    keep: tuple[str, ...] = ()
    max_failed: float = 1.0
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.users_per_shard < 1:
            raise OptionError(f"--users-per-shard {self.users_per_shard} must be at least 1.")
        if self.limit is not None and self.limit < 0:
            raise OptionError(f"--limit {self.limit} must not be below 0.")
        if not 0.0 <= self.max_failed <= 1.0:
            raise OptionError(f"--max-failed {self.max_failed} must be from 0 to 1.")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: what is done, of how many users, after how many seconds."""

    counts: Counts
    users_total: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PredictSummary:
    """What a finished run came to.

    Attributes:
        out: what was written.
        counts: users and images.
        seconds: from the first shard to the last byte, without loading the model.
    """

    out: str
    counts: Counts
    seconds: float


@dataclass(frozen=True, slots=True)
class PredictPlan:
    """A run whose every part has been checked and of which nothing has been done.

    Attributes:
        manifest: whom to predict.
        users: how many of them.
        checkpoint: with what.
        predictor: on what.
        out: where to.
        options: the options as given.
        image_root: folder that image paths are relative to.
    """

    manifest: Manifest
    users: int
    checkpoint: Checkpoint
    predictor: Predictor
    out: str
    options: PredictOptions
    image_root: Path

    def describe(self) -> dict[str, Any]:
        """What the output says of how it was made, as JSON."""
        return {
            "version": __version__,
            "checkpoint_sha256": self.checkpoint.sha256,
            "network": self.checkpoint.network_spec.name,
            "schema": self.checkpoint.schema.to_dict(),
            "volume": asdict(self.checkpoint.volume_spec),
            "decoder": self.predictor.decoder,
            "device": self.predictor.device.type,
            "precision": self.predictor.precision,
            "manifest_fingerprint": self.manifest.fingerprint(),
        }

    def output_schema(self) -> pa.Schema:
        """The columns that will be written."""
        columns = profile_schema(self.checkpoint.schema, self.manifest.user_id_type)
        for name in self.options.keep:
            columns = columns.append(self.manifest.plain_field(name))
        return columns


def plan_prediction(
    manifest: str | Path, out: str | Path, options: PredictOptions | None = None
) -> PredictPlan:
    """Check everything that can be checked before any work.

    Raises:
        InputError: manifest, checkpoint, option or output is unusable; says which.
    """
    options = options or PredictOptions()
    check_output(str(out), overwrite=options.overwrite)
    opened = Manifest.open(manifest)
    opened.require_columns(options.keep)
    checkpoint = load_checkpoint(find_checkpoint(options.checkpoint))
    _refuse_clashes(options.keep, checkpoint)
    root = options.image_root or opened.folder
    predictor = Predictor(
        checkpoint,
        PredictorOptions(
            root, options.devices, options.decoder, options.precision, options.batch_size
        ),
    )
    users = opened.count_users()
    users = users if options.limit is None else min(users, options.limit)
    return PredictPlan(opened, users, checkpoint, predictor, str(out), options, root)


def run_plan(
    plan: PredictPlan, on_progress: Callable[[Progress], None] = lambda progress: None
) -> PredictSummary:
    """Predict every user of the plan and write the profiles.

    Raises:
        TooManyFailuresError: all is written, but too many images failed.
        WriteError: the output could not be written.
        ManifestError: the manifest is damaged further in.
    """
    began = time.monotonic()
    schema = plan.output_schema()
    with ProfileWriter(
        plan.out, schema, plan.describe(), overwrite=plan.options.overwrite
    ) as writer:
        for shard in _shards(plan):
            writer.write(_predict_shard(plan, shard).cast(schema))
            on_progress(Progress(writer.counts, plan.users, time.monotonic() - began))
    summary = PredictSummary(plan.out, writer.counts, time.monotonic() - began)
    _judge_failures(summary, plan.options.max_failed)
    return summary


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
        on_progress: called after every shard.

    Raises:
        TweetprofileError: see `plan_prediction` and `run_plan`.
    """
    return run_plan(plan_prediction(manifest, out, options), on_progress)


def _shards(plan: PredictPlan) -> Iterator[Shard]:
    """The plan's shards, the last one cut where the limit says."""
    size = plan.options.users_per_shard
    count = -(-plan.users // size)
    for shard in islice(plan.manifest.shards(size, plan.options.keep), count):
        yield replace(shard, table=shard.table.slice(0, plan.users - shard.first))


def _predict_shard(plan: PredictPlan, shard: Shard) -> pa.Table:
    profiles = plan.predictor(shard.users).set_column(0, "user_id", shard.table["user_id"])
    for name in plan.options.keep:
        profiles = profiles.append_column(name, shard.table[name])
    return profiles


def _refuse_clashes(keep: tuple[str, ...], checkpoint: Checkpoint) -> None:
    taken = set(profile_schema(checkpoint.schema, pa.string()).names)
    for name in keep:
        if name in taken:
            raise OptionError(
                f"--keep {name}: the output has a column of that name already; rename it in the "
                "manifest."
            )


def _judge_failures(summary: PredictSummary, max_failed: float) -> None:
    counts = summary.counts
    if counts.failed > max_failed * counts.images:
        raise TooManyFailuresError(
            f"{summary.out} is complete, but {counts.failed} of {counts.images} images failed, "
            f"more than --max-failed {max_failed} allows; see its column image_errors."
        )
