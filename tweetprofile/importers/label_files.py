"""Read a table of labels for a dump, part by part, and refuse it at the first fault.

Labels are read as `data/labels/values.py` defines them: trimmed, and without words that stand for
missing values.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from tweetprofile.data.labels.columns import kind_of_column, why_no_labels
from tweetprofile.data.labels.values import MOST_VALUES, LabelColumn, ValueKind, class_of
from tweetprofile.data.manifests.user_ids import RoundedIds, is_floating
from tweetprofile.errors import OptionError
from tweetprofile.importers.readers.csv_rows import Row, read_header, read_rows
from tweetprofile.importers.readers.parquet_rows import count_rows, read_parquet_rows, read_schema
from tweetprofile.importers.skipped import Skipped, SkipReason, brief
from tweetprofile.importers.users import TEXT_COLUMNS, is_text
from tweetprofile.traits import RESERVED_COLUMNS
from tweetprofile.untrusted.text import printable

MOST_ROWS = 10_000_000
"""The largest number of rows in a table; all of them are in memory, at 40 bytes per row or more."""

MOST_LABELS = 1_000
"""The largest number of columns in a table, besides `user_id`."""

MOST_TEXT = 256 << 20
"""The largest number of characters in a table."""

_ROWS_PER_PART = 1 << 16

_NAMES_SHOWN = 20


class LabelFile:
    """A CSV or Parquet file with the column `user_id` and one column per label.

    Args:
        file: The file.

    Attributes:
        columns: The names of the labels that are taken.
        notes: Sentences on columns that are not taken.

    Raises:
        OptionError: The file cannot be read, or has no column to take.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.notes: tuple[str, ...] = ()
        self._is_parquet = file.suffix.lower() == ".parquet"
        self._kinds: dict[str, ValueKind] = {}
        self._all_columns = self._names()
        self.columns = tuple(name for name in self._all_columns if name != "user_id")
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in self.columns}
        self._rounded = RoundedIds()

    def read(self) -> pl.DataFrame:
        """Read the whole table, as `user_id` and the classes that cells name.

        Raises:
            OptionError: The table has a malformed row, a rounded id, or no row at all.
        """
        table = pl.concat(self._parts(self._all_columns))
        if not len(table):
            raise OptionError(f"{self.file} has no row below its header; add a row per user.")
        if (fault := self._rounded.sentence) is not None:
            raise OptionError(f"{self.file}: {fault}.")
        return table

    def describe_columns(self) -> list[LabelColumn]:
        """Describe how the labels of each column were read, once the table has been."""
        return [
            LabelColumn.of(
                name,
                counts,
                self._kinds.get(name, ValueKind.TEXT),
                too_many_values=len(counts) > MOST_VALUES,
            )
            for name, counts in self._counts.items()
        ]

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
            raise OptionError(
                f"{self.file} has no column 'user_id'; it has {shown}. Rename the column of ids."
            )
        if taken := (RESERVED_COLUMNS | TEXT_COLUMNS).intersection(columns):
            fault = f"no label can be called '{min(taken)}'"
        elif not columns:
            raise OptionError(f"{self.file} has no column other than 'user_id'; add one per trait.")
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
