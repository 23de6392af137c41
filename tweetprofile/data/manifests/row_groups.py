"""Read the rows of Parquet files a few at a time, in bounded memory, whatever the files claim.

A manifest is untrusted. A file of 545 bytes can claim a row of a billion images, or one text a
million times over, which takes gigabytes of memory as soon as it is decoded. So each row group is
checked before it is read, by the claims of its metadata and the longest text in its dictionaries.

Files must not change after the manifest was opened: after each read, and before any of its rows is
passed on, a file is compared with its version at that time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tweetprofile.data.files.storage import (
    AnyPath,
    arrow_source,
    is_store_error,
    open_binary,
    version_of,
    why,
)
from tweetprofile.data.manifests.footers import (
    ColumnClaims,
    GroupClaims,
    dictionary_bytes,
    read_claims,
    require_sound_pages,
)
from tweetprofile.errors import (
    CONTINUE,
    CONTINUE_OR_RESTART,
    ChangedInputError,
    ManifestError,
    StoreError,
)
from tweetprofile.plurals import count_of

_READ_BUFFER = 1 << 20
"""Bytes read from a column at a time, so that a row group larger than memory can be streamed."""

_VALUES_AT_ONCE = 1 << 24
"""The largest number of values in a list column that are decoded because of a claim: some 400 MB of
memory."""

_BYTES_AT_ONCE = 1 << 30
"""The largest number of bytes that a single read may decode into."""

_USUAL_BYTES_AT_ONCE = 1 << 26
"""The bytes that a read decodes, if rows are about equally long: fewer rows are read for that."""

_UNPACKED_AT_ONCE = 1 << 28
_MOST_COMPRESSED = 1000
"""A column chunk of more than 256 MiB that is compressed more than a thousandfold is a bomb."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A Parquet file as it was when its manifest was opened.

    Attributes:
        path: The path of the file.
        version: The result of `storage.version_of` at that time.
    """

    path: AnyPath
    version: str

    @classmethod
    def of(cls, path: AnyPath) -> "SourceFile":
        """Return a file with its current version.

        Raises:
            ManifestError: The file cannot be reached.
        """
        try:
            return cls(path, version_of(path))
        except (OSError, pa.ArrowException) as error:
            raise ManifestError(f"{path} cannot be read: {why(error)}.") from error

    def require_unchanged(self) -> None:
        """Raise ChangedInputError if the file has been replaced or rewritten."""
        try:
            unchanged = version_of(self.path) == self.version
        except (OSError, pa.ArrowException) as error:
            _require_store(self.path, error)
            unchanged = False
        if not unchanged:
            raise ChangedInputError(
                f"{self.path} was changed while it was being read, so the run stops before it uses "
                f"a row of the changed file; put the old file back and {CONTINUE_OR_RESTART}."
            )


def read_rows(
    files: Sequence[SourceFile],
    rows: int,
    columns: Sequence[str],
    begin: int = 0,
    on_rows: Callable[[], None] = lambda: None,
) -> Iterator[tuple[SourceFile, pa.Table]]:
    """Yield the rows of all files from row `begin` on, at most `rows` at a time, with their file.

    Columns that a file lacks are missing in its tables.

    Args:
        files: The files.
        rows: The largest number of rows per table.
        columns: The columns to read.
        begin: The first row; those before it in its row group are decoded, too.
        on_rows: A function that is called whenever rows have been decoded.

    Raises:
        ManifestError: A file is damaged, or claims more than fits in memory.
        ChangedInputError: A file has changed since it was opened.
    """
    for file in files:
        with _reading(file), open_binary(file.path) as raw, _open(file.path) as parquet:
            claims = read_claims(raw)
            groups, begin = _groups_from(claims, begin)
            opened = _OpenFile(file, parquet, raw, _present(parquet.schema_arrow, columns))
            tables = (
                table
                for group in groups
                for table in _rows_of_group(opened, group, claims[group], rows)
            )
            for table in drop_rows(_reported(tables, on_rows), begin):
                file.require_unchanged()
                yield file, table
            file.require_unchanged()  # a file that was truncated meanwhile seems to end early
            begin = begin if not groups else 0


def _reported(tables: Iterable[pa.Table], on_rows: Callable[[], None]) -> Iterator[pa.Table]:
    for table in tables:
        on_rows()
        yield table


def drop_rows(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the tables without the first `rows` rows."""
    for table in tables:
        if len(table) > rows:
            yield table.slice(rows)
        rows = max(0, rows - len(table))


def _present(schema: pa.Schema, columns: Sequence[str]) -> list[str]:
    """Return the columns that a file has, or else its first column, so that rows are counted."""
    return [name for name in columns if name in schema.names] or schema.names[:1]


def batch_sizes(users_per_shard: int, users_per_batch: int) -> Iterator[int]:
    """Yield the sizes of successive batches, without end."""
    full, rest = divmod(users_per_shard, users_per_batch)
    return cycle([users_per_batch] * full + [rest] * (rest > 0))


def rechunk(tables: Iterable[pa.Table], sizes: Iterator[int]) -> Iterator[pa.Table]:
    """Cut a stream of tables into tables of the given sizes; the last one may be shorter."""
    pending: list[pa.Table] = []
    rows, size = 0, next(sizes)
    for table in tables:
        pending.append(table)
        rows += len(table)
        if rows < size:
            continue
        joined = pa.concat_tables(pending, promote_options="permissive")
        start = 0
        while rows - start >= size:
            yield joined.slice(start, size)
            start, size = start + size, next(sizes)
        pending, rows = [joined.slice(start)], rows - start
    if rows:
        yield pa.concat_tables(pending, promote_options="permissive")


@contextmanager
def _reading(file: SourceFile) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        _require_store(file.path, error)
        file.require_unchanged()  # a file that is being rewritten also looks damaged
        raise ManifestError(
            f"{file.path} cannot be read: {why(error)}; write the file again."
        ) from error


def _require_store(path: AnyPath, error: Exception) -> None:
    """Raise StoreError if an error comes from the store and not from the file."""
    if is_store_error(error):
        raise StoreError(
            f"{path} cannot be read any more: {why(error)}; check the connection and the "
            f"credentials, and {CONTINUE}."
        ) from error


def _groups_from(claims: Sequence[GroupClaims], begin: int) -> tuple[list[int], int]:
    """Return the row groups from the one with row `begin` on, and the row's position in them.

    If the file has no such row, return no row groups and the number of rows left to skip.
    """
    for group, claimed in enumerate(claims):
        if begin < claimed.rows:
            return list(range(group, len(claims))), begin
        begin -= claimed.rows
    return [], begin


def _open(path: AnyPath, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    return pq.ParquetFile(
        arrow_source(path),
        read_dictionary=list(dictionaries),
        buffer_size=_READ_BUFFER,
        pre_buffer=False,
        page_checksum_verification=True,
    )


@dataclass(frozen=True, slots=True)
class _OpenFile:
    """A file that is open twice, for Arrow and as bytes, with the columns to read."""

    file: SourceFile
    parquet: pq.ParquetFile
    raw: BinaryIO
    columns: Sequence[str]


def _rows_of_group(
    opened: _OpenFile, group: int, claims: GroupClaims, rows: int
) -> Iterator[pa.Table]:
    """Yield a row group's rows, many at once if that surely takes little memory, or else singly."""
    file, parquet, columns = opened.file, opened.parquet, opened.columns
    careful = []
    if (found := len(claims.columns)) != len(parquet.schema):
        raise ValueError(f"row group {group} has {found} columns of {len(parquet.schema)}")
    unpacked = sum(each.unpacked for each in claims.columns if each.top in columns)
    rows = max(1, min(rows, _USUAL_BYTES_AT_ONCE * claims.rows // max(1, unpacked)))
    for number, claimed in enumerate(claims.columns):
        if claimed.top not in columns:
            continue
        if isinstance(file.path, Path):  # in a store, it would take a request per page
            require_sound_pages(opened.raw, claimed)
        in_lists = parquet.schema.column(number).max_repetition_level > 0
        if not in_lists and claimed.values != claims.rows:
            raise ValueError(
                f"column '{claimed.path}' holds {count_of(claimed.values, 'value')} in "
                f"{count_of(claims.rows, 'row')} of row group {group}"
            )
        _require_plausible(claimed, file.path, group, in_lists=in_lists)
        values = claimed.values if in_lists else min(rows, claimed.values)
        if values * dictionary_bytes(opened.raw, claimed) > _BYTES_AT_ONCE:
            longest = _longest_entry(file.path, group, claimed.path)
            if values * longest > _BYTES_AT_ONCE:
                careful.append(claimed.path)
    if careful:
        yield from _read_with_care(file, group, careful, columns)
        return
    for batch in parquet.iter_batches(rows, row_groups=[group], columns=list(columns)):
        yield pa.Table.from_batches([batch])


def _require_plausible(claimed: ColumnClaims, path: AnyPath, group: int, *, in_lists: bool) -> None:
    """Raise ManifestError for claims of a bomb: values without bytes, or extreme compression."""
    if in_lists and claimed.values > max(_VALUES_AT_ONCE, claimed.packed):
        claim = f"{claimed.values:,} values"
    elif claimed.unpacked > max(_UNPACKED_AT_ONCE, _MOST_COMPRESSED * claimed.packed):
        claim = f"{claimed.unpacked:,} bytes"
    else:
        return
    raise ManifestError(
        f"{path}: row group {group} claims {claim} of '{claimed.path}' in "
        f"{count_of(claimed.packed, 'byte')}, which cannot be read in bounded memory; write the "
        "file in smaller row groups."
    )


def _longest_entry(path: AnyPath, group: int, column: str) -> int:
    """Return the size in bytes of the longest entry of a column chunk's dictionary."""
    with pq.ParquetFile(arrow_source(path), read_dictionary=[column], pre_buffer=False) as parquet:
        batch = next(parquet.iter_batches(1, row_groups=[group], columns=[column]), None)
    entries = _dictionaries_in(batch.column(0)) if batch is not None and batch.num_columns else []
    return max((pc.max(pc.binary_length(each)).as_py() or 0 for each in entries), default=0)


def _dictionaries_in(array: pa.Array) -> list[pa.Array]:
    """Return the dictionaries of an array and of its nested arrays."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return [array.dictionary]
    if pa.types.is_struct(kind):
        return [each for field in array.flatten() for each in _dictionaries_in(field)]
    return _dictionaries_in(array.flatten()) if pa.types.is_nested(kind) else []


def _read_with_care(
    file: SourceFile, group: int, dictionaries: Sequence[str], columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield a row group's rows one by one, each decoded only after its size is known.

    Raises:
        ManifestError: A row would take too much memory.
    """
    with _open(file.path) as parquet:
        schema = pa.schema([parquet.schema_arrow.field(name) for name in columns])
    with _open(file.path, dictionaries) as parquet:
        batches = parquet.iter_batches(1, row_groups=[group], columns=list(columns))
        for row, batch in enumerate(batches):
            size = sum(map(_decoded_bytes, batch.columns))
            if size > _BYTES_AT_ONCE:
                raise ManifestError(
                    f"{file.path}: row {row} of row group {group} unpacks into {size:,} bytes, "
                    f"more than the {_BYTES_AT_ONCE:,} that are read at once; shorten it."
                )
            yield pa.Table.from_batches([batch]).select(schema.names).cast(schema)


def _decoded_bytes(array: pa.Array) -> int:
    """Return the size in bytes of all texts and blobs of an array, counting repetitions."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        if not _has_length(kind.value_type):
            return 0
        lengths = pc.binary_length(array.dictionary).take(array.indices)
        return int(pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0)
    if pa.types.is_struct(kind):
        return sum(map(_decoded_bytes, array.flatten()))
    if pa.types.is_nested(kind):
        return _decoded_bytes(array.flatten())
    return int(array.nbytes)


def _has_length(kind: pa.DataType) -> bool:
    kinds = pa.types
    return bool(
        kinds.is_string(kind)
        or kinds.is_large_string(kind)
        or kinds.is_binary(kind)
        or kinds.is_large_binary(kind)
    )
