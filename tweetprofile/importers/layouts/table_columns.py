"""Find out which columns a table of users has, and which of them can be used; read its rows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from tweetprofile.data.manifests.types import is_text as is_text_type
from tweetprofile.errors import OptionError
from tweetprofile.importers.readers.csv_rows import read_header
from tweetprofile.importers.readers.encodings import UTF8, find_encoding
from tweetprofile.importers.readers.json_records import damage_text, read_records
from tweetprofile.importers.readers.parquet_rows import read_parquet_rows, read_schema
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.importers.users import is_text

LISTS, SINGLE = "file_names", "file_name"
"""How the name of a column of paths ends: several paths per row, or one."""

MOST_COLUMNS = 1_000
"""The largest number of columns in a table of users."""

Records = Iterator[tuple[int, dict[str, Any]]]
"""The rows of a table by column, each with its number, or with the number of its last line."""


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The columns of a table.

    Attributes:
        names: The columns that can be used: the user's id, paths, and what may be labels.
        left_out: The other columns.
        encoding: The encoding of the file's text.
    """

    names: Sequence[str]
    left_out: Sequence[str]
    encoding: str = UTF8

    @classmethod
    def of(cls, file: Path) -> "TableColumns":
        """Read the columns of a `metadata.csv`, `.jsonl` or `.parquet`.

        Raises:
            OptionError: The file cannot be read, has too many columns or two with the same name,
                or its ids are floating-point numbers.
        """
        try:
            columns = _READERS[file.suffix](file)
        except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
            raise OptionError(
                f"{file} cannot be read: {error_text(error)}; repair or remove it."
            ) from error
        columns._check(file)
        return columns

    def _check(self, file: Path) -> None:
        names = [*self.names, *self.left_out]
        if len(names) > MOST_COLUMNS:
            fault = f"has more than {MOST_COLUMNS:,} columns; keep the columns of labels only"
        elif broken := [name for name in names if not is_text(name)]:
            fault = f"cannot be read: the name of column {broken[0]!r} is not UTF-8; rename it"
        elif repeated := [name for name, count in Counter(names).items() if count > 1]:
            fault = f"has two columns called '{repeated[0]}'; rename or drop one of them"
        else:
            return
        raise OptionError(f"{file} {fault}.")


def floating_id_message(file: Path, row: int, user_id: object) -> str:
    """Return the message about an id that was written as a floating-point number."""
    return (
        f"{file}:{row}: user_id '{user_id}' is a floating-point number, which keeps only 15 digits "
        "of an id, so that two users might become one; export the ids from their source again, as "
        "text."
    )


def error_text(error: Exception) -> str:
    """Return what an error about a file says, on one line."""
    return (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())


def parquet_records(file: Path, columns: Sequence[str], skipped: Skipped) -> Records:
    """Yield the rows of a Parquet table with their numbers, up to where it is damaged.

    Args:
        file: The table.
        columns: The columns to read.
        skipped: Records rows that are too long, and the damage.
    """
    number = 0
    on_skip = partial(skipped.add, SkipReason.MALFORMED, file)
    try:
        for number, row in read_parquet_rows(file, columns, on_skip):
            yield number, row
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        skipped.add(SkipReason.CUT, file, number + 1, damage_text(error_text(error)))


def _csv_columns(file: Path) -> TableColumns:
    return TableColumns([name for name in read_header(file) if name], [], find_encoding(file))


def _parquet_columns(file: Path) -> TableColumns:
    names: list[str] = []
    left_out: list[str] = []
    for field in read_schema(file):
        if field.name == "user_id":
            _require_id_type(field.type, file)
        (names if _is_usable(field) else left_out).append(field.name)
    return TableColumns(names, left_out)


def _require_id_type(kind: pa.DataType, file: Path) -> None:
    if pa.types.is_floating(kind):
        for number, row in read_parquet_rows(file, ["user_id"], lambda row, what: None):
            if row["user_id"] is not None:
                raise OptionError(floating_id_message(file, number, row["user_id"]))
    elif not (pa.types.is_integer(kind) or is_text_type(kind)):
        raise OptionError(f"{file}: the column 'user_id' is {kind}; write the ids as text.")


def _is_usable(field: pa.Field) -> bool:
    kind, name = field.type, field.name
    if name.endswith(LISTS) and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        kind = kind.value_type
    return is_text_type(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)


def _jsonl_columns(file: Path) -> TableColumns:
    """Collect the keys of JSON lines, until there are more than allowed."""
    encoding = find_encoding(file)
    found: dict[str, bool] = {}
    for _, record in read_records(file, Skipped(None), encoding):
        for name, value in record.items():
            is_usable = isinstance(value, str | int) or name == "user_id"
            found[name] = found.get(name, False) or is_usable or name.endswith((LISTS, SINGLE))
        if len(found) > MOST_COLUMNS:
            break
    usable = [name for name, is_usable in found.items() if is_usable]
    return TableColumns(usable, [name for name in found if name not in usable], encoding)


_READERS = {".csv": _csv_columns, ".parquet": _parquet_columns, ".jsonl": _jsonl_columns}
NAMES = tuple(f"metadata{ending}" for ending in _READERS)
"""The names of tables that an ImageFolder may have."""
