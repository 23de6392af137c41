"""What a run is to do, checked as far as it can be without a worker: whom, with what, where to."""

import hashlib
from dataclasses import dataclass
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
from tweetprofile.data.manifests.manifest import MAX_IMAGES, Manifest
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.engines.messages import PredictJob
from tweetprofile.engines.shards import ShardEngine, ShardSource
from tweetprofile.errors import OptionError
from tweetprofile.job import (
    MAX_IMAGE_SECONDS,
    MAX_PIXELS,
    DecoderName,
    Precision,
    PredictorFacts,
    PredictorOptions,
)
from tweetprofile.predicting.destination import Destination, check_output
from tweetprofile.predicting.flat_csv import why_not_flat
from tweetprofile.predicting.record import RunRecord
from tweetprofile.predicting.summary import check_stats
from tweetprofile.version import __version__
from tweetprofile.workers.profiles import profile_schema

EngineName = Literal["local", "ray"]


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """How `predict_manifest` works.

    Attributes:
        checkpoint: the model file; None for $TWEETPROFILE_CHECKPOINT, else the default.
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
        max_image_seconds: cap of the processor time that decoding an image takes.
        max_failed: share of the images (0 to 1) that may fail before the run counts as a failure.
        stats: file that gets the summary as JSON; None for none.
        stall_seconds: a worker that finishes nothing for so long, not even an image, hangs.
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
    max_image_seconds: float = MAX_IMAGE_SECONDS
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictPlan:
    """A run whose input has been checked and of which nothing has been done.

    Attributes:
        manifest: whom to predict.
        users: how many of them.
        kept: the columns of the manifest that are copied to the output.
        job: with what and how.
        out: where to.
        options: the options as given.
        engine_options: what they mean for the engine.
        inputs: what the run reads, and its outputs never replace.
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
        for field in self.kept:
            columns = columns.append(field)
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
            "max_image_seconds": options.max_image_seconds,
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
        _require_flat(kept)
    check_output(str(out), overwrite=options.overwrite, resume=options.resume, inputs=inputs)
    if options.stats is not None:
        check_stats(
            options.stats, destination, inputs, overwrite=options.overwrite or options.resume
        )
    if log is not None:
        check_logs(log, inputs)
    check_image_root(root)
    job = PredictJob(
        checkpoint,
        PredictorOptions(
            root,
            decoder=options.decoder,
            precision=options.precision,
            batch_size=options.batch_size,
            max_pixels=options.max_pixels,
            max_image_bytes=options.max_image_bytes,
            max_image_seconds=options.max_image_seconds,
            clips=options.clips,
            orders=options.orders,
            views=options.views,
        ),
    )
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


def _require_flat(kept: tuple[pa.Field, ...]) -> None:
    """Raise OptionError for a column to keep that CSV has no cell for."""
    for field in kept:
        if (why := why_not_flat(field.type)) is not None:
            raise OptionError(
                f"--keep {field.name}: the column {why}; write Parquet, or leave it out."
            )


def _ray_engine(plan: PredictPlan) -> ShardEngine:
    try:
        from tweetprofile.engines.ray import RayEngine  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise OptionError(
            f"--engine ray needs Ray, which cannot be imported ({error}); pip install "
            "'tweetprofile[ray]'."
        ) from error
    return RayEngine(plan.job, plan.engine_options, plan.options.ray_address)


def _sha256(path: AnyPath) -> str:
    """Stands for a path in what may be published."""
    return hashlib.sha256(canonical(path).encode()).hexdigest()
