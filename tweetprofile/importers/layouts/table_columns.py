"""Which columns a table of users has, and which of them can be taken."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tweetprofile.data.manifests.forms import is_text as is_text_type
from tweetprofile.errors import OptionError
from tweetprofile.importers.readers.csv_rows import read_header
from tweetprofile.importers.readers.encodings import UTF8, find_encoding
from tweetprofile.importers.readers.json_records import read_records
from tweetprofile.importers.readers.parquet_rows import read_parquet_rows, read_schema
from tweetprofile.importers.skipped import Skipped
from tweetprofile.importers.users import is_text

LISTS, SINGLE = "file_names", "file_name"
"""What the name of a column of paths ends in: several paths a row, or one."""

MOST_COLUMNS = 1_000
"""Of a table of users."""


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The columns of a table.

    Attributes:
        names: of those that can be taken: the user's id, paths, and what may be labels.
        left_out: names of the others.
        encoding: of the file's text.
    """

    names: Sequence[str]
    left_out: Sequence[str]
    encoding: str = UTF8

    @classmethod
    def of(cls, file: Path) -> "TableColumns":
        """The columns of `metadata.csv`, `.jsonl` or `.parquet`.

        Raises:
            OptionError: the file cannot be read, has too many columns or two of one name, or its
                ids are floating-point numbers.
        """
        try:
            columns = _READERS[file.suffix](file)
        except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
            raise OptionError(
                f"{file} cannot be read: {error_text(error)}; mend or remove it."
            ) from error
        columns._check(file)
        return columns

    def _check(self, file: Path) -> None:
        names = [*self.names, *self.left_out]
        if len(names) > MOST_COLUMNS:
            said = f"has more than {MOST_COLUMNS:,} columns; keep those of labels"
        elif broken := [name for name in names if not is_text(name)]:
            said = f"cannot be read: column {broken[0]!r} is no UTF-8; rename it"
        elif repeated := [name for name, count in Counter(names).items() if count > 1]:
            said = f"has two columns called '{repeated[0]}'; rename or drop one of them"
        else:
            return
        raise OptionError(f"{file} {said}.")


def floating_id_message(file: Path, row: int, user_id: object) -> str:
    """What to say of an id that was written as a floating-point number."""
    return (
        f"{file}:{row}: user_id '{user_id}' is a floating-point number, which has only 15 digits "
        "of an id, so that users might be taken for one; read the ids anew from their source as "
        "text."
    )


def error_text(error: Exception) -> str:
    """What an error of a file says, in one line."""
    return (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())


def _of_csv(file: Path) -> TableColumns:
    return TableColumns([name for name in read_header(file) if name], [], find_encoding(file))


def _of_parquet(file: Path) -> TableColumns:
    names: list[str] = []
    left_out: list[str] = []
    for field in read_schema(file):
        if field.name == "user_id":
            _require_id_type(field.type, file)
        (names if _is_useful(field) else left_out).append(field.name)
    return TableColumns(names, left_out)


def _require_id_type(kind: pa.DataType, file: Path) -> None:
    if pa.types.is_floating(kind):
        for number, row in read_parquet_rows(file, ["user_id"], lambda row, what: None):
            if row["user_id"] is not None:
                raise OptionError(floating_id_message(file, number, row["user_id"]))
    elif not (pa.types.is_integer(kind) or is_text_type(kind)):
        raise OptionError(f"{file}: 'user_id' is {kind}; write the ids as text.")


def _is_useful(field: pa.Field) -> bool:
    kind, name = field.type, field.name
    if name.endswith(LISTS) and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        kind = kind.value_type
    return is_text_type(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)


def _of_records(file: Path) -> TableColumns:
    """The keys of JSON lines, up to some more than there may be."""
    encoding = find_encoding(file)
    found: dict[str, bool] = {}
    for _, record in read_records(file, Skipped(None), encoding):
        for name, value in record.items():
            of_use = isinstance(value, str | int) or name == "user_id"
            found[name] = found.get(name, False) or of_use or name.endswith((LISTS, SINGLE))
        if len(found) > MOST_COLUMNS:
            break
    useful = [name for name, each in found.items() if each]
    return TableColumns(useful, [name for name in found if name not in useful], encoding)


_READERS = {".csv": _of_csv, ".parquet": _of_parquet, ".jsonl": _of_records}
NAMES = tuple(f"metadata{ending}" for ending in _READERS)
"""Of tables that an ImageFolder may have."""
