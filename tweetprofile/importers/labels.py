"""Labels from a table beside the dump, joined to its users by their ids."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from tweetprofile.errors import OptionError
from tweetprofile.forms import is_text as is_text_type
from tweetprofile.importers.losses import Loss, Losses, brief
from tweetprofile.importers.parquet import count_rows, read_parquet_rows, read_schema
from tweetprofile.importers.rows import Row, read_header, read_rows
from tweetprofile.importers.users import DumpUser, is_text
from tweetprofile.traits import RESERVED_COLUMNS

_USERS_A_BATCH = 1 << 12

MOST_ROWS = 10_000_000
"""Of a table; all of them are held in memory, 40 bytes a row and more."""

MOST_LABELS = 1_000
"""Columns of a table, beside the users' ids."""

MOST_TEXT = 256 << 20
"""Characters in a table."""

_ROWS_A_PART = 1 << 16


class LabelTable:
    """A CSV or Parquet file with the column `user_id` and one of text a label.

    Args:
        file: the table.

    Raises:
        OptionError: it cannot be read, has no column to take, a row that is none, or names a user
            twice.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._is_parquet = file.suffix.lower() == ".parquet"
        names = self._names()
        columns = [name for name in names if name != "user_id"]
        self._check(names, columns)
        self.columns = tuple(columns)
        self._table = pl.concat(self._parts(names)).with_row_index("row")
        ids = pl.col("user_id")
        repeated = self._table.filter(ids.is_duplicated() & ids.is_not_null()).head(1)
        for user_id in repeated["user_id"]:
            raise OptionError(f"{file} has user '{user_id}' twice; keep one row a user.")
        self._met = np.zeros(len(self._table), bool)

    def attach(self, users: Iterator[DumpUser]) -> Iterator[DumpUser]:
        """The users with their labels, which stand above what the dump itself says."""
        while batch := list(islice(users, _USERS_A_BATCH)):
            wanted = pl.DataFrame({"user_id": [user.user_id for user in batch]})
            joined = wanted.join(self._table, on="user_id", how="left", maintain_order="left")
            self._met[joined["row"].drop_nulls().to_numpy()] = True
            rows = joined.select(self.columns).iter_rows(named=True)
            for user, labels in zip(batch, rows, strict=True):
                yield replace(user, labels={**user.labels, **labels})

    def note_unmet(self, losses: Losses) -> None:
        """Note the users of the table whom the dump does not have."""
        unmet = self._table.filter(~pl.Series(self._met))
        for row, user_id in unmet.select("row", "user_id").iter_rows():
            losses.note(Loss.NO_SUCH_USER, self.file, row + 1, f"row {row + 1}: {user_id}")

    def _names(self) -> list[str]:
        with _reading(self.file):
            if not self._is_parquet:
                if header := read_header(self.file):
                    return header
                raise OSError(None, "it is empty", str(self.file))
            schema = read_schema(self.file)
        for field in schema:
            if not (is_text_type(field.type) or pa.types.is_primitive(field.type)):
                raise OptionError(
                    f"{self.file}: column '{field.name}' is {field.type}; make it text, or drop it."
                )
        return list(schema.names)

    def _check(self, names: list[str], columns: list[str]) -> None:
        """Raise OptionError unless the columns can be taken."""
        if "user_id" not in names:
            said = ", ".join(names[:20]) or "none"
            raise OptionError(f"{self.file} has no column 'user_id'; it has {said}.")
        if taken := RESERVED_COLUMNS.intersection(columns):
            said = f"no label can be called '{min(taken)}'"
        elif not columns:
            raise OptionError(f"{self.file} has no column beside 'user_id'; add one a trait.")
        elif len(columns) > MOST_LABELS:
            raise OptionError(f"{self.file} has more than {MOST_LABELS:,} columns; drop some.")
        elif repeated := [name for name, count in Counter(names).items() if count > 1]:
            said = f"column '{repeated[0]}' stands there twice"
        elif broken := [name for name in columns if not is_text(name)]:
            said = f"the name of column {broken[0]!r} is no UTF-8"
        else:
            return
        raise OptionError(f"{self.file}: {said}; rename the column.")

    def _parts(self, names: list[str]) -> Iterator[pl.DataFrame]:
        """The table, some thousands of rows at a time."""
        schema = dict.fromkeys(names, pl.String)
        rows = self._parquet_rows(names) if self._is_parquet else read_rows(self.file, _Refusing())
        with _reading(self.file):
            yield pl.DataFrame(schema=schema)
            for part in self._bounded(rows):
                columns = zip(*(cells for _, cells in part), strict=True)
                try:
                    frame = pl.DataFrame(dict(zip(names, columns, strict=True)), schema=schema)
                except UnicodeEncodeError:
                    self._refuse_bytes(part)
                    raise
                # An empty cell is no label, in whichever way a CSV writes it.
                yield frame.select(pl.all().replace("", None))

    def _bounded(self, rows: Iterator[Row]) -> Iterator[list[Row]]:
        part: list[Row] = []
        count = size = 0
        for row in rows:
            part.append(row)
            size += sum(map(len, row[1]))
            if size > MOST_TEXT or len(part) == _ROWS_A_PART:
                count += len(part)
                self._check_size(count, size)
                yield part
                part = []
        if part:
            self._check_size(count + len(part), size)
            yield part

    def _refuse_bytes(self, part: list[Row]) -> None:
        for number, cells in part:
            for cell in cells:
                if not is_text(cell):
                    said = f"{brief(cell)!r} is no UTF-8; correct it."
                    raise OptionError(f"{self.file}:{number}: {said}")

    def _check_size(self, rows: int, size: int) -> None:
        if rows > MOST_ROWS:
            raise OptionError(f"{self.file} has more than {MOST_ROWS:,} rows; split it.")
        if size > MOST_TEXT:
            raise OptionError(
                f"{self.file} holds more than {MOST_TEXT >> 20} MiB of text; drop columns that "
                "are no labels."
            )

    def _parquet_rows(self, names: list[str]) -> Iterator[Row]:
        self._check_size(count_rows(self.file), 0)
        refuse = partial(_Refusing().note, Loss.MALFORMED, self.file)
        for number, row in read_parquet_rows(self.file, names, refuse):
            yield number, [_as_text(row[name]) for name in names]


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


class _Refusing(Losses):
    """Ends the import with what is wrong: unlike a dump, a table of labels can be corrected."""

    def __init__(self) -> None:
        super().__init__(None)

    def note(self, reason: Loss, file: Path | str, line: int | None, what: str) -> None:
        where = f"{file}:{line}" if line is not None else str(file)
        raise OptionError(f"{where}: {what}; correct the table.")


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        said = " ".join(why.split()).rstrip(".")
        raise OptionError(f"{file} cannot be read as CSV or Parquet: {said}.") from error
