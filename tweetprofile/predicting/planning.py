"""The plan of a run: which users, which job, which output; checked without starting a worker."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Generic

import pyarrow as pa

from tweetprofile.data.files.logs import check_logs
from tweetprofile.data.files.protection import Inputs
from tweetprofile.data.files.provenance import Kind
from tweetprofile.data.files.storage import AnyPath, canonical
from tweetprofile.data.images.roots import check_image_root
from tweetprofile.data.manifests.inputs import inputs_of
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.engines.jobs import Job
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.engines.shards import ShardEngine, ShardSource
from tweetprofile.errors import OptionError
from tweetprofile.job import RunFactsT
from tweetprofile.predicting.destination import Destination
from tweetprofile.predicting.flat_csv import why_not_flat
from tweetprofile.predicting.options import RunOptions
from tweetprofile.predicting.output_checks import check_output
from tweetprofile.predicting.record import RunRecord
from tweetprofile.predicting.rows import Rows
from tweetprofile.predicting.summary import check_stats
from tweetprofile.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRun:
    """The inputs of a run, which have been checked.

    Attributes:
        manifest: The manifest of the users.
        users: The number of users to process.
        kept: The columns of the manifest to copy to the output.
        image_root: The image root.
        engine_options: How the engine works.
        inputs: The files that the run reads and that its outputs never replace.
    """

    manifest: Manifest
    users: int
    kept: tuple[pa.Field, ...]
    image_root: AnyPath
    engine_options: EngineOptions
    inputs: Inputs

    @property
    def checked(self) -> dict[str, Any]:
        """These attributes by name, to make a plan of."""
        return {field.name: getattr(self, field.name) for field in fields(CheckedRun)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan(CheckedRun, Generic[RunFactsT]):
    """A run whose inputs have been checked, and which has not begun.

    Attributes:
        job: The job of each worker.
        rows: The kind of rows to write.
        out: The output, as the user gave it.
        options: The options, as given.
    """

    job: Job[RunFactsT]
    rows: Rows[RunFactsT]
    out: str
    options: RunOptions

    @property
    def shards(self) -> int:
        """The number of shards; a manifest without users has one empty shard."""
        return max(1, -(-self.users // self.options.users_per_shard))

    def require_input(self, facts: RunFactsT) -> None:
        """Raise OptionError if the manifest has nothing that the rows can be made of."""
        if not self.manifest.has_images:
            raise OptionError(
                f"{self.manifest.source} has no column of images; add it, as `images` or `image`."
            )

    def shard_size(self, shard: int) -> int:
        """Return the number of users in a shard."""
        return min(self.options.users_per_shard, self.users - shard * self.options.users_per_shard)

    def engine(self) -> ShardEngine[RunFactsT]:
        """Return the engine that does the work; it starts when its block is entered."""
        if self.options.engine == "ray":
            return self._ray_engine()
        job = replace(self.job, rows=self.source.content_rows)
        return LocalEngine(job, replace(self.engine_options, users=self.users))

    def _ray_engine(self) -> ShardEngine[RunFactsT]:
        try:
            from tweetprofile.engines.ray import RayEngine  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise OptionError(
                f'`engine="ray"` needs Ray, which cannot be imported ({error}); install it with '
                "pip install 'tweetprofile[ray]'."
            ) from error
        return RayEngine(self.job, self.engine_options, self.options.ray_address)

    @property
    def source(self) -> ShardSource:
        """The shards of the manifest, for the engine to read."""
        options = self.options
        has_texts = self.manifest.has_texts or self.manifest.profile_columns
        return ShardSource(
            texts=options.text_limits if has_texts else None,
            profile=self.manifest.profile_columns,
            manifest=self.manifest,
            users=self.users,
            users_per_shard=options.users_per_shard,
            keep=options.keep,
            max_images=options.max_images,
        )

    def output_schema(self, facts: RunFactsT) -> pa.Schema:
        """Return the columns of the output."""
        columns = self.rows.schema(facts, self.manifest.user_id_type)
        for field in self.kept:
            columns = columns.append(field)
        return columns

    def record(self, facts: RunFactsT) -> RunRecord:
        """Return the run record, with everything that decides what is written.

        Its facts also become a part of the output's description. Where embeddings are kept is not
        among them, because it changes no row.
        """
        options = self.options
        described: dict[str, Any] = {
            "version": __version__,
            **self.rows.facts(facts),
            "detail": facts.detail,
            "decoder": facts.decoder,
            "device": facts.device,
            "precision": facts.precision,
            "manifest_fingerprint": self.manifest.fingerprint(),
            "image_root_sha256": _sha256(self.job.options.image_root),
            "users_per_shard": options.users_per_shard,
            "limit": options.limit,
            "keep": options.keep,
            "max_images": options.max_images,
            "max_pixels": options.max_pixels,
            "max_image_bytes": options.max_image_bytes,
            "max_image_seconds": options.max_image_seconds,
        }
        if (texts := self.source.texts) is not None:
            described |= {"max_texts": texts.max_texts, "max_text_bytes": texts.max_text_bytes}
        return RunRecord.new(described, overwrite=options.overwrite)


def check_run(
    manifest: str | Path,
    out: str,
    options: RunOptions,
    kind: Kind,
    find_files: Callable[[], Mapping[str, Path | None]],
) -> CheckedRun:
    """Check everything that can be checked without a worker.

    Args:
        manifest: A Parquet file, a folder of them or a glob.
        out: The file to write, or with a `/` at its end a folder of Parquet files.
        options: How to work.
        kind: The kind of output.
        find_files: Returns further files that the run reads, by the words that messages name them
            by. It is called once the manifest is open, whose faults are told first.

    Raises:
        InputError: The manifest, an option or the output cannot be used.
    """
    destination = Destination.of(out, kind)
    log = destination.path if options.keep_logs else None
    engine_options = EngineOptions(options.devices, options.stall_seconds, log)
    opened = Manifest.open(manifest)
    opened.require_columns(options.keep)
    kept = tuple(opened.plain_field(name) for name in options.keep)
    root = options.image_root or opened.folder
    inputs = inputs_of(opened, root)
    inputs += Inputs.of(embedding_cache=options.embedding_cache, **find_files())
    if destination.as_csv:
        _require_cells(kept)
    check_output(out, overwrite=options.overwrite, resume=options.resume, inputs=inputs, kind=kind)
    if options.stats is not None:
        check_stats(
            options.stats, destination, inputs, overwrite=options.overwrite or options.resume
        )
    if log is not None:
        check_logs(log, inputs)
    check_image_root(root)
    users = opened.count_users()
    return CheckedRun(
        manifest=opened,
        users=users if options.limit is None else min(users, options.limit),
        kept=kept,
        image_root=root,
        engine_options=engine_options,
        inputs=inputs,
    )


def _require_cells(kept: tuple[pa.Field, ...]) -> None:
    """Raise OptionError if a kept column cannot be written as CSV."""
    for field in kept:
        if (why := why_not_flat(field.type)) is not None:
            raise OptionError(
                f"`keep` {field.name}: the column {why}; write Parquet, or leave it out."
            )


def _sha256(path: AnyPath) -> str:
    """Return a stand-in for a path in an output, which may be published."""
    return hashlib.sha256(canonical(path).encode()).hexdigest()
