"""Standard output and standard error, which may be closed, full, unread, or not in Unicode.

Messages go to stderr and must never end a run: what cannot be written there is dropped. Results go
to stdout: if they cannot be written, the command has failed and says so. If the reader of stdout
has gone, as `head` does, the command ends without a message.
"""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

from tweetprofile.errors import ReaderGoneError, WriteError
from tweetprofile.untrusted.text import LONGEST_LINE, printable

_PLAIN = str.maketrans({"…": "~", "━": "-", "─": "-", "█": "#", "▏": "|", "╸": "-", "╺": "-"})
"""What replaces the characters of bars and tables if the encoding lacks them."""

_RED, _PLAIN_STYLE = "\x1b[1;31m", "\x1b[0m"
"""The codes for bold red, and for no style."""


class Stream:
    """A stream that accepts any text; characters that its encoding lacks are escaped.

    Args:
        stream: The stream to write to; None if it was closed before the command started.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.encoding: str = getattr(stream, "encoding", None) or "utf-8"

    @property
    def is_unicode(self) -> bool:
        """Whether the encoding has every character."""
        return self.encoding.lower().startswith("utf")

    def write(self, text: str) -> int:
        """Write text."""
        if self._stream is not None:
            self._stream.write(self._encodable(text))
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        if self._stream is not None:
            self._stream.flush()

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor."""
        if self._stream is None:
            raise OSError("the stream is closed")
        return self._stream.fileno()

    def _encodable(self, text: str) -> str:
        plain = text if self.is_unicode else text.translate(_PLAIN)
        return plain.encode(self.encoding, "backslashreplace").decode(self.encoding)


class ErrorStream(Stream):
    """Standard error: what cannot be written is dropped."""

    def write(self, text: str) -> int:
        """Write text, or drop it."""
        try:
            return super().write(text)
        except (OSError, ValueError):
            silence(self._stream)
            return len(text)

    def flush(self) -> None:
        """Write what is buffered, or drop it."""
        try:
            super().flush()
        except (OSError, ValueError):
            silence(self._stream)


class OutputStream(Stream):
    """Standard output.

    Raises:
        ReaderGoneError: `write` or `flush` found that nothing reads the stream any more.
        WriteError: `write` or `flush` failed for another reason.
    """

    def write(self, text: str) -> int:
        """Write text."""
        try:
            return super().write(text)
        except OSError as error:
            raise self._failure(error) from None

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            super().flush()
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> ReaderGoneError | WriteError:
        silence(self._stream)
        if isinstance(error, BrokenPipeError):
            return ReaderGoneError("nothing reads standard output any more")
        return WriteError(
            f"standard output cannot be written: {error.strerror}; redirect it to a disk with "
            "room and run the command again."
        )


def stderr() -> ErrorStream:
    """Return the current standard error."""
    return ErrorStream(sys.stderr)


def stdout() -> OutputStream:
    """Return the current standard output."""
    return OutputStream(sys.stdout)


def say(lines: Iterable[str]) -> None:
    """Write lines to stderr, with characters that control a terminal escaped."""
    stream = stderr()
    for line in lines:
        stream.write(printable(line, LONGEST_LINE) + "\n")
    stream.flush()


def say_error(sentence: str, more: Iterable[str] = ()) -> None:
    """Write why the command failed to stderr, in red on a terminal that has colours.

    Args:
        sentence: The sentence, which follows the name of the program.
        more: Further lines.
    """
    stream = stderr()
    name = f"{_RED}tweetprofile:{_PLAIN_STYLE}" if _has_colours(stream) else "tweetprofile:"
    stream.write(f"{name} {printable(sentence, LONGEST_LINE)}\n")
    say(more)


def _has_colours(stream: Stream) -> bool:
    """Return whether a stream is a terminal with colours, and nobody has said NO_COLOR."""
    return (
        stream.isatty()
        and not os.environ.get("NO_COLOR")  # https://no-color.org
        and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")
    )


def open_closed_streams() -> None:
    """Open descriptors 0 to 2 if they are closed, so that no file opened later gets one of them.

    Otherwise, whatever a library prints would end up in that file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor, which is this one


def silence(stream: Any) -> None:
    """Redirect a stream that failed, and what it has buffered, to /dev/null.

    Python flushes the stream when it exits; after this, neither that nor a later write can fail.
    """
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
