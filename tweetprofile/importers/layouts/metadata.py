"""The table of an ImageFolder, in which Hugging Face names users and images.

`metadata.csv`, `.jsonl` or `.parquet` has a column `user_id`, and one whose name ends in
`file_names` (a list of paths; in CSV as JSON) or `file_name` (one path a row). Rows of a user may
stand anywhere. Its other columns of text, integers or booleans are taken as labels.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from tweetprofile.data.manifests.user_ids import RoundedIds, is_floating
from tweetprofile.errors import OptionError
from tweetprofile.importers.layouts.joining import TableRow
from tweetprofile.importers.layouts.table_columns import (
    LISTS,
    NAMES,
    SINGLE,
    TableColumns,
    error_text,
    floating_id_message,
)
from tweetprofile.importers.readers.csv_rows import read_header, read_rows
from tweetprofile.importers.readers.encodings import encoding_remark
from tweetprofile.importers.readers.folders import is_file
from tweetprofile.importers.readers.json_records import read_records
from tweetprofile.importers.readers.parquet_rows import read_parquet_rows
from tweetprofile.importers.skipped import Skipped, SkipReason, brief
from tweetprofile.importers.users import LONGEST_ID, is_id, is_text
from tweetprofile.traits import RESERVED_COLUMNS, SPLIT_COLUMN

_SHOWN = 20
"""Names of columns in a sentence."""

Rows = Iterator[tuple[int, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Metadata:
    """The table of an ImageFolder.

    Attributes:
        file: where it stands.
        images: its column of paths.
        labels: its other columns of text, integers or booleans.
        left_out: those of other types.
        encoding: of its text.
    """

    file: Path
    images: str
    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    encoding: str

    @classmethod
    def find(cls, folder: Path) -> "Metadata | None":
        """That of a folder, if there is one.

        Raises:
            OptionError: it cannot be read, lacks a column, or there are two of them.
        """
        files = [folder / name for name in NAMES if is_file(folder / name)]
        if not files:
            return None
        if len(files) > 1:
            several = " and ".join(file.name for file in files)
            raise OptionError(f"{folder} holds {several}; keep the one that is right.")
        file = files[0]
        columns = TableColumns.of(file)
        names = columns.names
        images = next((name for name in names if name.endswith((LISTS, SINGLE))), None)
        if images is None or "user_id" not in names:
            raise OptionError(
                f"{file} needs the columns 'user_id' and 'file_names' (or 'file_name'); it has "
                f"{', '.join(names[:20]) or 'none'}."
            )
        not_labels = {images, *RESERVED_COLUMNS} - {SPLIT_COLUMN}
        labels = tuple(name for name in names if name not in not_labels)
        return cls(file, images, labels, tuple(columns.left_out), columns.encoding)

    def rows(self, skipped: Skipped) -> Iterator[TableRow]:
        """Its rows, in order; image paths are relative to its folder.

        Raises:
            OptionError: ids were written as floating-point numbers, or rounded by a spreadsheet.
        """
        if (said := encoding_remark(self.file, self.encoding)) is not None:
            skipped.remark(said)
        if self.left_out:
            names = ", ".join(self.left_out[:_SHOWN])
            skipped.remark(f"{self.file}: neither text nor whole numbers, so left out: {names}.")
        rounded = RoundedIds()
        for line, row in self._read(skipped):
            user_id = self._user_id(row.get("user_id"), line, skipped)
            if user_id is not None:
                rounded.add(user_id)
                labels = [self._label(name, row, line, skipped) for name in self.labels]
                images = list(self._images(row.get(self.images), line, skipped))
                yield TableRow(user_id, f"{self.file}:{line}", images, labels)
        if (said := rounded.sentence) is not None:
            raise OptionError(f"{self.file}: {said}.")

    def _read(self, skipped: Skipped) -> Rows:
        """Rows with the lines that they end in; of Parquet, the number of the row."""
        match self.file.suffix:
            case ".csv":
                return _csv_rows(self.file, skipped)
            case ".parquet":
                return _parquet_rows(self.file, ["user_id", self.images, *self.labels], skipped)
            case _:
                return read_records(self.file, skipped, self.encoding)

    def _user_id(self, user_id: Any, line: int, skipped: Skipped) -> str | None:
        if isinstance(user_id, float) or (isinstance(user_id, str) and is_floating(user_id)):
            raise OptionError(floating_id_message(self.file, line, user_id))
        if user_id in (None, "") or not isinstance(user_id, str | int) or user_id is True:
            skipped.add(SkipReason.MISSING_KEY, self.file, line, "a row without user_id")
            return None
        if not is_id(str(user_id)):
            what = f"user_id {brief(user_id)!r} is no UTF-8, or longer than {LONGEST_ID} characters"
            skipped.add(SkipReason.BAD_NAME, self.file, line, what)
            return None
        return str(user_id)

    def _label(self, name: str, row: dict[str, Any], line: int, skipped: Skipped) -> str | None:
        value = row.get(name)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        if isinstance(value, str) and is_text(value):
            return value or None
        if value is not None:
            skipped.add(SkipReason.BAD_LABEL, self.file, line, f"{name} is no text: {brief(value)}")
        return None

    def _images(self, value: Any, line: int, skipped: Skipped) -> Iterator[str]:
        names = _parse_names(value, as_list=self.images.endswith(LISTS))
        if names is None:
            skipped.add(SkipReason.MALFORMED, self.file, line, f"no list of paths: {brief(value)}")
        for name in names or ():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                skipped.add(SkipReason.OUTSIDE, self.file, line, name)
            elif not is_text(name):
                skipped.add(SkipReason.BAD_NAME, self.file, line, f"{brief(name)!r} is no UTF-8")
            elif not is_file(self.file.parent / name):
                skipped.add(SkipReason.MISSING_FILE, self.file, line, name)
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


def _csv_rows(file: Path, skipped: Skipped) -> Rows:
    header, rows = read_header(file), read_rows(file, skipped)
    return ((line, dict(zip(header, cells, strict=True))) for line, cells in rows)


def _parquet_rows(file: Path, columns: list[str], skipped: Skipped) -> Rows:
    number = 0
    skip = partial(skipped.add, SkipReason.MALFORMED, file)
    try:
        for number, row in read_parquet_rows(file, columns, skip):
            yield number, row
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        skipped.add(SkipReason.CUT, file, number + 1, f"cannot be read on: {error_text(error)}")
