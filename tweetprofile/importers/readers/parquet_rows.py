"""Read the rows of a Parquet table in bounded memory.

A file of a few hundred bytes can claim billions of rows, or one row of gigabytes, so the claims of
its footer are checked first. Columns of text stay dictionaries until the length of each row is
known, so that a value takes its memory once, however often it is repeated.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tweetprofile.data.manifests.footers import read_claims
from tweetprofile.importers.readers.json_records import LONGEST_RECORD
from tweetprofile.importers.readers.streams import open_regular

MOST_VALUES = 1 << 25
"""The largest number of values in a column of a row group: 32 paths for each of a million users."""

LARGEST_UNPACKED = 128 << 20
"""The largest number of bytes in a column of a row group that is packed to less than a hundredth of
them."""

_LARGEST_RATIO = 100
_MOST_IMAGES_PER_ROW = 1 << 20
_ROWS_AT_ONCE = 1 << 12
_READ_BUFFER = 1 << 20

OnSkip = Callable[[int, str], None]
"""Called with the number of a row, from 1, and what is wrong with it."""


def read_schema(file: Path) -> pa.Schema:
    """Return the schema of a table.

    Raises:
        OSError, ArrowException: The file is not Parquet, or cannot be opened.
    """
    os.close(open_regular(file))
    return pq.read_schema(file)


def count_rows(file: Path) -> int:
    """Return the number of rows that a table claims to have."""
    rows: int = pq.read_metadata(file).num_rows
    return rows


def read_parquet_rows(
    file: Path, columns: Sequence[str], on_skip: OnSkip
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a table, each with its number, from 1.

    Args:
        file: The table.
        columns: The columns to read: text, lists of text, or numbers.
        on_skip: Called for each row that is longer than `LONGEST_RECORD`.

    Raises:
        OSError, ArrowException: The table is damaged, or claims more than this module allows.
    """
    number = 0
    with _open(file, columns) as parquet:
        for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=list(columns)):
            lengths = _lengths(batch)
            for start, end in _pieces(lengths):
                if lengths[start:end].sum() > LONGEST_RECORD:
                    on_skip(number + end, f"a row of more than {LONGEST_RECORD >> 20} MiB")
                    continue
                rows = _decoded(batch.slice(start, end - start)).to_pylist()
                yield from enumerate(rows, number + start + 1)
            number += len(batch)


def _open(file: Path, columns: Sequence[str]) -> pq.ParquetFile:
    os.close(open_regular(file))
    _check(file, set(columns))
    metadata = pq.read_metadata(file)
    leaves = (metadata.schema.column(number) for number in range(metadata.num_columns))
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    return pq.ParquetFile(
        file,
        read_dictionary=texts,
        buffer_size=_READ_BUFFER,
        pre_buffer=False,
        page_checksum_verification=True,
    )


def _check(file: Path, columns: set[str]) -> None:
    """Raise ArrowInvalid if a column of a row group would take too much memory."""
    try:
        with file.open("rb") as opened:
            groups = read_claims(opened)
    except ValueError as error:
        raise pa.ArrowInvalid(str(error)) from error
    for number, group in enumerate(groups):
        for claimed in group.columns:
            if claimed.top not in columns:
                continue
            if claimed.values > MOST_VALUES:
                size = f"{claimed.values:,} values, more than {MOST_VALUES:,}"
            elif claimed.unpacked > max(LARGEST_UNPACKED, _LARGEST_RATIO * claimed.packed):
                size = f"{claimed.unpacked >> 20:,} MiB packed into {claimed.packed:,} bytes"
            else:
                continue
            raise pa.ArrowInvalid(f"column '{claimed.top}' of row group {number} claims {size}")


def _pieces(lengths: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the bounds of parts, none of which is longer than one row may be."""
    start, total = 0, 0
    for row, length in enumerate(lengths.tolist()):
        if row > start and total + length > LONGEST_RECORD:
            yield start, row
            start, total = row, 0
        total += length
    if len(lengths):
        yield start, len(lengths)


def _lengths(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """Return the decoded size of each row, in bytes."""
    total = np.zeros(len(batch), np.int64)
    for column in batch.columns:
        total += _lengths_of(column)
    return total


def _lengths_of(column: pa.Array) -> NDArray[np.int64]:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        offsets = column.offsets.to_numpy().astype(np.int64)
        counts = np.diff(offsets)
        if counts.max(initial=0) > _MOST_IMAGES_PER_ROW:  # too long, whatever the values are
            return np.asarray(counts * (LONGEST_RECORD // _MOST_IMAGES_PER_ROW), np.int64)
        values = column.values.slice(offsets[0], offsets[-1] - offsets[0])
        ends = np.concatenate([[0], np.cumsum(_lengths_of(values) + 8)])
        return np.asarray(np.diff(ends[offsets - offsets[0]]), np.int64)
    if not pa.types.is_dictionary(column.type):
        return np.full(len(column), 8, np.int64)
    each = pc.binary_length(column.dictionary).take(column.indices)
    return np.asarray(pc.fill_null(each, 0).to_numpy(), np.int64)


def _decoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Resolve the dictionaries of a batch, checking that each text is UTF-8."""
    columns = [column.cast(_plain(column.type)) for column in batch.columns]
    decoded = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
    decoded.validate(full=True)
    return decoded


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(_plain(kind.value_type))
    return kind
