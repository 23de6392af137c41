"""Open Parquet files of predictions of unknown origin, and read probabilities from their tables."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from tweetprofile.data.files.listing import find_files
from tweetprofile.data.files.storage import AnyPath, RemotePath, size_of
from tweetprofile.data.manifests.types import is_text
from tweetprofile.errors import SchemaError
from tweetprofile.traits import Trait
from tweetprofile.untrusted.text import printable
from tweetprofile.workers.profiles import confidence_column, part_column, probabilities_column

UNREADABLE = (
    pa.ArrowException, AssertionError, AttributeError, LookupError, OSError, RecursionError,
    SchemaError, TypeError, ValueError,
)  # fmt: skip
"""Errors raised by reading a file that contains something other than what is expected."""

_ROWS_TRUSTED = 1_000_000
"""A file may claim this many rows whatever its size."""

_MAX_ROWS_PER_BYTE = 8
"""A file that claims more is refused: each row of predictions has an id of its own."""

MAX_ID_BYTES = 10_000
"""The longest id of a user."""


class TableError(ValueError):
    """What is wrong with a table and how to correct it, to follow the name of its file."""


def open_parquet(
    path: AnyPath, encoded: Iterable[str] = ("user_id",)
) -> tuple[ds.Dataset, list[AnyPath]]:
    """Return the data of a file or folder, and its files.

    Args:
        path: A Parquet file, or a folder of them, here or in an object store.
        encoded: Columns that stay dictionary-encoded until the length of their values has been
            checked: a short file can claim a long value for each of its rows.
    """
    options = ds.ParquetReadOptions(dictionary_columns=set(encoded))
    kind = ds.ParquetFileFormat(read_options=options)
    if not isinstance(path, RemotePath):
        data = ds.dataset(path, format=kind)
        return data, [Path(file) for file in data.files]
    files = find_files(path, ".parquet")[0]
    data = ds.dataset([file.key for file in files], format=kind, filesystem=path.file_system)
    return data, list(files)


def check_size(data: ds.Dataset, files: Sequence[AnyPath]) -> None:
    """Raise ValueError if a file claims more rows than fit into its bytes."""
    for fragment, file in zip(data.get_fragments(), files, strict=True):
        rows, size = fragment.metadata.num_rows, size_of(file)
        if rows > max(_ROWS_TRUSTED, _MAX_ROWS_PER_BYTE * size):
            raise ValueError(f"{file} claims {rows:,} rows in {size:,} bytes")


def decoded(column: pa.ChunkedArray, longest: int, what: str) -> pa.ChunkedArray:
    """Return a column without a dictionary.

    Args:
        column: The column.
        longest: The largest number of bytes in one of its values.
        what: The name of such a value in messages, with its article.

    Raises:
        ArrowInvalid: A text is not valid UTF-8.
        ValueError: A value is longer.
    """
    if not pa.types.is_dictionary(column.type):
        column.validate(full=True)
        return column
    if is_text(column.type.value_type):
        lengths = (pc.max(pc.binary_length(each.dictionary)).as_py() for each in column.chunks)
        if any((length or 0) > longest for length in lengths):
            raise ValueError(f"{what} has more than {longest:,} bytes")
    column.validate(full=True)
    return column.cast(column.type.value_type)


def probabilities_of(table: pa.Table, trait: Trait, part: str | None = None) -> NDArray[np.float64]:
    """Return the probabilities of a trait, (rows, K).

    Users without a prediction have zeros; so have classes that the table does not know.

    Args:
        table: Profiles.
        trait: The trait.
        part: `images` or `texts` for the probabilities by these alone; None for the model's own.
    """
    name = part_column(trait.name, part) if part else probabilities_column(trait.name)
    column = table[name].combine_chunks()
    rows = np.zeros((len(table), len(trait.classes)))
    for number, each in enumerate(trait.classes):
        place = column.type.get_field_index(each)
        if place >= 0:
            values = pc.fill_null(pc.struct_field(column, [place]), 0.0)
            rows[:, number] = values.to_numpy(zero_copy_only=False)
    return rows


def probabilities_if_given(table: pa.Table, trait: Trait) -> NDArray[np.float64] | None:
    """Return the probabilities of a trait as `probabilities_of`; None if the table has none."""
    if probabilities_column(trait.name) not in table.column_names:
        return None
    return probabilities_of(table, trait)


def confidences_if_given(table: pa.Table, trait: Trait) -> NDArray[np.float64] | None:
    """Return the column of confidences, (rows,), from 0 to 1; None if the table has none.

    Users without a confidence have 0.
    """
    if confidence_column(trait.name) not in table.column_names:
        return None
    given = table[confidence_column(trait.name)].cast(pa.float64()).combine_chunks()
    confidence: NDArray[np.float64] = np.nan_to_num(given.to_numpy(zero_copy_only=False))
    return confidence.clip(0.0, 1.0)


def first_line(error: Exception) -> str:
    """Return what an error says, for the middle of a sentence."""
    said = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return printable(said)
