"""Rows of CSV, whatever is wrong with some of them, and whichever spreadsheet wrote it.

A quotation mark that nothing closes would make one cell of all that follows. So a row reaches over
the end of its line only where it then is a right one; else its first line alone is lost, and
reading goes on with the second.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tweetprofile.importers.readers.encodings import find_encoding
from tweetprofile.importers.readers.json_records import LONGEST_RECORD
from tweetprofile.importers.readers.streams import DumpFile
from tweetprofile.importers.skipped import Skipped, SkipReason

_MOST_LINES = 1 << 16
"""Of a row: a list of paths may have each on a line of its own."""

_SKIPPED_AT_ONCE = 1 << 16
_LONGEST_SAID = f"{LONGEST_RECORD >> 20} Mi characters"

_WORKBOOK = b"PK\x03\x04"
_DELIMITER_LINE = re.compile(r'"?sep=([,;|\t])"?\s*$', re.IGNORECASE)
"""What Excel writes above a table, and reads, to name the delimiter."""

Row = tuple[int, list[str]]
"""Cells, and the number of the line that they end in."""

_DELIMITERS = (",", ";", "\t", "|")
"""Where the decimal sign is a comma, spreadsheets part cells by semicolons."""


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """How a file of rows is written.

    Attributes:
        encoding: of its text, as `find_encoding` says.
        delimiter: what stands between cells.
        header: number of the line with the names of the columns, from 1.
    """

    encoding: str
    delimiter: str
    header: int = 1

    @classmethod
    def of(cls, file: Path) -> "CsvFormat":
        """The format of a file, from all of its bytes and its first line.

        Raises:
            OSError: it cannot be read.
        """
        encoding = find_encoding(file)
        with DumpFile(file, encoding) as dump_file:
            first = dump_file.bytes.readline(LONGEST_RECORD)
        if first.startswith(_WORKBOOK):
            raise OSError(None, "it is an Excel workbook; save it as CSV UTF-8", str(file))
        text = first.decode("utf-8-sig", "surrogateescape")
        if (told := _DELIMITER_LINE.match(text)) is not None:
            return cls(encoding, told[1], header=2)
        return cls(encoding, _delimiter_of(text))


def _delimiter_of(header: str) -> str:
    """The delimiter that leaves a cell `user_id`, else the one that makes most cells."""

    def worth(delimiter: str) -> tuple[bool, int]:
        cells = [cell.strip() for cell in _leniently(header, delimiter) or ()]
        return "user_id" in cells, len(cells)

    return max(_DELIMITERS, key=worth)


def read_header(file: Path) -> list[str]:
    """The cells of the first row, without spaces around them; none of an empty file.

    Raises:
        OSError: the file cannot be read.
    """
    written = CsvFormat.of(file)
    with DumpFile(file, written.encoding) as dump_file:
        rows = _Rows(dump_file, file, written, Skipped(None))
        header = next(rows.read(None), (1, []))[1]
        if not header and dump_file.damage is not None:
            raise OSError(None, dump_file.damage, str(file))
        return [cell.strip() for cell in header]


def read_rows(file: Path, skipped: Skipped) -> Iterator[Row]:
    """The rows below the header that have as many cells; empty lines are none.

    Bytes that are no UTF-8 come as surrogates, which `is_text` tells from text.
    """
    try:
        written = CsvFormat.of(file)
        dump_file = DumpFile(file, written.encoding)
    except OSError as error:
        skipped.add(SkipReason.UNREADABLE, file, None, error.strerror or str(error))
        return
    with dump_file:
        rows = _Rows(dump_file, file, written, skipped)
        width = len(next(rows.read(None), (1, []))[1])
        yield from rows.read(width)
        if dump_file.damage is not None:
            what = f"cannot be read on: {dump_file.damage}"
            skipped.add(SkipReason.CUT, file, rows.number + 1, what)


class _Rows:
    """The lines of a file, and the rows that they make.

    Attributes:
        number: of the line that was read last.
    """

    def __init__(
        self, dump_file: DumpFile, file: Path, written: CsvFormat, skipped: Skipped
    ) -> None:
        # csv's own limit, 131,072 characters a cell, is replaced by that of lines and rows.
        csv.field_size_limit(max(csv.field_size_limit(), 2 * LONGEST_RECORD))
        text = io.TextIOWrapper(dump_file.bytes, "utf-8-sig", "surrogateescape", newline="")
        self._read_line = text.readline
        self._file = file
        self._delimiter = written.delimiter
        self._skipped = skipped
        self._lines = 0
        self._put_back: deque[tuple[int, str]] = deque()
        self._taken: list[tuple[int, str]] = []  # by the row that is being read
        self._size = 0
        self._alone_before = 0
        self.number = 0
        for _ in range(written.header - 1):
            self._read_line()
            self._lines += 1

    def read(self, width: int | None) -> Iterator[Row]:
        """Rows of so many cells; of any number where `width` is None."""
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
                self._give_back()
                cells = None
            elif cells is None:
                cells = _leniently(self._taken[0][1], self._delimiter)
            if cells is None:
                self._skip(self._taken[0][0], "a quotation mark that nothing closes")
            elif width is None or len(cells) == width:
                yield self.number, cells
            elif any(map(str.strip, cells)):
                self._skip(self.number, f"{len(cells)} cells where there are {width} columns")

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """A line for csv to read; none where the row that it reads must end here."""
        if self._taken and not self._may_go_on():
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
                return self._leave_out()
        self._taken.append((self.number, line))
        return line

    def _may_go_on(self) -> bool:
        number, line = self._taken[-1]
        self._size += len(line)
        short = self._size <= LONGEST_RECORD and len(self._taken) < _MOST_LINES
        return short and number >= self._alone_before

    def _leave_out(self) -> str:
        """Skip the rest of a line that is too long; the next one, unless it ends a row, too."""
        while (rest := self._read_line(_SKIPPED_AT_ONCE)) and not rest.endswith(("\n", "\r")):
            pass
        self._skip(self.number, f"a line of more than {_LONGEST_SAID}")
        if self._taken:
            raise StopIteration
        return next(self)

    def _give_back(self) -> None:
        """Read the lines below the first again, each by itself, so that none is read thrice.

        The last one has shown that something is wrong, and may begin a longer row.
        """
        self._alone_before = max(self._alone_before, self._taken[-1][0])
        self._put_back.extendleft(reversed(self._taken[1:]))

    def _skip(self, number: int, what: str) -> None:
        self._skipped.add(SkipReason.MALFORMED, self._file, number, what)


def _leniently(line: str, delimiter: str) -> list[str] | None:
    """The cells of a line with text beside its quotation marks; None where it ends within them."""
    reader = csv.reader((line, "\n"), delimiter=delimiter)
    try:
        cells = next(reader)
    except csv.Error:
        return None
    return cells if reader.line_num == 1 else None
