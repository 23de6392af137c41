"""`folder` with a `metadata` file: Hugging Face's ImageFolder, users and images named in a table.

`metadata.csv`, `.jsonl` or `.parquet` has a column `user_id`, and one whose name ends in
`file_names` (a list of paths; in CSV as JSON) or `file_name` (one path a row, the rows of a user
adjacent). Its other columns of text are taken as labels.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from tweetprofile.errors import OptionError
from tweetprofile.forms import is_text as is_text_type
from tweetprofile.importers.files import is_file
from tweetprofile.importers.losses import Loss, Losses, brief
from tweetprofile.importers.parquet import read_parquet_rows, read_schema
from tweetprofile.importers.records import read_records
from tweetprofile.importers.rows import read_header, read_rows
from tweetprofile.importers.users import (
    IMAGES_BEYOND,
    LONGEST_ID,
    MOST_IMAGES,
    DumpUser,
    is_id,
    is_text,
)
from tweetprofile.traits import RESERVED_COLUMNS

_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_LISTS, _SINGLE = "file_names", "file_name"

MOST_COLUMNS = 1_000
"""Of a table of users."""

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
        file = next((folder / name for name in _NAMES if is_file(folder / name)), None)
        if file is None:
            return None
        columns = _columns(file)
        images = next((name for name in columns if name.endswith((_LISTS, _SINGLE))), None)
        if images is None or "user_id" not in columns:
            raise OptionError(
                f"{file} needs the columns 'user_id' and 'file_names' (or 'file_name'); it has "
                f"{', '.join(columns[:20]) or 'none'}."
            )
        others = (name for name in columns if name not in {images, *RESERVED_COLUMNS})
        return cls(file, images, tuple(others))

    def users(self, losses: Losses) -> Iterator[DumpUser]:
        """Its users; image paths are relative to its folder."""
        usable = (row for row in self._rows(losses) if self._has_user(*row, losses))
        for user_id, rows in groupby(usable, key=lambda row: str(row[1]["user_id"])):
            yield self._user(user_id, rows, losses)

    def _rows(self, losses: Losses) -> Rows:
        """Rows with the lines that they end in; of Parquet, the number of the row."""
        match self.file.suffix:
            case ".csv":
                return _csv_rows(self.file, losses)
            case ".parquet":
                return _parquet_rows(self.file, ["user_id", self.images, *self.labels], losses)
            case _:
                return read_records(self.file, losses)

    def _has_user(self, line: int, row: dict[str, Any], losses: Losses) -> bool:
        user_id = row.get("user_id")
        if user_id in (None, "") or not isinstance(user_id, str | int) or user_id is True:
            losses.note(Loss.MISSING_KEY, self.file, line, "a row without user_id")
            return False
        if not is_id(str(user_id)):
            what = f"user_id {brief(user_id)!r} is no UTF-8, or longer than {LONGEST_ID} characters"
            losses.note(Loss.BAD_NAME, self.file, line, what)
            return False
        return True

    def _user(self, user_id: str, rows: Rows, losses: Losses) -> DumpUser:
        images: list[str] = []
        labels: dict[str, str | None] | None = None
        for line, row in rows:
            if labels is None:
                labels = {name: self._label(name, row, line, losses) for name in self.labels}
            found = list(self._images(row.get(self.images), line, losses))
            if beyond := max(0, len(images) + len(found) - MOST_IMAGES):
                losses.set_aside(IMAGES_BEYOND, beyond)
                del found[len(found) - beyond :]
            images += found
        return DumpUser(user_id, images, labels or {})

    def _label(self, name: str, row: dict[str, Any], line: int, losses: Losses) -> str | None:
        value = row.get(name)
        if isinstance(value, str) and is_text(value):
            return value or None
        if value is not None:
            losses.note(Loss.BAD_LABEL, self.file, line, f"{name} is no text: {brief(value)}")
        return None

    def _images(self, value: Any, line: int, losses: Losses) -> Iterator[str]:
        names = _parse_names(value, as_list=self.images.endswith(_LISTS))
        if names is None:
            losses.note(Loss.MALFORMED, self.file, line, f"no list of paths: {brief(value)}")
        for name in names or ():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                losses.note(Loss.OUTSIDE, self.file, line, name)
            elif not is_text(name):
                losses.note(Loss.BAD_NAME, self.file, line, f"{brief(name)!r} is no UTF-8")
            elif not is_file(self.file.parent / name):
                losses.note(Loss.MISSING_FILE, self.file, line, name)
            else:
                yield PurePosixPath(name).as_posix()


def _parse_names(value: Any, *, as_list: bool) -> list[str] | None:
    """The paths that a cell holds; None where it holds something else."""
    if not as_list:
        return [value] if isinstance(value, str) and value else None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return None
    return value


def _columns(file: Path) -> list[str]:
    """Columns that may be of use: user, paths and text.

    Raises:
        OptionError: the file cannot be read, or has too many.
    """
    try:
        match file.suffix:
            case ".csv":
                columns = [name for name in read_header(file) if name]
            case ".parquet":
                columns = [field.name for field in read_schema(file) if _is_useful(field)]
            case _:
                columns = list(_keys(file))
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise OptionError(f"{file} cannot be read: {_why(error)}; mend or remove it.") from error
    if len(columns) > MOST_COLUMNS:
        raise OptionError(f"{file} has more than {MOST_COLUMNS:,} columns; keep those of labels.")
    if broken := [name for name in columns if not is_text(name)]:
        raise OptionError(f"{file} cannot be read: column {broken[0]!r} is no UTF-8; rename it.")
    return columns


def _keys(file: Path) -> Iterable[str]:
    """The keys of JSON lines that may be of use, up to one more than there may be."""
    found: dict[str, None] = {}
    for _, record in read_records(file, Losses(None)):
        found |= dict.fromkeys(
            name
            for name, value in record.items()
            if isinstance(value, str) or name == "user_id" or name.endswith((_LISTS, _SINGLE))
        )
        if len(found) > MOST_COLUMNS:
            break
    return found


def _is_useful(field: pa.Field) -> bool:
    kind, name = field.type, field.name
    if name.endswith(_LISTS) and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        kind = kind.value_type
    return is_text_type(kind) or (name == "user_id" and pa.types.is_integer(kind))


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())


def _csv_rows(file: Path, losses: Losses) -> Rows:
    header, rows = read_header(file), read_rows(file, losses)
    return ((line, dict(zip(header, cells, strict=True))) for line, cells in rows)


def _parquet_rows(file: Path, columns: list[str], losses: Losses) -> Rows:
    number = 0
    lose = partial(losses.note, Loss.MALFORMED, file)
    try:
        for number, row in read_parquet_rows(file, columns, lose):
            yield number, row
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        losses.note(Loss.CUT, file, number + 1, f"cannot be read on: {_why(error)}")
