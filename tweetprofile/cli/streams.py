"""Standard output and standard error, as they are: closed, full, of few letters, read by nobody.

What stderr gets is talk, and must never end a run: where it cannot be written, it is dropped. What
stdout gets is what was asked for: where it cannot be written, the command has failed, and says so;
only if its reader has gone, as `head` does, nobody is left to tell.
"""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

from tweetprofile.errors import ReaderGoneError, WriteError
from tweetprofile.untrusted.text import LONGEST_LINE, printable

_PLAIN = str.maketrans({"…": "~", "━": "-", "─": "-", "█": "#", "▏": "|", "╸": "-", "╺": "-"})
"""What is drawn with on terminals of few letters."""


class Stream:
    """A stream that takes any text: what its encoding lacks is escaped.

    Args:
        stream: the stream; None for one that was closed before we began.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.encoding: str = getattr(stream, "encoding", None) or "utf-8"

    @property
    def knows_all_letters(self) -> bool:
        """Whether its encoding has every character there is."""
        return self.encoding.lower().startswith("utf")

    def write(self, text: str) -> int:
        """Write a text."""
        if self._stream is not None:
            self._stream.write(self._encodable(text))
        return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        if self._stream is not None:
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Its file descriptor."""
        if self._stream is None:
            raise OSError("the stream is closed")
        return self._stream.fileno()

    def _encodable(self, text: str) -> str:
        plain = text if self.knows_all_letters else text.translate(_PLAIN)
        return plain.encode(self.encoding, "backslashreplace").decode(self.encoding)


class Talk(Stream):
    """Standard error: what cannot be written is dropped."""

    def write(self, text: str) -> int:
        """Write a text, or nothing."""
        try:
            return super().write(text)
        except (OSError, ValueError):
            silence(self._stream)
            return len(text)

    def flush(self) -> None:
        """Write what is held back, or drop it."""
        try:
            super().flush()
        except (OSError, ValueError):
            silence(self._stream)


class Result(Stream):
    """Standard output.

    Raises:
        ReaderGoneError: of `write` and `flush`, if nobody reads any more.
        WriteError: of them, if it cannot be written for another reason.
    """

    def write(self, text: str) -> int:
        """Write a text."""
        try:
            return super().write(text)
        except OSError as error:
            raise self._failure(error) from None

    def flush(self) -> None:
        """Write what is held back."""
        try:
            super().flush()
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> ReaderGoneError | WriteError:
        silence(self._stream)
        if isinstance(error, BrokenPipeError):
            return ReaderGoneError("standard output has no reader any more")
        return WriteError(
            f"standard output cannot be written: {error.strerror}; lead it to a place with room "
            "and run the command again."
        )


def stderr() -> Talk:
    """Standard error as it is now."""
    return Talk(sys.stderr)


def stdout() -> Result:
    """Standard output as it is now."""
    return Result(sys.stdout)


def say(lines: Iterable[str]) -> None:
    """Write lines to stderr, in which whatever steers a terminal is escaped."""
    talk = stderr()
    for line in lines:
        talk.write(printable(line, LONGEST_LINE) + "\n")
    talk.flush()


def open_closed_streams() -> None:
    """Have descriptors 0 to 2 lead somewhere: a file opened later must not get one of them.

    Whatever a library prints would be written into that file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one


def silence(stream: Any) -> None:
    """Lead a stream that failed to nowhere, with what it holds back: Python flushes it at its end.

    Nothing that it takes afterwards can fail.
    """
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
