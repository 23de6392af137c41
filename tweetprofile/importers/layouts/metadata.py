"""Read the table of a Hugging Face ImageFolder, which names users and images.

`metadata.csv`, `.jsonl` or `.parquet` has a column `user_id`, and one whose name ends in
`file_names` (a list of paths; as JSON in CSV) or `file_name` (one path per row). The rows of a user
need not be adjacent. Other columns of text, integers or booleans become labels.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tweetprofile.data.manifests.user_ids import RoundedIds, is_floating
from tweetprofile.errors import OptionError
from tweetprofile.importers.layouts.joining import TableRow
from tweetprofile.importers.layouts.table_columns import (
    LISTS,
    NAMES,
    SINGLE,
    Records,
    TableColumns,
    floating_id_message,
    parquet_records,
)
from tweetprofile.importers.readers.csv_rows import read_header, read_rows
from tweetprofile.importers.readers.encodings import encoding_remark
from tweetprofile.importers.readers.folders import is_file
from tweetprofile.importers.readers.json_records import read_records
from tweetprofile.importers.skipped import Line, Skipped, SkipReason, brief
from tweetprofile.importers.users import LONGEST_ID, TEXT_COLUMNS, is_id, is_text
from tweetprofile.traits import RESERVED_COLUMNS, SPLIT_COLUMN

_NAMES_SHOWN = 20
"""The largest number of column names in a sentence."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The table of an ImageFolder.

    Attributes:
        file: The file of the table.
        images: The column of paths.
        labels: The other columns of text, integers or booleans.
        left_out: The columns of other types.
        encoding: The encoding of its text.
        texts: The columns of texts, which are not taken.
    """

    file: Path
    images: str
    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    encoding: str
    texts: tuple[str, ...] = ()

    @classmethod
    def find(cls, folder: Path) -> "Metadata | None":
        """Find the table of a folder; return None if there is none.

        Raises:
            OptionError: The table cannot be read or lacks a column, or there are several.
        """
        files = [folder / name for name in NAMES if is_file(folder / name)]
        if not files:
            return None
        if len(files) > 1:
            several = " and ".join(file.name for file in files)
            raise OptionError(f"{folder} contains {several}; keep the right one.")
        file = files[0]
        columns = TableColumns.of(file)
        names = columns.names
        images = next((name for name in names if name.endswith((LISTS, SINGLE))), None)
        if images is None or "user_id" not in names:
            raise OptionError(
                f"{file} needs the columns 'user_id' and 'file_names' (or 'file_name'); it has "
                f"{', '.join(names[:_NAMES_SHOWN]) or 'none'}."
            )
        not_labels = {images, *RESERVED_COLUMNS, *TEXT_COLUMNS} - {SPLIT_COLUMN}
        labels = tuple(name for name in names if name not in not_labels)
        texts = tuple(name for name in names if name in TEXT_COLUMNS)
        return cls(file, images, labels, tuple(columns.left_out), columns.encoding, texts)

    def rows(self, skipped: Skipped) -> Iterator[TableRow]:
        """Yield its rows, in order; image paths are relative to its folder.

        Raises:
            OptionError: Ids were written as floating-point numbers, or rounded by a spreadsheet.
        """
        if (remark := encoding_remark(self.file, self.encoding)) is not None:
            skipped.remark(remark)
        if self.left_out:
            names = ", ".join(self.left_out[:_NAMES_SHOWN])
            skipped.remark(f"{self.file}: left out, being neither text nor whole numbers: {names}.")
        if self.texts:
            skipped.remark(
                f"{self.file}: left out, being texts and not labels: {', '.join(self.texts)}; "
                "give a table of texts as `texts`."
            )
        rounded = RoundedIds()
        for number, row in self._read(skipped):
            line = Line(skipped, self.file, number)
            user_id = self._user_id(row.get("user_id"), line)
            if user_id is not None:
                rounded.add(user_id)
                labels = [_label(name, row.get(name), line) for name in self.labels]
                images = list(self._images(row.get(self.images), line))
                yield TableRow(user_id, f"{self.file}:{number}", images, labels)
        if (fault := rounded.sentence) is not None:
            raise OptionError(f"{self.file}: {fault}.")

    def _read(self, skipped: Skipped) -> Records:
        """Yield rows with the number of their last line, or in Parquet with the row's number."""
        match self.file.suffix:
            case ".csv":
                return _csv_rows(self.file, skipped)
            case ".parquet":
                return parquet_records(self.file, ["user_id", self.images, *self.labels], skipped)
            case _:
                return read_records(self.file, skipped, self.encoding)

    def _user_id(self, user_id: Any, line: Line) -> str | None:
        if isinstance(user_id, float) or (isinstance(user_id, str) and is_floating(user_id)):
            raise OptionError(floating_id_message(self.file, line.number, user_id))
        if user_id in (None, "") or not isinstance(user_id, str | int) or user_id is True:
            line.skip(SkipReason.MISSING_KEY, "a row without a user_id")
            return None
        if not is_id(str(user_id)):
            what = f"user_id {brief(user_id)!r} is not UTF-8 or has over {LONGEST_ID} characters"
            line.skip(SkipReason.BAD_NAME, what)
            return None
        return str(user_id)

    def _images(self, value: Any, line: Line) -> Iterator[str]:
        is_list = self.images.endswith(LISTS)
        names = _parse_names(value, is_list=is_list)
        if names is None:
            wanted = "a list of paths" if is_list else "a path"
            line.skip(SkipReason.MALFORMED, f"{self.images} is not {wanted}: {brief(value)}")
        for name in names or ():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                line.skip(SkipReason.OUTSIDE, name)
            elif not is_text(name):
                line.skip(SkipReason.BAD_NAME, f"{brief(name)!r} is not UTF-8")
            elif not is_file(self.file.parent / name):
                line.skip(SkipReason.MISSING_FILE, name)
            else:
                yield PurePosixPath(name).as_posix()


def _label(name: str, value: Any, line: Line) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and is_text(value):
        return value or None
    if value is not None:
        line.skip(SkipReason.BAD_LABEL, f"{name} is not text: {brief(value)}")
    return None


def _parse_names(value: Any, *, is_list: bool) -> list[str] | None:
    """Return the paths in a cell, or None if it holds something else."""
    if not is_list:
        return [value] if isinstance(value, str) and value else None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return None
    return value


def _csv_rows(file: Path, skipped: Skipped) -> Records:
    header, rows = read_header(file), read_rows(file, skipped)
    return ((line, dict(zip(header, cells, strict=True))) for line, cells in rows)
