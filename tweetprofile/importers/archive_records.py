"""The records of an archive's file, `window.YTD.<name>.part<N> = [...]`, a window of it at a time.

Where a record is broken, reading goes on with the next object that begins as those of tweets do.
From then on no record is looked for beyond the next such beginning, so that the time that broken
records take grows with the file and not with its square.
"""

import io
import json
import re
from collections.abc import Iterator
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from tweetprofile.importers.losses import Loss, Losses, brief
from tweetprofile.importers.records import LONGEST_RECORD
from tweetprofile.importers.streams import DumpFile

_PIECE = 1 << 18
"""Characters read at a time, which most records are far shorter than."""

_BEGINNING = re.compile(r"\{\s{0,100}\"tweet\"\s{0,100}:")
_LONGEST_BEGINNING = 256

_BETWEEN = re.compile(r"[\s,;]*")

_NEAR_THE_END = 16
"""Characters: an error so near the end may come of what is not read yet."""


def read_archive(file: Path, losses: Losses) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of an archive, each with the line that it begins in.

    What cannot be read is noted among the losses, and reading goes on with the next tweet.
    """
    try:
        dump_file = DumpFile(file)
    except OSError as error:
        losses.note(Loss.UNREADABLE, file, None, error.strerror or str(error))
        return
    with dump_file:
        yield from _Records(dump_file, file, losses).read()


class _Records:
    """The text of a file, of which a window is held, and the records in it."""

    def __init__(self, dump_file: DumpFile, file: Path, losses: Losses) -> None:
        self._text = io.TextIOWrapper(dump_file.bytes, "utf-8", "replace")
        self._dump_file = dump_file
        self._file = file
        self._losses = losses
        self._decode = json.JSONDecoder().raw_decode
        self._window = ""
        self._at = 0  # in the window
        self._line, self._counted = 1, 0  # number of a line, and where in the window it was counted
        self._segments: Iterator[str] | None = None  # once a record was broken

    def read(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The records that are objects, each with its line."""
        self._skip_to_list()
        while self._at_something():
            if self._window[self._at] == "]":
                self._at += 1
                if not self._at_something():
                    return
                self._lose(Loss.MALFORMED, "text behind the end of the list")
                here = _BEGINNING.match(self._window, self._at)
                if not here and not self._skip_to_beginning():
                    return
                continue
            line, beginning = self._current_line(), self._window[self._at : self._at + 60]
            try:
                record = self._parse()
            except (ValueError, RecursionError):
                found = self._skip_to_beginning()
                reason = Loss.MALFORMED if found else Loss.CUT
                self._losses.note(reason, self._file, line, f"no JSON: {beginning}")
                if not found:
                    return
                continue
            if isinstance(record, dict):
                yield line, record
            else:
                what = f"no JSON object: {brief(record)}"
                self._losses.note(Loss.MALFORMED, self._file, line, what)
        self._lose(Loss.CUT, self._dump_file.damage or "the list of records has no end")

    def _skip_to_list(self) -> None:
        """Go behind the first bracket; where there is none, to the end."""
        while (found := self._window.find("[", self._at)) < 0:
            self._at = len(self._window)
            if not self._more():
                return
        self._at = found + 1

    def _at_something(self) -> bool:
        """Go behind blanks and commas; False at the end of the text."""
        while True:
            blank = _BETWEEN.match(self._window, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._window):
                return True
            if not self._more():
                return False

    def _parse(self) -> Any:
        """The value that begins here, which is then behind.

        Raises:
            ValueError, RecursionError: it is broken, cut, or longer than `LONGEST_RECORD`.
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
        return self._segments is None and len(self._window) - self._at <= LONGEST_RECORD

    def _skip_to_beginning(self) -> bool:
        """Go to the next object that begins as those of tweets do; False where there is none."""
        if self._segments is None:
            self._at += 1
            self._segments = self._cut_at_beginnings(self._window[self._at :])
            self._window = self._window[: self._at]
        while True:
            self._at = len(self._window)
            if not self._more():
                return False
            if _BEGINNING.match(self._window):
                return True

    def _cut_at_beginnings(self, text: str) -> Iterator[str]:
        """What is left of the text, from each beginning of an object to the next."""
        start = look = 0
        while True:
            if match := _BEGINNING.search(text, look):
                yield text[start : match.start()]
                start, look = match.start(), match.start() + 1
            elif len(text) - start > LONGEST_RECORD:
                end = len(text) - _LONGEST_BEGINNING
                yield text[start:end]
                start = look = end
            elif piece := self._text.read(max(_PIECE, len(text) - start)):
                look = max(look, len(text) - _LONGEST_BEGINNING) - start
                text, start = text[start:] + piece, 0
            else:
                yield text[start:]
                return

    def _more(self) -> bool:
        """Hold more text, and none of what is behind; False where there is no more."""
        if self._segments is None:
            piece = self._text.read(max(_PIECE, len(self._window) - self._at)) or None
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

    def _lose(self, reason: Loss, what: str) -> None:
        self._losses.note(reason, self._file, self._current_line(), what)
