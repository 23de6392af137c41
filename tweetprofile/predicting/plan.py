"""The plan of a run: which users, which model, which output; checked without starting a worker."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from tweetprofile.checkpoints.choice import find_checkpoint
from tweetprofile.data.files.logs import check_logs
from tweetprofile.data.files.protection import Inputs
from tweetprofile.data.files.storage import AnyPath, canonical
from tweetprofile.data.images.reader import MAX_IMAGE_BYTES
from tweetprofile.data.images.roots import check_image_root
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import MAX_IMAGES
from tweetprofile.engines.jobs import PredictJob
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.engines.shards import ShardEngine, ShardSource
from tweetprofile.errors import OptionError
from tweetprofile.job import (
    MAX_IMAGE_SECONDS,
    MAX_PIXELS,
    DecoderName,
    Detail,
    Precision,
    PredictorFacts,
    PredictorOptions,
)
from tweetprofile.predicting.destination import Destination
from tweetprofile.predicting.flat_csv import why_not_flat
from tweetprofile.predicting.output_checks import check_output
from tweetprofile.predicting.record import RunRecord
from tweetprofile.predicting.summary import check_stats
from tweetprofile.version import __version__
from tweetprofile.workers.profiles import profile_schema

EngineName = Literal["local", "ray"]


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """How `predict_manifest` works.

    Attributes:
        checkpoint: The file of the model; None for the one that $TWEETPROFILE_CHECKPOINT names, or
            else for the default checkpoint.
        image_root: The folder that image paths are relative to and never leave; None for the folder
            of the manifest.
        devices: `auto`, `cpu`, `cuda`, `cuda:N`, or several separated by commas.
        engine: `local` for this machine, or `ray` for the machines of a Ray cluster.
        ray_address: The address of the cluster; None for a cluster on this machine alone.
        decoder: `auto`, `dali` or `pillow`.
        precision: `auto`, `bf16`, `fp16` or `fp32`.
        batch_size: The number of users per forward pass; 0 for what suits the device.
        users_per_shard: The number of users that are written as one unit, which an interrupted run
            may have to repeat.
        limit: The number of users to predict, from the first one; None for all.
        keep: The columns of the manifest to copy to the output.
        clips: The largest number of volumes per user; if the images of a user fill more than one
            volume, the mean over up to this many is predicted.
        orders: The number of orders of the frames to average over (model1, model2).
        views: The number of views of each frame to average over: 1, 2 (with the mirrored one) or 4
            (with the enlarged middle of both).
        max_images: The largest number of images per user; further ones are counted and not decoded.
        max_pixels: The largest width x height of an image.
        max_image_bytes: The largest size of an encoded image.
        max_image_seconds: The processor time that decoding one image may take.
        detail: How much of an image is decoded: all of it (`full`), or as much as a frame can show
            (`frame`). None for the checkpoint's own, with which its network was trained.
        max_failed: The share of the images (0 to 1) that may be unusable before the run counts as
            failed.
        stats: The file to write the summary to, as JSON; None for none.
        stall_seconds: The time after which a worker that finishes nothing, not even an image,
            counts as hung.
        overwrite: Whether an existing output may be replaced.
        resume: Whether to resume an unfinished run, if there is one.
        keep_logs: Whether to keep what decoding libraries print, next to the output.

    Raises:
        OptionError: A value is out of range.
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
    max_image_seconds: float = MAX_IMAGE_SECONDS
    detail: Detail | None = None
    max_failed: float = 1.0
    stats: Path | None = None
    stall_seconds: float = 300.0
    overwrite: bool = False
    resume: bool = False
    keep_logs: bool = False

    def __post_init__(self) -> None:
        if self.ray_address is not None and self.engine != "ray":
            raise OptionError('`ray_address` is for `engine="ray"`; give both or neither.')
        if self.users_per_shard < 1:
            raise OptionError(
                f"`users_per_shard` is {self.users_per_shard}; it must be at least 1."
            )
        if self.limit is not None and self.limit < 0:
            raise OptionError(f"`limit` is {self.limit}; it must be at least 0.")
        if self.max_images < 1:
            raise OptionError(f"`max_images` is {self.max_images}; it must be at least 1.")
        if not 0.0 <= self.max_failed <= 1.0:
            raise OptionError(f"`max_failed` is {self.max_failed}; it must be from 0 to 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictPlan:
    """A run whose inputs have been checked, and which has not begun.

    Attributes:
        manifest: The manifest of the users to predict.
        users: The number of users to predict.
        kept: The columns of the manifest to copy to the output.
        job: The job of each worker.
        out: The output, as the user gave it.
        options: The options, as given.
        engine_options: How the engine works.
        inputs: The files that the run reads and that its outputs never replace.
    """

    manifest: Manifest
    users: int
    kept: tuple[pa.Field, ...]
    job: PredictJob
    out: str
    options: PredictOptions
    engine_options: EngineOptions
    inputs: Inputs

    @property
    def shards(self) -> int:
        """The number of shards; a manifest without users has one empty shard."""
        return max(1, -(-self.users // self.options.users_per_shard))

    def shard_size(self, shard: int) -> int:
        """Return the number of users in a shard."""
        return min(self.options.users_per_shard, self.users - shard * self.options.users_per_shard)

    def engine(self) -> ShardEngine:
        """Return the engine that does the work; it starts when its block is entered."""
        if self.options.engine == "ray":
            return _ray_engine(self)
        job = replace(self.job, rows=self.source.image_rows)
        return LocalEngine(job, self.engine_options)

    @property
    def source(self) -> ShardSource:
        """The shards of the manifest, for the engine to read."""
        options = self.options
        return ShardSource(
            manifest=self.manifest,
            users=self.users,
            users_per_shard=options.users_per_shard,
            keep=options.keep,
            max_images=options.max_images,
        )

    def output_schema(self, facts: PredictorFacts) -> pa.Schema:
        """Return the columns of the output."""
        columns = profile_schema(facts.schema, self.manifest.user_id_type)
        for field in self.kept:
            columns = columns.append(field)
        return columns

    def record(self, facts: PredictorFacts) -> RunRecord:
        """Return the run record, with everything that decides what is written.

        Its facts also become a part of the output's description.
        """
        options = self.options
        described: dict[str, Any] = {
            "version": __version__,
            "checkpoint_sha256": facts.checkpoint_sha256,
            "network": facts.network,
            "schema": facts.schema.to_dict(),
            # An option may change the detail, so it is a fact of its own.
            "volume": {name: each for name, each in facts.volume.items() if name != "detail"},
            "detail": facts.detail,
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
            "max_image_seconds": options.max_image_seconds,
        }
        return RunRecord.new(described, overwrite=options.overwrite)


def plan_prediction(
    manifest: str | Path, out: str | Path, options: PredictOptions | None = None
) -> PredictPlan:
    """Check everything that can be checked without a worker.

    Args:
        manifest: A Parquet file, a folder of them or a glob.
        out: The file to write, or with a `/` at its end a folder of Parquet files.
        options: How to predict; see `PredictOptions`.

    Raises:
        InputError: The manifest, an option or the output cannot be used.
    """
    options = options or PredictOptions()
    destination = Destination.of(str(out))
    log = destination.path if options.keep_logs else None
    engine_options = EngineOptions(options.devices, options.stall_seconds, log)
    opened = Manifest.open(manifest)
    opened.require_columns(options.keep)
    kept = tuple(opened.plain_field(name) for name in options.keep)
    root = options.image_root or opened.folder
    checkpoint = find_checkpoint(options.checkpoint)
    inputs = inputs_of(opened, root) + Inputs.of(checkpoint=checkpoint)
    if destination.as_csv:
        _require_cells(kept)
    check_output(str(out), overwrite=options.overwrite, resume=options.resume, inputs=inputs)
    if options.stats is not None:
        check_stats(
            options.stats, destination, inputs, overwrite=options.overwrite or options.resume
        )
    if log is not None:
        check_logs(log, inputs)
    check_image_root(root)
    job = PredictJob(checkpoint, options=_predictor_options(root, options))
    users = opened.count_users()
    users = users if options.limit is None else min(users, options.limit)
    return PredictPlan(
        manifest=opened,
        users=users,
        kept=kept,
        job=job,
        out=str(out),
        options=options,
        engine_options=engine_options,
        inputs=inputs,
    )


def _predictor_options(root: AnyPath, options: PredictOptions) -> PredictorOptions:
    return PredictorOptions(
        root,
        decoder=options.decoder,
        precision=options.precision,
        batch_size=options.batch_size,
        max_pixels=options.max_pixels,
        max_image_bytes=options.max_image_bytes,
        max_image_seconds=options.max_image_seconds,
        detail=options.detail,
        clips=options.clips,
        orders=options.orders,
        views=options.views,
    )


def _require_cells(kept: tuple[pa.Field, ...]) -> None:
    """Raise OptionError if a kept column cannot be written as CSV."""
    for field in kept:
        if (why := why_not_flat(field.type)) is not None:
            raise OptionError(
                f"`keep` {field.name}: the column {why}; write Parquet, or leave it out."
            )


def _ray_engine(plan: PredictPlan) -> ShardEngine:
    try:
        from tweetprofile.engines.ray import RayEngine  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise OptionError(
            f'`engine="ray"` needs Ray, which cannot be imported ({error}); install it with pip '
            "install 'tweetprofile[ray]'."
        ) from error
    return RayEngine(plan.job, plan.engine_options, plan.options.ray_address)


def _sha256(path: AnyPath) -> str:
    """Return a stand-in for a path in an output, which may be published."""
    return hashlib.sha256(canonical(path).encode()).hexdigest()
