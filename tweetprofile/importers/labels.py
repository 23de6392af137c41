"""Read labels from a table beside the dump, and join them to its users by their ids.

Labels are read as `data/labels/values.py` defines them: trimmed, and without words that stand for
missing values.
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

_USERS_PER_BATCH = 1 << 12

MOST_ROWS = 10_000_000
"""The most rows of a table; all of them are in memory, at 40 bytes per row or more."""

MOST_LABELS = 1_000
"""The most columns of a table, besides `user_id`."""

MOST_TEXT = 256 << 20
"""The most characters in a table."""

_ROWS_PER_PART = 1 << 16

_IDS_SHOWN = 3

_NAMES_SHOWN = 20


class LabelTable:
    """A CSV or Parquet file with the column `user_id` and one column per label.

    Args:
        file: The table.

    Attributes:
        columns: The names of the labels that are taken.
        notes: Sentences on columns that are not taken, and on how labels were read.
        warnings: Sentences on classes that look like one another.
        labelled: The number of users with a label per column, of those whom `count` has seen.

    Raises:
        OptionError: If the table cannot be read, has no row or no column of labels, has a malformed
            row or a rounded id, or names a user twice.
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
        if (fault := self._rounded.sentence) is not None:
            raise OptionError(f"{file}: {fault}.")
        self._describe_labels()
        ids = pl.col("user_id")
        repeated = self._table.filter(ids.is_duplicated() & ids.is_not_null()).head(1)
        for user_id in repeated["user_id"]:
            raise OptionError(f"{file} has user '{user_id}' twice; keep one row per user.")
        self._found = np.zeros(len(self._table), bool)
        self.labelled: dict[str, int] = dict.fromkeys(self.columns, 0)
        self._first_users: list[str] = []

    def attach(self, users: Iterator[DumpUser]) -> Iterator[DumpUser]:
        """Yield the users with their labels, which override those of the dump itself."""
        unlabelled = dict.fromkeys(self.columns)
        while batch := list(islice(users, _USERS_PER_BATCH)):
            wanted = pl.DataFrame({"user_id": [user.user_id for user in batch]})
            joined = wanted.join(self._table, on="user_id", how="left", maintain_order="left")
            self._found[joined["row"].drop_nulls().to_numpy()] = True
            rows = joined.select(self.columns).iter_rows(named=True)
            missing = _IDS_SHOWN - len(self._first_users)
            self._first_users += [user.user_id for user in batch[:missing]]
            for user, labels in zip(batch, rows, strict=True):
                known = {name: label for name, label in labels.items() if label is not None}
                yield replace(user, labels={**unlabelled, **user.labels, **known})

    def count(self, user: DumpUser) -> None:
        """Count the labels of a user who is in the manifest."""
        for name in self.columns:
            self.labelled[name] += user.labels.get(name) is not None

    def require_common_users(self) -> None:
        """Raise OptionError if none of the table's users is in the dump."""
        if self._found.any() or not self._first_users:
            return
        ids = self._table["user_id"].drop_nulls()
        raise OptionError(
            f"{self.file}: none of its {len(ids):,} users is in the dump; it has "
            f"{_quoted(ids[:_IDS_SHOWN])}, and the dump has {_quoted(self._first_users)}; write "
            "the dump's ids into the column user_id."
        )

    def skip_unknown_users(self, skipped: Skipped) -> None:
        """Record as skipped the users of the table who are not in the dump."""
        unknown = self._table.filter(~pl.Series(self._found))
        for row, user_id in unknown.select("row", "user_id").iter_rows():
            skipped.add(SkipReason.NO_SUCH_USER, self.file, row + 1, f"row {row + 1}: {user_id}")

    def _describe_labels(self) -> None:
        """Collect the sentences on how the labels were read."""
        columns = [
            LabelColumn.of(
                name,
                counts,
                self._kinds.get(name, ValueKind.TEXT),
                too_many_values=len(counts) > MOST_VALUES,
            )
            for name, counts in self._counts.items()
        ]
        self.notes += tuple(note for each in columns for note in each.notes)
        self.warnings = tuple(warning for each in columns for warning in each.warnings)

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
        """Return the columns of a Parquet file that can be taken, and note the others."""
        left_out = {}
        for field in schema:
            kind = kind_of_column(field.type)
            if field.name == "user_id" and kind in (None, ValueKind.BOOLEAN):
                raise OptionError(
                    f"{self.file}: the column 'user_id' is {field.type}, which rounds ids or "
                    "cannot hold them; write them as text."
                )
            if kind is None and not pa.types.is_null(field.type):
                left_out[field.name] = why_no_labels(field.type)
            elif kind is not None:
                self._kinds[field.name] = kind
        reasons = [f"{name} is not taken: it {why}" for name, why in left_out.items()]
        self.notes += tuple(reasons)
        names = [name for name in schema.names if name not in left_out]
        if left_out and names == ["user_id"]:
            raise OptionError(f"{self.file} has no column of labels: {'; '.join(reasons)}.")
        return names

    def _check(self, names: list[str]) -> None:
        """Raise OptionError if the columns cannot be taken."""
        columns = [name for name in names if name != "user_id"]
        if "user_id" not in names:
            shown = ", ".join(names[:_NAMES_SHOWN]) or "none"
            raise OptionError(f"{self.file} has no column 'user_id'; it has {shown}.")
        if taken := RESERVED_COLUMNS.intersection(columns):
            fault = f"no label can be called '{min(taken)}'"
        elif not columns:
            raise OptionError(f"{self.file} has no column beside 'user_id'; add one per trait.")
        elif len(columns) > MOST_LABELS:
            raise OptionError(f"{self.file} has more than {MOST_LABELS:,} columns; drop some.")
        elif repeated := [name for name, count in Counter(names).items() if count > 1]:
            fault = f"column '{repeated[0]}' occurs twice"
        elif broken := [name for name in columns if not is_text(name)]:
            fault = f"the name of column {broken[0]!r} is not UTF-8"
        else:
            return
        raise OptionError(f"{self.file}: {fault}; rename the column.")

    def _parts(self, names: list[str]) -> Iterator[pl.DataFrame]:
        """Yield the table, some thousands of rows at a time."""
        schema = dict.fromkeys(names, pl.String)
        rows = self._parquet_rows(names) if self._is_parquet else self._csv_rows(names)
        with _reading(self.file):
            yield pl.DataFrame(schema=schema)
            for part in self._bounded(rows):
                columns = zip(*(cells for _, cells in part), strict=True)
                try:
                    frame = pl.DataFrame(dict(zip(names, columns, strict=True)), schema=schema)
                except UnicodeEncodeError:
                    self._refuse_non_text(part)
                    raise
                self._check_ids(part, names.index("user_id"))
                yield frame.with_columns(self._labels(frame[name]) for name in self.columns)

    def _csv_rows(self, names: list[str]) -> Iterator[Row]:
        """Yield the rows that have cells, with ids stripped of spaces."""
        column = names.index("user_id")
        for number, cells in read_rows(self.file, _RefuseSkipped()):
            if any(map(str.strip, cells)):
                cells[column] = cells[column].strip()
                if not cells[column]:
                    raise OptionError(
                        f"{self.file}:{number} has no user_id; add it or delete the row."
                    )
                yield number, cells

    def _labels(self, cells: pl.Series) -> pl.Series:
        """Return the classes in cells, and count the cells as they are written."""
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
            if size > MOST_TEXT or len(part) == _ROWS_PER_PART:
                count += len(part)
                self._check_size(count, size)
                yield part
                part = []
        if part:
            self._check_size(count + len(part), size)
            yield part

    def _refuse_non_text(self, part: list[Row]) -> None:
        for number, cells in part:
            for cell in cells:
                if not is_text(cell):
                    raise OptionError(
                        f"{self.file}:{number}: {brief(cell)!r} is not UTF-8; save the table as "
                        "UTF-8."
                    )

    def _check_size(self, rows: int, size: int) -> None:
        if rows > MOST_ROWS:
            raise OptionError(f"{self.file} has more than {MOST_ROWS:,} rows; split the table.")
        if size > MOST_TEXT:
            raise OptionError(
                f"{self.file} holds more than {MOST_TEXT >> 20} MiB of text; drop the columns that "
                "are not labels."
            )

    def _parquet_rows(self, names: list[str]) -> Iterator[Row]:
        self._check_size(count_rows(self.file), 0)
        on_skip = partial(_RefuseSkipped().add, SkipReason.MALFORMED, self.file)
        for number, row in read_parquet_rows(self.file, names, on_skip):
            yield number, [_as_text(row[name]) for name in names]


def _quoted(ids: Iterable[str]) -> str:
    return ", ".join(f"'{printable(each, 60)}'" for each in ids)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


class _RefuseSkipped(Skipped):
    """End the import at the first fault: unlike a dump, a table of labels can be corrected."""

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
        fault = " ".join(why.split()).rstrip(".")
        raise OptionError(
            f"{file} cannot be read as CSV or Parquet: {fault}; repair it or save it again."
        ) from error
