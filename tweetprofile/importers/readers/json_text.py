"""JSON objects that do not stand one per line, read a window of their text at a time.

The text is an array, or objects and arrays one after the other, on one line or on many. Where a
record is broken, reading goes on with the next object that begins as records do there. From then on
no record is looked for beyond the next such beginning, so that the time that broken records take
grows with the file and not with its square.
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

_LONGEST_BEGINNING = 512
"""Characters that the beginning of a record is recognised by, at most."""

_LONGEST_INDENT = 64

_BETWEEN = re.compile(r"[\s,;]*")

_AT_ANY_LINE = re.compile(r"\n[ \t]{0,64}\{")

_KEY = r'\s{0,64}("[^"\\]{1,64}")\s{0,64}:'
_SHORT_VALUE = r'\s{0,64}(?:"(?:[^"\\]|\\.){0,99}"|[^"\[\]{},\s]{1,40})\s{0,64},'
_FIRST_KEYS = re.compile(rf"\{{{_KEY}(?:{_SHORT_VALUE}{_KEY})?")

_NEAR_THE_END = 16
"""Characters: an error so near the end may come of what is not read yet."""


@dataclass(frozen=True, slots=True)
class TextFormat:
    """What a text looks like.

    Attributes:
        beginning: of a record, to go on with where one was broken; None where that shows only in
            the first record.
        one_list: whether the text is one list, after any words, and whatever follows it is a loss.
        longest: characters of a record.
        piece: characters that are read at a time.
    """

    beginning: re.Pattern[str] | None
    one_list: bool
    longest: int
    piece: int = 1 << 18


class JsonTextReader:
    """The text of a file, of which a window is held, and the records in it.

    Args:
        data: the text's bytes, UTF-8.
        form: what it looks like.
        file: that it stands in, for skipped.
        skipped: gets what cannot be read.
    """

    def __init__(self, data: BinaryIO, form: TextFormat, file: Path, skipped: Skipped) -> None:
        self._text = io.TextIOWrapper(data, "utf-8-sig", "replace")
        self._form = form
        self._file = file
        self._skipped = skipped
        self._decode = json.JSONDecoder().raw_decode
        self._beginning = form.beginning
        self._beginning_is_sure = form.beginning is not None
        self._window = ""
        self._at = 0  # in the window
        self._in_list = False
        self._line, self._counted = 1, 0  # number of a line, and where in the window it was counted
        self._segments: Iterator[str] | None = None  # once a record was broken
        self.complete = True
        """Whether the text has ended where a text may end, once it is read."""
        self.cut_is_noted = False
        """Whether the end of the text is missing, and a loss says so already."""

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The records that are objects, each with the line that it begins in, from 1."""
        if self._form.one_list:
            self._skip_to_list()
        while self._at_something():
            if self._window[self._at] == "]":
                self._at, self._in_list = self._at + 1, False
                if self._form.one_list and not self._at_list_again():
                    return
            elif self._window[self._at] == "[" and not self._in_list:
                self._at, self._in_list = self._at + 1, True
            else:
                line, beginning = self._current_line(), self._beginning_here()
                try:
                    record = self._parse()
                except (ValueError, RecursionError):
                    if self._skip_broken(line, beginning):
                        continue
                    return
                yield from self._objects(record, line)
        self.complete = not (self._in_list or self._form.one_list)

    @property
    def line(self) -> int:
        """The number of the line that was reached."""
        return self._current_line()

    def _skip_broken(self, line: int, beginning: str) -> bool:
        """Note a broken record, and go to the next; False where there is none."""
        found = self._skip_to_beginning()
        reason = SkipReason.MALFORMED if found else SkipReason.CUT
        self._skipped.add(reason, self._file, line, f"no JSON: {beginning}")
        self.cut_is_noted = not found
        return found

    def _beginning_here(self) -> str:
        """The first characters of the record that is reached, on one line."""
        return " ".join(self._window[self._at : self._at + 60].split())

    def _objects(self, value: Any, line: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """The objects of a value: itself, or those of a list within the list."""
        if isinstance(value, dict):
            yield line, value
        elif isinstance(value, list) and not self._form.one_list:
            yield from ((line, each) for each in objects_of(value, self._file, line, self._skipped))
        else:
            what = f"no JSON object: {brief(value)}"
            self._skipped.add(SkipReason.MALFORMED, self._file, line, what)

    def _at_list_again(self) -> bool:
        """Where something follows the one list, note it and go to a record in it."""
        if not self._at_something():
            return False
        what = "text behind the end of the list"
        self._skipped.add(SkipReason.MALFORMED, self._file, self._current_line(), what)
        begins = self._beginning or _AT_ANY_LINE
        return bool(begins.match(self._window, self._at)) or self._skip_to_beginning()

    def _skip_to_list(self) -> None:
        """Go behind the first bracket; where there is none, to the end."""
        while (found := self._window.find("[", self._at)) < 0:
            self._at = len(self._window)
            if not self._more():
                return
        self._at, self._in_list = found + 1, True

    def _at_something(self) -> bool:
        """Go behind blanks and commas; False at the end of the text."""
        while True:
            blank = _BETWEEN.match(self._window, self._at)
            start, self._at = self._at, blank.end() if blank else self._at
            if self._at < len(self._window):
                if not self._beginning_is_sure and self._window[self._at] == "{":
                    self._learn_beginning(start)
                return True
            if not self._more():
                return False

    def _learn_beginning(self, before: int) -> None:
        """See how records begin in this text: as the one does that stands at the window's place.

        One that begins a line shows it surely. Among others, there may be objects within records
        that begin alike, so these are known by their first two keys.

        Args:
            before: where the blanks before it begin.
        """
        line = self._window.rfind("\n", before, self._at)
        indent = self._window[line : self._at] if line >= 0 else "\n"
        alone = self._line == 1 and self._at == before == 0
        if (line >= 0 or alone) and len(indent) <= _LONGEST_INDENT:
            self._beginning = re.compile(re.escape(indent) + r"\{")
            self._beginning_is_sure = True
        elif self._beginning is None and (keys := _FIRST_KEYS.match(self._window, self._at)):
            more = _SHORT_VALUE + _key(keys[2]) if keys[2] else ""
            self._beginning = re.compile(rf"[,\n]\s{{0,64}}\{{{_key(keys[1])}{more}")

    def _parse(self) -> Any:
        """The value that begins here, which is then behind.

        Raises:
            ValueError, RecursionError: it is broken, cut, or longer than records may be.
        """
        while True:
            try:
                value, end = self._decode(self._window, self._at)
                if end < len(self._window) or not self._may_grow() or not self._more():
                    self._at = end
                    return value
            except JSONDecodeError as error:
                close = error.pos + _NEAR_THE_END >= len(self._window)
                unread = close or error.msg.startswith("Unterminated string")
                if not (unread and self._may_grow() and self._more()):
                    raise

    def _may_grow(self) -> bool:
        return self._segments is None and len(self._window) - self._at <= self._form.longest

    def _skip_to_beginning(self) -> bool:
        """Go to the next object that begins as records do; False where there is none."""
        begins = self._beginning or _AT_ANY_LINE
        if self._segments is None:
            self._at += 1
            self._segments = self._cut_at_beginnings(self._window[self._at :], begins)
            self._window = self._window[: self._at]
        while True:
            self._at = len(self._window)
            if not self._more():
                return False
            if begins.match(self._window):
                return True

    def _cut_at_beginnings(self, text: str, begins: re.Pattern[str]) -> Iterator[str]:
        """What is left of the text, from each beginning of an object to the next."""
        start = look = 0
        piece_size = self._form.piece
        while True:
            if match := begins.search(text, look):
                yield text[start : match.start()]
                start, look = match.start(), match.start() + 1
            elif len(text) - start > self._form.longest:
                end = len(text) - _LONGEST_BEGINNING
                yield text[start:end]
                start = look = end
            elif piece := self._text.read(max(piece_size, len(text) - start)):
                look = max(look, len(text) - _LONGEST_BEGINNING) - start
                text, start = text[start:] + piece, 0
            else:
                yield text[start:]
                return

    def _more(self) -> bool:
        """Hold more text, and none of what is behind; False where there is no more."""
        if self._segments is None:
            piece = self._text.read(max(self._form.piece, len(self._window) - self._at)) or None
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
    """What matches a key of an object, and the colon behind it."""
    return rf"\s{{0,64}}{re.escape(quoted)}\s{{0,64}}:"


def objects_of(
    values: list[Any], file: Path, line: int, skipped: Skipped, *, inner: bool = False
) -> Iterator[dict[str, Any]]:
    """The objects of a list, and of the lists in it; what else it holds is one loss.

    Args:
        values: the list.
        file: that it stands in.
        line: that it begins in.
        skipped: gets what is no object.
        inner: whether it stands within a list, and lists within it are no longer looked into.
    """
    if values and isinstance(values[0], int) and isinstance(values[-1], dict):
        yield values[-1]  # gallery-dl prints [number of the kind, address, what is known of it]
        return
    others = 0
    for each in values:
        if isinstance(each, dict):
            yield each
        elif isinstance(each, list) and not inner:
            yield from objects_of(each, file, line, skipped, inner=True)
        else:
            others += 1
    if others:
        what = f"a list in which {others:,} of {len(values):,} are no objects: {brief(values[0])}"
        skipped.add(SkipReason.MALFORMED, file, line, what)
    elif not values:
        skipped.leave_out("empty lists")
