"""Profiles in, a table out: shard files that survive the run, then one file or a folder of them.

While a run is under way, its shards stand beside OUT, each complete and on the disk before it gets
its name::

    OUT.partial/run.json                     the run record; without it the folder is rubbish
    OUT.partial/shards/part-00000.parquet    finished shards
    OUT.partial/shards.jsonl                 the checksum of each, by which a later run verifies it

When all are there they are merged in manifest order, into Parquet or CSV, or the folder of shards
becomes OUT itself. OUT appears whole or not at all, and a run that was killed goes on with the
shards it finds. Where these things stand, and whether they may, is in `place.py`.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tweetprofile.data.files.atomic import atomic_folder, move, name_taken, sync
from tweetprofile.data.files.listing import find_files
from tweetprofile.data.files.protection import Inputs, is_earlier
from tweetprofile.data.files.provenance import (
    METADATA_KEY,
    Kind,
    describe_csv,
    read_description,
)
from tweetprofile.data.files.scratch import Closing
from tweetprofile.data.files.storage import AnyPath, is_file, why
from tweetprofile.errors import OutputError, WriteError
from tweetprofile.predicting.destination import (
    Destination,
    check_existing,
    check_output,
    check_target,
    clear_partial,
    lock_folder,
)
from tweetprofile.predicting.flat_csv import write_flat
from tweetprofile.predicting.journal import ShardJournal, matches
from tweetprofile.predicting.record import ADDED_FACTS, RunRecord
from tweetprofile.predicting.uploading import publish
from tweetprofile.workers.profiles import Counts

_DAMAGED = (pa.ArrowException, OSError, ValueError, KeyError, TypeError)
"""What reading a damaged shard raises."""

_ROWS_A_GROUP = 1 << 14
"""Rows a Parquet row group: few enough to hold back in memory, enough to be read fast."""


class ProfileWriter(Closing):
    """Writes shards of profiles, which become `out` when all are there.

    Used as a `with` block around writing and `finish`. If the block is left before, finished
    shards stay for a run that resumes; without any, nothing stays.

    Args:
        out: the file to write, or its URI in a store; where it ends in `/`, a folder that gets one
            file a shard.
        schema: columns of every shard.
        record: what the run is.
        shards: how many there will be.
        resume: whether to go on with an unfinished run that is the same.
        inputs: what the run reads and `out` must not replace; None for nothing.

    Attributes:
        finished: the shards that need no writing any more, by number, and what each came to.

    Raises:
        OutputError: on entering, if `out` must not be written, another run is writing it, or the
            unfinished run there is another one.
        WriteError: writing fails later.
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
        self._destination = Destination.of(out)
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
        with _writing(self._out):
            if self._destination.remote is not None:
                self._destination.path.parent.mkdir(parents=True, exist_ok=True)
            new = not self._destination.partial.exists()
            self._lock = self._make_partial() if new else lock_folder(self._destination.partial)
        try:
            # Once more: before it was locked, another run may have begun or ended.
            self._check(check_target if new else check_output)
            with _writing(self._out):
                self._begin(new=new)
        except BaseException:
            self.close()
            raise
        return self

    @property
    def counts(self) -> Counts:
        """What the finished shards came to."""
        return sum(self.finished.values(), Counts())

    def write(self, shard: int, profiles: pa.Table, counts: Counts) -> None:
        """Write a shard; its columns must be the schema's."""
        path = self._shard_path(shard)
        with _writing(self._out):
            unfinished = self._write(path, iter([profiles]), counts)
            # Before it has its name: a shard that is counted as finished is one that is resumed.
            self._journal.note(shard, unfinished)
            unfinished.replace(path)
            sync(path.parent)
        self.finished[shard] = counts

    def finish(self) -> None:
        """Make `out` of the shards."""
        missing = set(range(self._shards)).difference(self.finished)
        assert not missing, f"shards {sorted(missing)} were never written"
        with _finishing(), _writing(self._out):
            if self._destination.as_folder:
                self._move_folder()
            elif self._destination.as_csv:
                self._move_csv()
            else:
                merged = self._destination.merged
                self._write(merged, self._row_groups(), self.counts).replace(merged)
                may_replace = is_earlier(Kind.PREDICTIONS, overwrite=self._may_replace_any)
                move(self._destination.merged, self._destination.path, may_replace)
            sync(self._destination.path.parent)
            publish(self._destination, self._record.run, overwrite=self._overwrite)
        self._complete = True

    def _check(self, check: Callable[..., None]) -> None:
        check(self._out, overwrite=self._overwrite, resume=self._resume, inputs=self._inputs)

    def _make_partial(self) -> int:
        """Make the folder of the run and lock it; it appears with its record in it."""
        with atomic_folder(self._destination.partial) as folder:
            (folder / self._destination.shards.name).mkdir()
            ShardJournal(folder / self._destination.journal.name).begin()
            self._record.write(folder / self._destination.record.name)
        return lock_folder(self._destination.partial)

    def _begin(self, *, new: bool) -> None:
        """Go on with the unfinished run, or begin anew."""
        if new:
            return
        if self._resume and self._destination.record.exists():
            self._record = _same_run(self._destination, self._record)
            self._overwrite = self._overwrite or self._record.overwrite
            self.finished = dict(self._find_finished())
            return
        clear_partial(self._destination, but=self._destination.record)
        self._destination.shards.mkdir(exist_ok=True)
        self._journal.begin()
        self._record.write(self._destination.record)

    def _find_finished(self) -> Iterator[tuple[int, Counts]]:
        digests = self._journal.digests()
        for shard in range(self._shards):
            path = self._shard_path(shard)
            if not path.is_file():
                continue
            try:
                known = digests is None or matches(path, digests.get(shard))
                counts = self._read_old(path) if digests is None else _counts_in(path)
            except _DAMAGED:
                known = False
            if known:
                if digests is None:
                    self._journal.note(shard, path)
                yield shard, counts
            else:
                path.unlink()  # damaged or replaced, whoever did it: it is computed again

    def _read_old(self, path: Path) -> Counts:
        """What a shard of version 0.1.0 came to, which has no checksum: it is read to its end."""
        rows = len(pq.read_table(path, schema=self._schema))
        described = read_description(path)
        if described["run"] != self._record.run or described["counts"]["users"] != rows:
            raise ValueError(f"{path} is of another run")
        return Counts(**described["counts"])

    def _shard_path(self, shard: int) -> Path:
        return self._destination.shards / f"part-{shard:0{self._digits}}.parquet"

    def _row_groups(self) -> Iterator[pa.Table]:
        """All shards, in order, a row group at a time."""
        held: list[pa.Table] = []
        for shard in range(self._shards):
            path = self._shard_path(shard)
            held.append(pq.read_table(path, schema=self._schema, page_checksum_verification=True))
            if sum(map(len, held)) >= _ROWS_A_GROUP:
                yield pa.concat_tables(held).unify_dictionaries()
                held = []
        if held:
            yield pa.concat_tables(held).unify_dictionaries()

    def _write(self, path: Path, tables: Iterator[pa.Table], counts: Counts) -> Path:
        """Write a Parquet file under another name, which it keeps until it is renamed to `path`.

        The name is always the same one in the run's own folder, so that a resumed run writes over
        what was left unfinished; and a shard must be in the journal before it has its final name.
        Hence no `atomic_write`.
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

    def _move_csv(self) -> None:
        """Write all shards as CSV, with a description beside it, which comes first.

        A run that is killed in between leaves the earlier table with the description of the new
        one, which knows both.
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
        may_replace = is_earlier(Kind.PREDICTIONS, overwrite=self._may_replace_any)
        if os.path.lexists(destination.path) and not may_replace(destination.path):
            raise name_taken(destination.path)
        move(destination.description, destination.sidecar, is_earlier(Kind.DESCRIPTION))
        move(destination.merged, destination.path, may_replace)

    def _move_folder(self) -> None:
        out = self._destination.path
        if os.path.lexists(out):  # A folder cannot be renamed over another that is not empty.
            check_existing(self._destination, self._out, may_replace=self._may_replace_any)
            move(out, self._destination.replaced)
        move(self._destination.shards, out)

    @property
    def _may_replace_any(self) -> bool:
        """Whether an earlier output may be replaced; one that waits to be uploaded always may."""
        return self._overwrite or self._destination.remote is not None

    def close(self) -> None:
        """Keep what a run could resume with, and nothing else."""
        keep = not self._complete and self._destination.kept_shards() > 0
        try:
            with suppress(OSError):
                clear_partial(self._destination, whole=not keep)
        finally:
            os.close(self._lock)


def take_finished(out: str, record: RunRecord) -> Counts | None:
    """What `out` came to, if it is there already and is what a resumed run would write.

    Raises:
        OutputError: it is there, comes from another run, and may not be replaced.
    """
    destination = Destination.of(out)
    found = list(_described(destination))
    if not found:
        return None
    overwrite = record.overwrite
    if destination.record.exists():
        # The unfinished run may replace what is there, or has, and was killed just after.
        unfinished = RunRecord.read(destination.record)
        overwrite = overwrite or unfinished.overwrite
        if unfinished.run not in {each.get("run") for each in found}:
            return None
    elif record.overwrite and not _same_facts(found, record):
        return None
    if not _same_facts(found, record):
        raise OutputError(
            f"{out} exists and comes from another run, so there is nothing to resume; choose "
            "another name or add --overwrite."
        )
    if destination.path.exists():
        with _writing(out):
            # what is to be in a store, and has not come there
            publish(destination, found[0]["run"], overwrite=overwrite)
    clear_partial(destination)
    return sum((Counts(**each["counts"]) for each in found), Counts())


def _described(destination: Destination) -> Iterator[dict[str, Any]]:
    """What each file of an output says of itself; nothing where it was not written by us."""
    for path in _files_of(destination):
        try:
            yield read_description(path)
        except _DAMAGED:
            yield {}


def _files_of(destination: Destination) -> Sequence[AnyPath]:
    """The files of an output that is complete, here or in the store; none where there is none."""
    if destination.path.exists():
        return sorted(destination.path.iterdir()) if destination.as_folder else [destination.path]
    if destination.remote is None:
        return []
    if destination.as_csv:
        return [destination.remote] if is_file(destination.remote) else []
    return find_files(destination.remote, ".parquet")[0]


def _same_facts(found: list[dict[str, Any]], record: RunRecord) -> bool:
    return bool(found) and all(
        {**ADDED_FACTS, **each}.get(key) == value
        for each in found
        for key, value in record.facts.items()
    )


def _counts_in(path: Path) -> Counts:
    return Counts(**read_description(path)["counts"])


def _same_run(destination: Destination, record: RunRecord) -> RunRecord:
    """The record of the unfinished run, which must be one with the same facts."""
    old = RunRecord.read(destination.record)
    if differences := old.differences(record.facts):
        raise OutputError(
            f"{destination.partial} holds an unfinished run that differs in "
            f"{', '.join(differences)}; give what it was begun with, or "
            "--overwrite without --resume to begin anew."
        )
    if destination.path.exists() and not (old.overwrite or record.overwrite):
        raise OutputError(f"{destination.path} exists by now; move it away or add --overwrite.")
    return old


@contextmanager
def _finishing() -> Iterator[None]:
    """What must not be replaced has come since the run began, which its shards survive."""
    try:
        yield
    except OutputError as error:
        sentence = str(error).rstrip(".")
        raise WriteError(f"{sentence}, and then run the same command with --resume.") from error


@contextmanager
def _writing(out: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or why(error)
        raise WriteError(
            f"{out} cannot be written: {reason}; mend that and run the same command with --resume."
        ) from error
