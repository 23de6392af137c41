"""`folder` with a `metadata` file: Hugging Face's ImageFolder, users and images named in a table.

`metadata.csv`, `.jsonl` or `.parquet` has a column `user_id`, and one whose name ends in
`file_names` (a list of paths; in CSV as JSON) or `file_name` (one path a row, the rows of a user
adjacent). Its other columns of text are taken as labels.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tweetprofile.errors import OptionError
from tweetprofile.importers.losses import Loss, Losses
from tweetprofile.importers.records import read_records
from tweetprofile.importers.users import DumpUser, is_text
from tweetprofile.traits import RESERVED_COLUMNS

_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_LISTS, _SINGLE = "file_names", "file_name"

Rows = Iterator[tuple[int, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Metadata:
    """The table of an ImageFolder.

    Attributes:
        file: where it stands.
        images: its column of paths.
        labels: its other columns of text.
    """

    file: Path
    images: str
    labels: tuple[str, ...]

    @classmethod
    def find(cls, folder: Path) -> "Metadata | None":
        """That of a folder, if there is one.

        Raises:
            OptionError: it cannot be read, or lacks a column.
        """
        file = next((folder / name for name in _NAMES if (folder / name).is_file()), None)
        if file is None:
            return None
        columns = _columns(file)
        images = next((name for name in columns if name.endswith((_LISTS, _SINGLE))), None)
        if images is None or "user_id" not in columns:
            raise OptionError(
                f"{file} needs the columns 'user_id' and 'file_names' (or 'file_name'); it has "
                f"{', '.join(columns) or 'none'}."
            )
        others = (name for name in columns if name not in {images, *RESERVED_COLUMNS})
        return cls(file, images, tuple(others))

    def users(self, losses: Losses) -> Iterator[DumpUser]:
        """Its users; image paths are relative to its folder."""
        usable = (row for row in _rows(self.file, losses) if self._has_user(*row, losses))
        for user_id, rows in groupby(usable, key=lambda row: str(row[1]["user_id"])):
            yield self._user(user_id, list(rows), losses)

    def _has_user(self, line: int, row: dict[str, Any], losses: Losses) -> bool:
        if row.get("user_id") in (None, ""):
            losses.note(Loss.MISSING_KEY, self.file, line, "a row without user_id")
            return False
        if not is_text(str(row["user_id"])):
            losses.note(Loss.BAD_NAME, self.file, line, f"user_id {row['user_id']!r} is no UTF-8")
            return False
        return True

    def _user(
        self, user_id: str, rows: list[tuple[int, dict[str, Any]]], losses: Losses
    ) -> DumpUser:
        images = [
            image
            for line, row in rows
            for image in self._images(row.get(self.images), line, losses)
        ]
        first = rows[0][1]
        labels = {name: _label(first.get(name)) for name in self.labels}
        return DumpUser(user_id, images, labels)

    def _images(self, value: Any, line: int, losses: Losses) -> Iterator[str]:
        names = _parse_names(value, as_list=self.images.endswith(_LISTS))
        if names is None:
            losses.note(Loss.MALFORMED, self.file, line, f"no list of paths: {str(value)[:60]}")
        for name in names or ():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                losses.note(Loss.OUTSIDE, self.file, line, name)
            elif not is_text(name):
                losses.note(Loss.BAD_NAME, self.file, line, f"{name!r} is no UTF-8")
            elif not _exists(self.file.parent / name):
                losses.note(Loss.MISSING_FILE, self.file, line, name)
            else:
                yield PurePosixPath(name).as_posix()


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a null byte
        return False


def _parse_names(value: Any, *, as_list: bool) -> list[str] | None:
    """The paths that a cell holds; None where it holds something else."""
    if not as_list:
        return [value] if isinstance(value, str) and value else None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return None
    return value


def _label(value: Any) -> str | None:
    return value if isinstance(value, str) and value and is_text(value) else None


def _columns(file: Path) -> list[str]:
    """Columns that may be of use: user, paths and text."""
    try:
        match file.suffix:
            case ".csv":
                with file.open(encoding="utf-8", newline="") as lines:
                    return [name for name in next(csv.reader(lines), []) if name]
            case ".parquet":
                return list(pq.read_schema(file).names)
            case _:
                rows = (row for _, row in read_records(file, Losses(None)))
                return list(dict.fromkeys(name for row in rows for name in _useful(row)))
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise OptionError(f"{file} cannot be read: {error}; mend or remove it.") from error


def _useful(row: dict[str, Any]) -> Iterable[str]:
    return (
        name
        for name, value in row.items()
        if isinstance(value, str) or name == "user_id" or name.endswith((_LISTS, _SINGLE))
    )


def _rows(file: Path, losses: Losses) -> Rows:
    """Rows with the lines that they end in; of Parquet, the number of the row."""
    match file.suffix:
        case ".csv":
            return _csv_rows(file, losses)
        case ".parquet":
            return _parquet_rows(file, losses)
        case _:
            return read_records(file, losses)


def _csv_rows(file: Path, losses: Losses) -> Rows:
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        reader = csv.DictReader(lines)
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                losses.note(Loss.MALFORMED, file, reader.line_num, str(error))
                continue
            if row is None:
                return
            if None in row or None in row.values():
                losses.note(Loss.MALFORMED, file, reader.line_num, "not as many cells as columns")
            else:
                yield reader.line_num, row


def _parquet_rows(file: Path, losses: Losses) -> Rows:
    number = 0
    try:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(1 << 12):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (OSError, pa.ArrowException) as error:
        losses.note(Loss.CUT, file, number + 1, f"cannot be read on: {error}")
