"""Profiles in, Parquet out: one file, or a folder of files.

Nothing is seen under its final name before it is complete and on the disk: output is written
beside it under another name, synced and renamed.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tweetprofile.errors import OutputError, WriteError
from tweetprofile.profiles import Counts

METADATA_KEY = "tweetprofile"
"""Key of the Parquet file metadata under which a run describes itself, as JSON."""

_ROWS_A_GROUP = 1 << 14
"""Rows a Parquet row group: few enough to hold back in memory, enough to be read fast."""


class ProfileWriter:
    """Writes tables of profiles to `out`, which appears when the `with` block ends well.

    Args:
        out: the file to write; where it ends in `/`, a folder that gets one file a table.
        schema: columns of every table.
        description: what the run says of itself in the file's metadata.
        overwrite: whether an existing `out` may be replaced.

    Raises:
        OutputError: it exists, or its folder is missing or cannot be written to.
        WriteError: writing fails later.
    """

    def __init__(
        self,
        out: str,
        schema: pa.Schema,
        description: Mapping[str, Any],
        *,
        overwrite: bool = False,
    ) -> None:
        check_output(out, overwrite=overwrite)
        self.counts = Counts()
        self._out = Path(out)
        self._as_folder = out.endswith("/")
        self._schema = schema
        self._description = description
        self._unfinished = self._out.with_name(f".{self._out.name}.{os.getpid()}.tmp")
        self._parts = 0
        self._group = _Group(_ROWS_A_GROUP)
        self._file: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        with _writing(self._out):
            if self._as_folder:
                self._unfinished.mkdir()
            else:
                self._file = self._open(self._unfinished)
        return self

    def write(self, profiles: pa.Table) -> None:
        """Append a table; its columns must be the schema's."""
        counts = Counts.of(profiles)
        with _writing(self._out):
            if self._as_folder:
                self._write_part(profiles, counts)
            elif self._file is not None and (whole := self._group.add(profiles)):
                self._file.write_table(whole)
        self.counts += counts

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                with _writing(self._out):
                    self._finish()
        finally:
            self._discard_unfinished()

    def _open(self, path: Path) -> pq.ParquetWriter:
        return pq.ParquetWriter(path, self._schema, compression="zstd")

    def _write_part(self, profiles: pa.Table, counts: Counts) -> None:
        path = self._unfinished / f"part-{self._parts:05}.parquet"
        part = self._open(path)
        part.write_table(profiles)
        self._close(part, path, counts)
        self._parts += 1

    def _close(self, file: pq.ParquetWriter, path: Path, counts: Counts) -> None:
        described = {**self._description, "counts": asdict(counts)}
        file.add_key_value_metadata({METADATA_KEY: json.dumps(described)})
        file.close()
        _sync(path)

    def _finish(self) -> None:
        if self._file is not None:
            if rest := self._group.rest():
                self._file.write_table(rest)
            self._close(self._file, self._unfinished, self.counts)
            self._file = None
        elif not self._parts:
            self._write_part(self._schema.empty_table(), self.counts)
        _replace(self._unfinished, self._out)

    def _discard_unfinished(self) -> None:
        with suppress(OSError, pa.ArrowException):
            if self._file is not None:
                self._file.close()
        if self._unfinished.is_dir():
            shutil.rmtree(self._unfinished, ignore_errors=True)
        else:
            self._unfinished.unlink(missing_ok=True)


class _Group:
    """Holds tables back until they make a row group."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._held: list[pa.Table] = []

    def add(self, table: pa.Table) -> pa.Table | None:
        self._held.append(table)
        return self.rest() if sum(map(len, self._held)) >= self._rows else None

    def rest(self) -> pa.Table | None:
        held, self._held = self._held, []
        return pa.concat_tables(held) if held else None


def check_output(out: str, *, overwrite: bool) -> None:
    """Raise OutputError unless `out` can be written: said before any work is done."""
    path = Path(out)
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} of {out} does not exist; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"the folder {path.parent} of {out} is not writable; choose another.")
    if not path.exists():
        return
    if not overwrite:
        raise OutputError(f"{out} exists; choose another name or add --overwrite.")
    if path.is_dir() != out.endswith("/"):
        raise OutputError(f"{out} is a folder where a file is asked for, or a file for a folder.")
    if path.is_dir() and any(not _is_part(entry) for entry in path.iterdir()):
        raise OutputError(f"{out} holds more than predictions, so it is not overwritten; empty it.")


def _is_part(entry: Path) -> bool:
    return entry.name.startswith("part-") and entry.suffix == ".parquet"


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise WriteError(f"{out} cannot be written: {why}; mend that and run again.") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(new: Path, old: Path) -> None:
    """Give `new` the name of `old`, in place of it."""
    if old.is_dir():  # A folder cannot be renamed over another that is not empty.
        aside = old.with_name(f".{old.name}.{os.getpid()}.old")
        old.rename(aside)
        new.rename(old)
        shutil.rmtree(aside)
    else:
        new.replace(old)
    _sync(old.parent)
