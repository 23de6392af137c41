"""Profiles in, Parquet out: shard files that survive the run, then one file or a folder of them.

While a run is under way, its shards stand beside OUT, each complete and on the disk before it gets
its name::

    OUT.partial/run.json                     the run record; without it the folder is rubbish
    OUT.partial/shards/part-00000.parquet    finished shards
    OUT.partial/shards.jsonl                 the checksum of each, by which a later run verifies it

When all are there they are merged in manifest order, or the folder of shards becomes OUT itself.
OUT appears whole or not at all, and a run that was killed goes on with the shards it finds. Where
these things stand, and whether they may, is in `place.py`.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tweetprofile.errors import OutputError, WriteError
from tweetprofile.fields import mapping, parse_json
from tweetprofile.journal import ShardJournal, matches
from tweetprofile.place import Place, check_output
from tweetprofile.profiles import Counts
from tweetprofile.record import RunRecord
from tweetprofile.storage import AnyPath, delete_files, find_files, to_read, upload, why

METADATA_KEY = "tweetprofile"
"""Key of the Parquet file metadata under which a run describes itself, as JSON."""

_DAMAGED = (pa.ArrowException, OSError, ValueError, KeyError, TypeError)
"""What reading a damaged shard raises."""

_ROWS_A_GROUP = 1 << 14
"""Rows a Parquet row group: few enough to hold back in memory, enough to be read fast."""


class ProfileWriter:
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

    Attributes:
        finished: the shards that need no writing any more, by number, and what each came to.

    Raises:
        OutputError: on entering, if `out` must not be written, another run is writing it, or the
            unfinished run there is another one.
        WriteError: writing fails later.
    """

    def __init__(
        self, out: str, schema: pa.Schema, record: RunRecord, shards: int, *, resume: bool = False
    ) -> None:
        self.finished: dict[int, Counts] = {}
        self._out = out
        self._place = Place.of(out)
        self._schema = schema
        self._record = record
        self._shards = shards
        self._resume = resume
        self._digits = max(5, len(str(shards - 1)))
        self._journal = ShardJournal(self._place.partial / "shards.jsonl")

    def __enter__(self) -> Self:
        check_output(self._out, overwrite=self._record.overwrite, resume=self._resume)
        with _writing(self._out):
            if self._place.remote is not None:
                self._place.path.parent.mkdir(parents=True, exist_ok=True)
            self._place.partial.mkdir(exist_ok=True)
            self._lock = _lock(self._place.partial)
        try:
            # Once more: before it was locked, another run may have begun or ended.
            check_output(self._out, overwrite=self._record.overwrite, resume=self._resume)
            with _writing(self._out):
                self._begin()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    @property
    def counts(self) -> Counts:
        """What the finished shards came to."""
        return sum(self.finished.values(), Counts())

    def write(self, shard: int, profiles: pa.Table, counts: Counts) -> None:
        """Write a shard; its columns must be the schema's."""
        path = self._shard_path(shard)
        with _writing(self._out):
            self._write_whole(path, iter([profiles]), counts)
            _sync(path.parent)
            self._journal.note(shard, path)
        self.finished[shard] = counts

    def finish(self) -> None:
        """Make `out` of the shards."""
        missing = set(range(self._shards)).difference(self.finished)
        assert not missing, f"shards {sorted(missing)} were never written"
        with _writing(self._out):
            if self._place.as_folder:
                self._move_folder()
            else:
                merged = self._place.partial / "merged.parquet"
                self._write_whole(merged, self._row_groups(), self.counts)
                merged.replace(self._place.path)
            _sync(self._place.path.parent)
            _publish(self._place)
            self._place.record.unlink()

    def _begin(self) -> None:
        """Go on with the unfinished run, or begin anew."""
        if self._resume and self._place.record.exists():
            self._record = _same_run(self._place, self._record)
            self.finished = dict(self._find_finished())
            return
        shutil.rmtree(self._place.shards, ignore_errors=True)
        self._place.shards.mkdir()
        self._journal.begin()
        self._record.write(self._place.record)

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
        return self._place.shards / f"part-{shard:0{self._digits}}.parquet"

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

    def _write_whole(self, path: Path, tables: Iterator[pa.Table], counts: Counts) -> None:
        """Write a Parquet file that has its name only when it is complete and on the disk."""
        described = {**self._record.facts, "run": self._record.run, "counts": asdict(counts)}
        unfinished = path.with_suffix(".tmp")
        with pq.ParquetWriter(
            unfinished, self._schema, compression="zstd", write_page_checksum=True
        ) as file:
            for table in tables:
                file.write_table(table)
            file.add_key_value_metadata({METADATA_KEY: json.dumps(described)})
        _sync(unfinished)
        unfinished.replace(path)

    def _move_folder(self) -> None:
        out = self._place.path
        if out.exists():  # A folder cannot be renamed over another that is not empty.
            out.rename(self._place.partial / "replaced")
        self._place.shards.rename(out)

    def _leave(self) -> None:
        """Keep what a run could go on with, and nothing else."""
        keep = self._place.kept_shards() > 0
        with suppress(OSError):
            if keep:
                for unfinished in self._place.partial.rglob("*.tmp"):
                    unfinished.unlink()
            else:
                shutil.rmtree(self._place.partial)
        os.close(self._lock)


def take_finished(out: str, record: RunRecord) -> Counts | None:
    """What `out` came to, if it is there already and is what a resumed run would write.

    Raises:
        OutputError: it is there, comes from another run, and may not be replaced.
    """
    place = Place.of(out)
    found = list(_described(place))
    if not found:
        return None
    if place.record.exists():
        # The unfinished run may replace what is there, or has, and was killed just after.
        if RunRecord.read(place.record).run not in {each.get("run") for each in found}:
            return None
    elif record.overwrite and not _same_facts(found, record):
        return None
    if not _same_facts(found, record):
        raise OutputError(
            f"{out} exists and comes from another run, so there is nothing to resume; choose "
            "another name or add --overwrite."
        )
    if place.path.exists():
        with _writing(out):
            _publish(place)  # what is to be in a store, and has not come there
    shutil.rmtree(place.partial, ignore_errors=True)
    return sum((Counts(**each["counts"]) for each in found), Counts())


def _described(place: Place) -> Iterator[dict[str, Any]]:
    """What each file of an output says of itself; nothing where it was not written by us."""
    for path in _files_of(place):
        try:
            yield read_description(path)
        except _DAMAGED:
            yield {}


def _files_of(place: Place) -> Sequence[AnyPath]:
    """The files of an output that is complete, here or in the store; none where there is none."""
    if place.path.exists():
        return sorted(place.path.iterdir()) if place.as_folder else [place.path]
    return find_files(place.remote, ".parquet")[0] if place.remote is not None else []


def _publish(place: Place) -> None:
    """Upload a complete output that is to be in a store, and remove it here."""
    if place.remote is None:
        return
    if place.as_folder:
        delete_files(place.remote)
        for part in sorted(place.path.iterdir()):
            upload(part, place.remote / part.name)
        shutil.rmtree(place.path)
    else:
        upload(place.path, place.remote)
        place.path.unlink()


def _same_facts(found: list[dict[str, Any]], record: RunRecord) -> bool:
    return bool(found) and all(
        each.get(key) == value for each in found for key, value in record.facts.items()
    )


def read_description(path: AnyPath) -> dict[str, Any]:
    """What a run says of itself in a file of profiles.

    Raises:
        KeyError, OSError, ValueError, ArrowException: it is no such file.
    """
    metadata = pq.read_metadata(to_read(path)).metadata or {}
    return mapping(parse_json(metadata[METADATA_KEY.encode()], "its description"), "it")


def _counts_in(path: Path) -> Counts:
    return Counts(**read_description(path)["counts"])


def _same_run(place: Place, record: RunRecord) -> RunRecord:
    """The record of the unfinished run, which must be one with the same facts."""
    old = RunRecord.read(place.record)
    if differences := old.differences(record.facts):
        raise OutputError(
            f"{place.partial} holds an unfinished run that differs in {', '.join(differences)}; "
            "give what it was begun with, or --overwrite without --resume to begin anew."
        )
    if place.path.exists() and not (old.overwrite or record.overwrite):
        raise OutputError(f"{place.path} exists by now; move it away or add --overwrite.")
    return old


def _lock(folder: Path) -> int:
    """Hold a folder for this process; the system lets go of it however the process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OutputError(f"another run is writing to {folder}; wait for it or end it.") from None
    except OSError:
        pass  # not every network file system can lock, and two runs at once are rare
    return descriptor


@contextmanager
def _writing(out: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or why(error)
        raise WriteError(
            f"{out} cannot be written: {reason}; mend that and run the same command with --resume."
        ) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
