"""Labels from a table beside the dump, joined to its users by their ids.

Labels are read by the rule of `training/label_values.py`: trimmed, and no words for missing values.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from tweetprofile.data.labels.columns import kind_of_column, why_no_labels
from tweetprofile.data.labels.values import MOST_VALUES, LabelColumn, ValueKind, class_of
from tweetprofile.data.manifests.user_ids import RoundedIds, is_floating
from tweetprofile.errors import OptionError
from tweetprofile.importers.readers.csv_rows import Row, read_header, read_rows
from tweetprofile.importers.readers.parquet_rows import count_rows, read_parquet_rows, read_schema
from tweetprofile.importers.skipped import Skipped, SkipReason, brief
from tweetprofile.importers.users import DumpUser, is_text
from tweetprofile.traits import RESERVED_COLUMNS
from tweetprofile.untrusted.text import printable

_USERS_A_BATCH = 1 << 12

MOST_ROWS = 10_000_000
"""Of a table; all of them are held in memory, 40 bytes a row and more."""

MOST_LABELS = 1_000
"""Columns of a table, beside the users' ids."""

MOST_TEXT = 256 << 20
"""Characters in a table."""

_ROWS_A_PART = 1 << 16

_IDS_SHOWN = 3


class LabelTable:
    """A CSV or Parquet file with the column `user_id` and one a label.

    Args:
        file: the table.

    Attributes:
        columns: of the labels that are taken.
        notes: sentences on columns that are not taken, and on how labels were read.
        warnings: sentences on classes that look like one another.
        labelled: users of the dump by column, as far as `count` has seen them.

    Raises:
        OptionError: it cannot be read, has no column to take, a row that is none, an id that was
            rounded, no row at all, or names a user twice.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._is_parquet = file.suffix.lower() == ".parquet"
        self.notes: tuple[str, ...] = ()
        self.warnings: tuple[str, ...] = ()
        self._kinds: dict[str, ValueKind] = {}
        names = self._names()
        self.columns = tuple(name for name in names if name != "user_id")
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in self.columns}
        self._rounded = RoundedIds()
        self._table = pl.concat(self._parts(names)).with_row_index("row")
        if not len(self._table):
            raise OptionError(f"{file} has no row below its header; add a row per user.")
        if (said := self._rounded.sentence) is not None:
            raise OptionError(f"{file}: {said}.")
        self._judge()
        ids = pl.col("user_id")
        repeated = self._table.filter(ids.is_duplicated() & ids.is_not_null()).head(1)
        for user_id in repeated["user_id"]:
            raise OptionError(f"{file} has user '{user_id}' twice; keep one row per user.")
        self._met = np.zeros(len(self._table), bool)
        self.labelled: dict[str, int] = dict.fromkeys(self.columns, 0)
        self._some_users: list[str] = []

    def attach(self, users: Iterator[DumpUser]) -> Iterator[DumpUser]:
        """The users with their labels, which stand above what the dump itself says."""
        unlabelled = dict.fromkeys(self.columns)
        while batch := list(islice(users, _USERS_A_BATCH)):
            wanted = pl.DataFrame({"user_id": [user.user_id for user in batch]})
            joined = wanted.join(self._table, on="user_id", how="left", maintain_order="left")
            self._met[joined["row"].drop_nulls().to_numpy()] = True
            rows = joined.select(self.columns).iter_rows(named=True)
            room = _IDS_SHOWN - len(self._some_users)
            self._some_users += [user.user_id for user in batch[:room]]
            for user, labels in zip(batch, rows, strict=True):
                known = {name: label for name, label in labels.items() if label is not None}
                yield replace(user, labels={**unlabelled, **user.labels, **known})

    def count(self, user: DumpUser) -> None:
        """Count the labels of a user who is in the manifest."""
        for name in self.columns:
            self.labelled[name] += user.labels.get(name) is not None

    def require_met(self) -> None:
        """Raise OptionError if the dump has none of the table's users."""
        if self._met.any() or not self._some_users:
            return
        ids = self._table["user_id"].drop_nulls()
        raise OptionError(
            f"{self.file}: none of its {len(ids):,} users is in the dump; it has "
            f"{_some(ids[:_IDS_SHOWN])}, and the dump has {_some(self._some_users)}; write the "
            "dump's ids into the column user_id."
        )

    def note_unmet(self, skipped: Skipped) -> None:
        """Note the users of the table whom the dump does not have."""
        unmet = self._table.filter(~pl.Series(self._met))
        for row, user_id in unmet.select("row", "user_id").iter_rows():
            skipped.add(SkipReason.NO_SUCH_USER, self.file, row + 1, f"row {row + 1}: {user_id}")

    def _judge(self) -> None:
        """Say how the labels were read."""
        judged = [
            LabelColumn.of(
                name,
                counts,
                self._kinds.get(name, ValueKind.TEXT),
                too_many_values=len(counts) > MOST_VALUES,
            )
            for name, counts in self._counts.items()
        ]
        self.notes += tuple(note for each in judged for note in each.notes)
        self.warnings = tuple(warning for each in judged for warning in each.warnings)

    def _names(self) -> list[str]:
        with _reading(self.file):
            if not self._is_parquet:
                header = read_header(self.file)
                if not header:
                    raise OSError(None, "it is empty", str(self.file))
                self._check(header)
                return header
            schema = read_schema(self.file)
        self._check(list(schema.names))
        return self._names_taken(schema)

    def _names_taken(self, schema: pa.Schema) -> list[str]:
        """The columns of a Parquet file that can be taken; the others are noted."""
        left_out = {}
        for field in schema:
            kind = kind_of_column(field.type)
            if field.name == "user_id" and kind in (None, ValueKind.BOOLEAN):
                raise OptionError(
                    f"{self.file}: column 'user_id' is {field.type}, in which ids are rounded or "
                    "none at all; write them as text."
                )
            if kind is None and not pa.types.is_null(field.type):
                left_out[field.name] = why_no_labels(field.type)
            elif kind is not None:
                self._kinds[field.name] = kind
        said = [f"{name} is not taken: it {why}" for name, why in left_out.items()]
        self.notes += tuple(said)
        names = [name for name in schema.names if name not in left_out]
        if left_out and names == ["user_id"]:
            raise OptionError(f"{self.file} has no column of labels: {'; '.join(said)}.")
        return names

    def _check(self, names: list[str]) -> None:
        """Raise OptionError unless the columns can be taken."""
        columns = [name for name in names if name != "user_id"]
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
        rows = self._parquet_rows(names) if self._is_parquet else self._csv_rows(names)
        with _reading(self.file):
            yield pl.DataFrame(schema=schema)
            for part in self._bounded(rows):
                columns = zip(*(cells for _, cells in part), strict=True)
                try:
                    frame = pl.DataFrame(dict(zip(names, columns, strict=True)), schema=schema)
                except UnicodeEncodeError:
                    self._refuse_bytes(part)
                    raise
                self._check_ids(part, names.index("user_id"))
                yield frame.with_columns(self._labels(frame[name]) for name in self.columns)

    def _csv_rows(self, names: list[str]) -> Iterator[Row]:
        """The rows, without spaces around ids, and without rows of empty cells."""
        column = names.index("user_id")
        for number, cells in read_rows(self.file, _RefuseSkipped()):
            if any(map(str.strip, cells)):
                cells[column] = cells[column].strip()
                if not cells[column]:
                    raise OptionError(f"{self.file}:{number} has no user_id; name the user.")
                yield number, cells

    def _labels(self, cells: pl.Series) -> pl.Series:
        """The classes that cells name, which are counted as they are written."""
        counts = self._counts[cells.name]
        if len(counts) <= MOST_VALUES:
            counts.update(cells.drop_nulls())
        classes = [None if cell is None else class_of(cell) for cell in cells]
        return pl.Series(cells.name, classes, pl.String)

    def _check_ids(self, part: Sequence[Row], column: int) -> None:
        for number, cells in part:
            user_id = cells[column] or ""
            if is_floating(user_id):
                raise OptionError(
                    f"{self.file}:{number}: the user_id '{printable(user_id)}' was written as a "
                    "floating-point number, which rounds long ids; export the column as text."
                )
            self._rounded.add(user_id)

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
        refuse = partial(_RefuseSkipped().add, SkipReason.MALFORMED, self.file)
        for number, row in read_parquet_rows(self.file, names, refuse):
            yield number, [_as_text(row[name]) for name in names]


def _some(ids: Iterable[str]) -> str:
    return ", ".join(f"'{printable(each, 60)}'" for each in ids)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


class _RefuseSkipped(Skipped):
    """Ends the import with what is wrong: unlike a dump, a table of labels can be corrected."""

    def __init__(self) -> None:
        super().__init__(None)

    def add(self, reason: SkipReason, file: Path | str, line: int | None, what: str) -> None:
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
