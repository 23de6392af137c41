"""Read the sound rows of a CSV file, whatever is wrong with others and whatever program wrote it.

An unclosed quotation mark would turn everything after it into one cell. So a row extends over
several lines only if it then has the right number of cells. Otherwise its first line alone is
skipped, and reading resumes with the second.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tweetprofile.importers.readers.encodings import find_encoding
from tweetprofile.importers.readers.json_records import LONGEST_RECORD, damage_text
from tweetprofile.importers.readers.streams import DumpFile
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.plurals import count_of

_MOST_LINES = 1 << 16
"""The largest number of lines in one row: a list of paths may have each on a line of its own."""

_SKIPPED_AT_ONCE = 1 << 16
_LONGEST_ROW_TEXT = f"{LONGEST_RECORD >> 20} Mi characters"

_WORKBOOK_START = b"PK\x03\x04"
_DELIMITER_LINE = re.compile(r'"?sep=([,;|\t])"?\s*$', re.IGNORECASE)
"""The line that Excel writes above a table, and reads, to name the delimiter."""

Row = tuple[int, list[str]]
"""The number of a row's last line, and its cells."""

_DELIMITERS = (",", ";", "\t", "|")
"""Where the decimal sign is a comma, spreadsheets separate cells by semicolons."""


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """How a CSV file is written.

    Attributes:
        encoding: The encoding of its text, as `find_encoding` returns it.
        delimiter: The character between cells.
        header: The number of the line with the names of the columns, from 1.
    """

    encoding: str
    delimiter: str
    header: int = 1

    @classmethod
    def of(cls, file: Path) -> "CsvFormat":
        """Find out the format of a file from all of its bytes and its first line.

        Raises:
            OSError: The file cannot be read, or is an Excel workbook.
        """
        encoding = find_encoding(file)
        with DumpFile(file, encoding) as dump_file:
            first = dump_file.bytes.readline(LONGEST_RECORD)
        if first.startswith(_WORKBOOK_START):
            raise OSError(None, "it is an Excel workbook; save it as CSV UTF-8", str(file))
        text = first.decode("utf-8-sig", "surrogateescape")
        if (named := _DELIMITER_LINE.match(text)) is not None:
            return cls(encoding, named[1], header=2)
        return cls(encoding, _delimiter_of(text))


def _delimiter_of(header: str) -> str:
    """Return the delimiter that makes `user_id` a cell, or else the one that makes most cells."""

    def rank(delimiter: str) -> tuple[bool, int]:
        cells = [cell.strip() for cell in _parse_leniently(header, delimiter) or ()]
        return "user_id" in cells, len(cells)

    return max(_DELIMITERS, key=rank)


def read_header(file: Path) -> list[str]:
    """Return the cells of the first row, stripped of spaces; none if the file is empty.

    Raises:
        OSError: The file cannot be read.
    """
    csv_format = CsvFormat.of(file)
    with DumpFile(file, csv_format.encoding) as dump_file:
        rows = _RowReader(dump_file, file, csv_format, Skipped(None))
        header = next(rows.read(None), (1, []))[1]
        if not header and dump_file.damage is not None:
            raise OSError(None, dump_file.damage, str(file))
        return [cell.strip() for cell in header]


def read_rows(file: Path, skipped: Skipped) -> Iterator[Row]:
    """Yield the rows below the header that have as many cells; skip empty lines.

    Bytes that are not UTF-8 become surrogates, which `is_text` detects.
    """
    try:
        csv_format = CsvFormat.of(file)
        dump_file = DumpFile(file, csv_format.encoding)
    except OSError as error:
        skipped.add(SkipReason.UNREADABLE, file, None, error.strerror or str(error))
        return
    with dump_file:
        rows = _RowReader(dump_file, file, csv_format, skipped)
        width = len(next(rows.read(None), (1, []))[1])
        yield from rows.read(width)
        if dump_file.damage is not None:
            skipped.add(SkipReason.CUT, file, rows.number + 1, damage_text(dump_file.damage))


class _RowReader:
    """Read rows from the lines of a file.

    Attributes:
        number: The number of the line that was read last.
    """

    def __init__(
        self, dump_file: DumpFile, file: Path, csv_format: CsvFormat, skipped: Skipped
    ) -> None:
        # The limits on lines and rows replace csv's own: 131,072 characters per cell.
        csv.field_size_limit(max(csv.field_size_limit(), 2 * LONGEST_RECORD))
        text = io.TextIOWrapper(dump_file.bytes, "utf-8-sig", "surrogateescape", newline="")
        self._read_line = text.readline
        self._file = file
        self._delimiter = csv_format.delimiter
        self._skipped = skipped
        self._lines = 0
        self._put_back: deque[tuple[int, str]] = deque()
        self._taken: list[tuple[int, str]] = []  # the lines of the current row
        self._size = 0
        self._single_lines_until = 0
        self.number = 0
        for _ in range(csv_format.header - 1):
            self._read_line()
            self._lines += 1

    def read(self, width: int | None) -> Iterator[Row]:
        """Yield the rows of `width` cells, or of any number if `width` is None."""
        reader = csv.reader(self, delimiter=self._delimiter, strict=True)
        while True:
            self._taken, self._size = [], 0
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                cells = None
            if len(self._taken) > 1 and (cells is None or width not in (None, len(cells))):
                self._put_lines_back()
                cells = None
            elif cells is None:
                cells = _parse_leniently(self._taken[0][1], self._delimiter)
            if cells is None:
                self._skip(self._taken[0][0], "a quotation mark is never closed")
            elif width is None or len(cells) == width:
                yield self.number, cells
            elif any(map(str.strip, cells)):
                self._skip(
                    self.number, f"{count_of(len(cells), 'cell')}, but {count_of(width, 'column')}"
                )

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line to csv, or stop if the current row must end here."""
        if self._taken and not self._may_continue():
            raise StopIteration
        if self._put_back:
            self.number, line = self._put_back.popleft()
        else:
            line = self._read_line(LONGEST_RECORD + 1)
            if not line:
                raise StopIteration
            self._lines += 1
            self.number = self._lines
            if len(line) > LONGEST_RECORD and not line.endswith(("\n", "\r")):
                return self._skip_long_line()
        self._taken.append((self.number, line))
        return line

    def _may_continue(self) -> bool:
        number, line = self._taken[-1]
        self._size += len(line)
        is_short = self._size <= LONGEST_RECORD and len(self._taken) < _MOST_LINES
        return is_short and number >= self._single_lines_until

    def _skip_long_line(self) -> str:
        """Skip the rest of a line that is too long, and return the next line or end the row."""
        while (rest := self._read_line(_SKIPPED_AT_ONCE)) and not rest.endswith(("\n", "\r")):
            pass
        self._skip(self.number, f"a line of more than {_LONGEST_ROW_TEXT}")
        if self._taken:
            raise StopIteration
        return next(self)

    def _put_lines_back(self) -> None:
        """Put back the lines after the first; each is then read by itself, at most twice in all.

        The last of them has shown that something is wrong, and may start a longer row.
        """
        self._single_lines_until = max(self._single_lines_until, self._taken[-1][0])
        self._put_back.extendleft(reversed(self._taken[1:]))

    def _skip(self, number: int, what: str) -> None:
        self._skipped.add(SkipReason.MALFORMED, self._file, number, what)


def _parse_leniently(line: str, delimiter: str) -> list[str] | None:
    """Parse a line that may have text next to quotation marks; return None if one is not closed."""
    reader = csv.reader((line, "\n"), delimiter=delimiter)
    try:
        cells = next(reader)
    except csv.Error:
        return None
    return cells if reader.line_num == 1 else None
