"""Writes rows about users: finished shards that survive the run, then a file or a folder of them.

While a run is under way, its shards are kept next to OUT. Each is complete and on the disk before
it gets its name::

    OUT.partial/run.json                     the run record, without which the folder is of no use
    OUT.partial/shards/part-00000.parquet    the finished shards
    OUT.partial/shards.jsonl                 their checksums, by which a resumed run verifies them

When all shards are there, they are merged in manifest order into Parquet or CSV, or their folder
becomes OUT itself. OUT appears complete or not at all, and a run that was killed can be resumed
with the shards that are there. `destination.py` says where all this is, `output_checks.py`
whether it may be written, and `unfinished.py` what may be removed.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tweetprofile.data.files.atomic import atomic_folder, move, name_taken, sync
from tweetprofile.data.files.protection import Inputs, is_earlier
from tweetprofile.data.files.provenance import METADATA_KEY, Kind, describe_csv, read_description
from tweetprofile.data.files.scratch import Closing
from tweetprofile.errors import OutputError
from tweetprofile.predicting.destination import Destination
from tweetprofile.predicting.finished import DAMAGED, counts_in
from tweetprofile.predicting.flat_csv import write_flat
from tweetprofile.predicting.journal import ShardJournal, matches
from tweetprofile.predicting.output_checks import check_existing, check_output, check_target
from tweetprofile.predicting.record import RunRecord
from tweetprofile.predicting.unfinished import clear_partial, lock_folder
from tweetprofile.predicting.uploading import publish
from tweetprofile.predicting.write_errors import finishing, writing
from tweetprofile.workers.profiles import Counts

_ROWS_PER_GROUP = 1 << 14
_BYTES_PER_GROUP = 128 << 20
"""The rows of a Parquet row group, and their size in memory: few enough to keep there, enough to be
read fast. Embeddings reach the size first: those of 11 images take 56 kB or more."""


class RowWriter(Closing):
    """Writes shards of rows, which become the output when all of them are there.

    It is a context manager around `write` and `finish`. If the block is left before `finish`, the
    finished shards are kept for a run that resumes this one; if there are none, nothing is kept.

    Args:
        out: The file to write, or its URI in an object store; if it ends in `/`, a folder that gets
            one file per shard.
        schema: The columns of every shard.
        record: The run record, which says what kind of output this is.
        shards: The number of shards that the output will have.
        resume: Whether to resume an unfinished run, which must be the same run.
        inputs: The files that the run reads and that `out` must not replace; None for none.

    Attributes:
        finished: The counts of each finished shard, by its number.

    Raises:
        OutputError: On entering: `out` must not be written, another process is writing it, or the
            unfinished run is another one.
        WriteError: Later, if writing fails.
    """

    def __init__(
        self,
        out: str,
        schema: pa.Schema,
        record: RunRecord,
        shards: int,
        *,
        resume: bool = False,
        inputs: Inputs | None = None,
    ) -> None:
        self.finished: dict[int, Counts] = {}
        self._out = out
        self._destination = Destination.of(out, record.kind)
        self._schema = schema
        self._record = record
        self._overwrite = record.overwrite
        self._shards = shards
        self._resume = resume
        self._inputs = inputs
        self._digits = max(5, len(str(shards - 1)))
        self._journal = ShardJournal(self._destination.journal)
        self._complete = False

    def __enter__(self) -> Self:
        self._check(check_output)
        with writing(self._out):
            if self._destination.remote is not None:
                self._destination.path.parent.mkdir(parents=True, exist_ok=True)
            new = not self._destination.partial.exists()
            self._lock = self._make_partial() if new else lock_folder(self._destination.partial)
        try:
            # Check again: before the folder was locked, another run may have begun or ended.
            self._check(check_target if new else check_output)
            if not new:
                with writing(self._out):
                    self._resume_or_clear()
        except BaseException:
            self.close()
            raise
        return self

    @property
    def counts(self) -> Counts:
        """The counts of all finished shards together."""
        return sum(self.finished.values(), Counts())

    def write(self, shard: int, rows: pa.Table, counts: Counts) -> None:
        """Write one shard.

        Args:
            shard: The number of the shard.
            rows: The rows of the shard, with the columns of the schema.
            counts: The counts of the shard.
        """
        path = self._shard_path(shard)
        with writing(self._out):
            unfinished = self._write(path, iter([rows]), counts)
            # The journal comes first, so that every shard that has its name can be resumed.
            self._journal.note(shard, unfinished)
            unfinished.replace(path)
            sync(path.parent)
        self.finished[shard] = counts

    def finish(self) -> None:
        """Make the output from the shards, all of which must be finished."""
        missing = set(range(self._shards)).difference(self.finished)
        assert not missing, f"shards {sorted(missing)} were never written"
        with finishing(), writing(self._out):
            if self._destination.as_folder:
                self._move_folder()
            elif self._destination.as_csv:
                self._move_csv()
            else:
                merged = self._destination.merged
                self._write(merged, self._row_groups(), self.counts).replace(merged)
                move(merged, self._destination.path, self._may_replace)
            sync(self._destination.path.parent)
            publish(self._destination, self._record.run, overwrite=self._overwrite)
        self._complete = True

    # --- beginning and leaving ---------------------------------------------------------------

    def _check(self, check: Callable[..., None]) -> None:
        check(
            self._out,
            overwrite=self._overwrite,
            resume=self._resume,
            inputs=self._inputs,
            kind=self._destination.kind,
        )

    def _make_partial(self) -> int:
        """Create OUT.partial, which appears with the run record in it, and lock it."""
        with atomic_folder(self._destination.partial) as folder:
            (folder / self._destination.shards.name).mkdir()
            ShardJournal(folder / self._destination.journal.name).begin()
            self._record.write(folder / self._destination.record.name)
        return lock_folder(self._destination.partial)

    def _resume_or_clear(self) -> None:
        """Resume the unfinished run, or remove it to start again."""
        if self._resume and self._destination.record.exists():
            self._record = _require_same_run(self._destination, self._record)
            self._overwrite = self._overwrite or self._record.overwrite
            self.finished = dict(self._find_finished())
            return
        clear_partial(self._destination, but=self._destination.record)
        self._destination.shards.mkdir(exist_ok=True)
        self._journal.begin()
        self._record.write(self._destination.record)

    def close(self) -> None:
        """Keep what a resumed run could use, and nothing else."""
        keep = not self._complete and self._destination.kept_shards() > 0
        try:
            with suppress(OSError):
                clear_partial(self._destination, keep_shards=keep)
        finally:
            os.close(self._lock)

    # --- shards ------------------------------------------------------------------------------

    def _find_finished(self) -> Iterator[tuple[int, Counts]]:
        digests = self._journal.digests()
        for shard in range(self._shards):
            path = self._shard_path(shard)
            if not path.is_file():
                continue
            try:
                is_intact = digests is None or matches(path, digests.get(shard))
                counts = self._read_old(path) if digests is None else counts_in(path)
            except DAMAGED:
                is_intact = False
            if is_intact:
                if digests is None:
                    self._journal.note(shard, path)
                yield shard, counts
            else:
                path.unlink()  # it was damaged or replaced, and is computed again

    def _read_old(self, path: Path) -> Counts:
        """Return the counts of a shard of version 0.1.0; without a checksum, it is read in full."""
        rows = len(pq.read_table(path, schema=self._schema))
        described = read_description(path)
        if described["run"] != self._record.run or described["counts"]["users"] != rows:
            raise ValueError(f"{path} belongs to another run")
        return Counts(**described["counts"])

    def _shard_path(self, shard: int) -> Path:
        return self._destination.shards / f"part-{shard:0{self._digits}}.parquet"

    def _row_groups(self) -> Iterator[pa.Table]:
        """Read all shards in order, and yield them in tables of the size of a row group."""
        waiting: list[pa.Table] = []
        rows = size = 0
        for shard in range(self._shards):
            path = self._shard_path(shard)
            table = pq.read_table(path, schema=self._schema, page_checksum_verification=True)
            waiting.append(table)
            rows, size = rows + len(table), size + table.nbytes
            if rows >= _ROWS_PER_GROUP or size >= _BYTES_PER_GROUP:
                yield pa.concat_tables(waiting).unify_dictionaries()
                waiting, rows, size = [], 0, 0
        if waiting:
            yield pa.concat_tables(waiting).unify_dictionaries()

    def _write(self, path: Path, tables: Iterator[pa.Table], counts: Counts) -> Path:
        """Write a Parquet file under a name that it keeps until the caller renames it to `path`.

        This is not `atomic_write`, because a shard must be in the journal before it has its final
        name. The first name is always the same, so that a resumed run writes over what was left.
        """
        unfinished = path.with_suffix(".tmp")
        with pq.ParquetWriter(
            unfinished, self._schema, compression="zstd", write_page_checksum=True
        ) as file:
            for table in tables:
                file.write_table(table)
            file.add_key_value_metadata({METADATA_KEY: json.dumps(self._description(counts))})
        sync(unfinished)
        return unfinished

    def _description(self, counts: Counts) -> dict[str, Any]:
        return {**self._record.facts, "run": self._record.run, "counts": asdict(counts)}

    # --- the output --------------------------------------------------------------------------

    def _move_csv(self) -> None:
        """Write all shards as CSV, and move the description and then the table to their names.

        If the run is killed in between, the earlier table is next to the description of the new
        one, which names both.
        """
        destination = self._destination
        write_flat(destination.merged, self._schema, self._row_groups())
        sync(destination.merged)
        check_existing(destination, self._out, may_replace=self._may_replace_any or self._resume)
        record = describe_csv(
            self._description(self.counts),
            destination.merged,
            destination.remote or destination.path,
        )
        destination.description.write_bytes(record)
        sync(destination.description)
        if os.path.lexists(destination.path) and not self._may_replace(destination.path):
            raise name_taken(destination.path)
        move(destination.description, destination.sidecar, is_earlier(Kind.DESCRIPTION))
        move(destination.merged, destination.path, self._may_replace)

    def _move_folder(self) -> None:
        out = self._destination.path
        if os.path.lexists(out):  # a folder cannot be renamed over another that is not empty
            check_existing(self._destination, self._out, may_replace=self._may_replace_any)
            move(out, self._destination.replaced)
        move(self._destination.shards, out)

    @property
    def _may_replace(self) -> Callable[[Path], bool]:
        return is_earlier(self._destination.kind, overwrite=self._may_replace_any)

    @property
    def _may_replace_any(self) -> bool:
        """Whether an earlier output may be replaced; one that waits for its upload always may."""
        return self._overwrite or self._destination.remote is not None


def _require_same_run(destination: Destination, record: RunRecord) -> RunRecord:
    """Return the record of the unfinished run, which must have the same facts.

    Raises:
        OutputError: The unfinished run is another one, or the output has appeared meanwhile.
    """
    old = RunRecord.read(destination.record)
    if differences := old.differences(record.facts):
        raise OutputError(
            f"{destination.partial} holds an unfinished run that differs in "
            f"{', '.join(differences)}; repeat the command that began it, or pass "
            "`overwrite=True` without `resume=True` to start again."
        )
    if destination.path.exists() and not (old.overwrite or record.overwrite):
        raise OutputError(f"{destination.path} now exists; move it away or pass `overwrite=True`.")
    return old
