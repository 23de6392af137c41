"""Read JSON whose objects are not one per line, holding only a window of the text in memory.

The text is an array, or objects and arrays one after the other, on one line or on many. After a
broken record, reading resumes with the next object that starts as records do in this text. From
then on the text is cut at every such start, and no record reaches beyond the next one. So the time
that broken records take grows with the size of the file, and not with its square.
"""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from typing import Any, BinaryIO

from tweetprofile.importers.skipped import Skipped, SkipReason, brief

_LONGEST_START = 512
"""The largest number of characters by which the start of a record is recognised."""

_LONGEST_INDENT = 64

_SEPARATORS = re.compile(r"[\s,;]*")

_ON_ANY_LINE = re.compile(r"\n[ \t]{0,64}\{")

_KEY = r'\s{0,64}("[^"\\]{1,64}")\s{0,64}:'
_SHORT_VALUE = r'\s{0,64}(?:"(?:[^"\\]|\\.){0,99}"|[^"\[\]{},\s]{1,40})\s{0,64},'
_FIRST_KEYS = re.compile(rf"\{{{_KEY}(?:{_SHORT_VALUE}{_KEY})?")

_NEAR_END = 16
"""Characters: an error this close to the end may come from text that has not been read yet."""


@dataclass(frozen=True, slots=True)
class TextFormat:
    """What a text looks like.

    Attributes:
        record_start: How a record starts, to resume after a broken one; None to learn it from the
            first record.
        is_one_list: Whether the text is one list, after any words. What follows the list is then
            skipped.
        longest: The most characters of a record.
        piece: The characters to read at a time.
    """

    record_start: re.Pattern[str] | None
    is_one_list: bool
    longest: int
    piece: int = 1 << 18


class JsonTextReader:
    """Read the records of a text, with only a window of it in memory.

    Args:
        data: The bytes of the text, in UTF-8.
        text_format: What the text looks like.
        file: The file that the text is in, for what is skipped.
        skipped: Records what cannot be read.

    Attributes:
        is_complete: Whether the text ended where it may end; known once it has been read.
        cut_is_recorded: Whether the missing end of the text has been recorded as skipped already.
    """

    def __init__(
        self, data: BinaryIO, text_format: TextFormat, file: Path, skipped: Skipped
    ) -> None:
        self._text = io.TextIOWrapper(data, "utf-8-sig", "replace")
        self._format = text_format
        self._file = file
        self._skipped = skipped
        self._decode = json.JSONDecoder().raw_decode
        self._record_start = text_format.record_start
        self._start_is_certain = text_format.record_start is not None
        self._window = ""
        self._at = 0  # position in the window
        self._in_list = False
        self._line, self._counted = 1, 0  # a line's number, and where in the window it was counted
        self._segments: Iterator[str] | None = None  # the cut text, after a broken record
        self.is_complete = True
        self.cut_is_recorded = False

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the records that are objects, each with the number of its first line, from 1."""
        if self._format.is_one_list:
            self._enter_first_list()
        while self._skip_separators():
            if self._window[self._at] == "]":
                self._at, self._in_list = self._at + 1, False
                if self._format.is_one_list and not self._resume_after_list():
                    return
            elif self._window[self._at] == "[" and not self._in_list:
                self._at, self._in_list = self._at + 1, True
            else:
                line, excerpt = self._current_line(), self._excerpt()
                try:
                    record = self._parse()
                except (ValueError, RecursionError):
                    if self._skip_broken(line, excerpt):
                        continue
                    return
                yield from self._objects(record, line)
        self.is_complete = not (self._in_list or self._format.is_one_list)

    @property
    def line(self) -> int:
        """The number of the line that has been reached."""
        return self._current_line()

    def _skip_broken(self, line: int, excerpt: str) -> bool:
        """Record a broken record as skipped and go to the next; return whether there is one."""
        found = self._go_to_record_start()
        reason = SkipReason.MALFORMED if found else SkipReason.CUT
        self._skipped.add(reason, self._file, line, f"not JSON: {excerpt}")
        self.cut_is_recorded = not found
        return found

    def _excerpt(self) -> str:
        """Return the first characters of the current record, on one line."""
        return " ".join(self._window[self._at : self._at + 60].split())

    def _objects(self, value: Any, line: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield a value that is an object, or the objects in a list within the list."""
        if isinstance(value, dict):
            yield line, value
        elif isinstance(value, list) and not self._format.is_one_list:
            yield from ((line, each) for each in objects_of(value, self._file, line, self._skipped))
        else:
            what = f"not a JSON object: {brief(value)}"
            self._skipped.add(SkipReason.MALFORMED, self._file, line, what)

    def _resume_after_list(self) -> bool:
        """If text follows the one list, record it as skipped and go to a record in it."""
        if not self._skip_separators():
            return False
        what = "text after the end of the list"
        self._skipped.add(SkipReason.MALFORMED, self._file, self._current_line(), what)
        start = self._record_start or _ON_ANY_LINE
        return bool(start.match(self._window, self._at)) or self._go_to_record_start()

    def _enter_first_list(self) -> None:
        """Go past the first bracket, or to the end of the text if there is none."""
        while (found := self._window.find("[", self._at)) < 0:
            self._at = len(self._window)
            if not self._read_more():
                return
        self._at, self._in_list = found + 1, True

    def _skip_separators(self) -> bool:
        """Go past blanks, commas and semicolons; return False at the end of the text."""
        while True:
            separators = _SEPARATORS.match(self._window, self._at)
            before, self._at = self._at, separators.end() if separators else self._at
            if self._at < len(self._window):
                if not self._start_is_certain and self._window[self._at] == "{":
                    self._learn_record_start(before)
                return True
            if not self._read_more():
                return False

    def _learn_record_start(self, before: int) -> None:
        """Learn how records start in this text from the record at the current position.

        The indentation of a record that starts a line is a reliable sign. Otherwise objects within
        records may start alike, so records are recognised by their first two keys.

        Args:
            before: The position of the blanks before the record.
        """
        line = self._window.rfind("\n", before, self._at)
        indent = self._window[line : self._at] if line >= 0 else "\n"
        starts_text = self._line == 1 and self._at == before == 0
        if (line >= 0 or starts_text) and len(indent) <= _LONGEST_INDENT:
            self._record_start = re.compile(re.escape(indent) + r"\{")
            self._start_is_certain = True
        elif self._record_start is None and (keys := _FIRST_KEYS.match(self._window, self._at)):
            more = _SHORT_VALUE + _key(keys[2]) if keys[2] else ""
            self._record_start = re.compile(rf"[,\n]\s{{0,64}}\{{{_key(keys[1])}{more}")

    def _parse(self) -> Any:
        """Parse the value at the current position, and go past it.

        Raises:
            ValueError, RecursionError: The value is broken, cut, or longer than a record may be.
        """
        while True:
            try:
                value, end = self._decode(self._window, self._at)
                if end < len(self._window) or not self._may_grow() or not self._read_more():
                    self._at = end
                    return value
            except JSONDecodeError as error:
                is_near_end = error.pos + _NEAR_END >= len(self._window)
                may_be_unread = is_near_end or error.msg.startswith("Unterminated string")
                if not (may_be_unread and self._may_grow() and self._read_more()):
                    raise

    def _may_grow(self) -> bool:
        return self._segments is None and len(self._window) - self._at <= self._format.longest

    def _go_to_record_start(self) -> bool:
        """Go to the next object that starts as records do; return whether there is one."""
        start = self._record_start or _ON_ANY_LINE
        if self._segments is None:
            self._at += 1
            self._segments = self._cut_at_starts(self._window[self._at :], start)
            self._window = self._window[: self._at]
        while True:
            self._at = len(self._window)
            if not self._read_more():
                return False
            if start.match(self._window):
                return True

    def _cut_at_starts(self, text: str, record_start: re.Pattern[str]) -> Iterator[str]:
        """Yield the rest of the text, from each start of a record to the next."""
        start = look = 0
        piece_size = self._format.piece
        while True:
            if match := record_start.search(text, look):
                yield text[start : match.start()]
                start, look = match.start(), match.start() + 1
            elif len(text) - start > self._format.longest:
                end = len(text) - _LONGEST_START
                yield text[start:end]
                start = look = end
            elif piece := self._text.read(max(piece_size, len(text) - start)):
                look = max(look, len(text) - _LONGEST_START) - start
                text, start = text[start:] + piece, 0
            else:
                yield text[start:]
                return

    def _read_more(self) -> bool:
        """Drop the text before the current position and read more; return whether there is more."""
        if self._segments is None:
            piece = self._text.read(max(self._format.piece, len(self._window) - self._at)) or None
        else:
            piece = next(self._segments, None)
        if piece is None:
            return False
        self._current_line()
        self._window, self._at, self._counted = self._window[self._at :] + piece, 0, 0
        return True

    def _current_line(self) -> int:
        self._line += self._window.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line


def _key(quoted: str) -> str:
    """Return a pattern that matches a key of an object and the colon after it."""
    return rf"\s{{0,64}}{re.escape(quoted)}\s{{0,64}}:"


def objects_of(
    values: list[Any], file: Path, line: int, skipped: Skipped, *, is_inner: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the objects in a list and in the lists within it; the rest is skipped as one.

    Args:
        values: The list.
        file: The file that the list is in.
        line: The number of the list's first line.
        skipped: Records what is not an object.
        is_inner: Whether the list is within another one; lists within it are then skipped.
    """
    if values and isinstance(values[0], int) and isinstance(values[-1], dict):
        yield values[-1]  # gallery-dl prints [number of the kind, address, metadata]
        return
    others = 0
    for each in values:
        if isinstance(each, dict):
            yield each
        elif isinstance(each, list) and not is_inner:
            yield from objects_of(each, file, line, skipped, is_inner=True)
        else:
            others += 1
    if others:
        what = f"{others:,} of {len(values):,} list items are not objects: {brief(values[0])}"
        skipped.add(SkipReason.MALFORMED, file, line, what)
    elif not values:
        skipped.leave_out("empty lists")
