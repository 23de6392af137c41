"""Files of a dump as bytes, plain or compressed, up to where they end or are damaged.

Decoders give nothing of the piece in which they meet damage. Where one fails, the file is decoded a
second time up to that piece, and from there on byte by byte: all that stands before the damage is
given, at the cost of one more pass over a damaged file. Memory does not grow with the file, nor
with what it unpacks to.
"""

import codecs
import io
import os
import stat
from pathlib import Path
from typing import Any

import pyarrow as pa

from tweetprofile.data.files.scratch import Closing

_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""By the ending of a file's name. All three may hold several streams, one after the other."""

_PIECE = 1 << 16
"""Bytes that are read, and given, at a time."""


class DumpFile(Closing):
    """A file of a dump, to be read as bytes; used as a `with` block.

    Args:
        path: the file; compressed where its name ends in .gz, .bz2 or .zst.
        encoding: of its text. It must have been found to hold for the whole file.

    Attributes:
        bytes: its content, which ends where damage begins; text in UTF-8, whatever its encoding is.

    Raises:
        OSError: it cannot be opened, or is no regular file. Pipes and devices are never opened.
    """

    def __init__(self, path: Path, encoding: str = "utf-8") -> None:
        self._raw = _Decoded(path)
        content = self._raw if encoding == "utf-8" else _AsUtf8(self._raw, encoding)
        self.bytes = io.BufferedReader(content, _PIECE)

    def close(self) -> None:
        """Close the file."""
        self.bytes.close()

    @property
    def damage(self) -> str | None:
        """What has ended the bytes early, once they are read; None where nothing has."""
        return self._raw.damage


def as_utf8(data: "io.BufferedReader[Any]") -> "io.BufferedReader[Any]":
    """The same text in UTF-8, where its byte-order mark says that it is UTF-16.

    Windows PowerShell writes UTF-16 wherever a scraper's output is sent to a file.
    """
    is_utf16 = data.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return io.BufferedReader(_Utf8(data), _PIECE) if is_utf16 else data


class _Utf8(io.RawIOBase):
    """UTF-16 text, given as UTF-8; what is no text is replaced."""

    def __init__(self, data: "io.BufferedReader[Any]") -> None:
        super().__init__()
        self._text = io.TextIOWrapper(data, "utf-16", "replace", newline="")
        self._encoded = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        self._encoded = self._encoded or self._text.read(_PIECE).encode("utf-8", "replace")
        given, self._encoded = self._encoded[: len(view)], self._encoded[len(view) :]
        view[: len(given)] = given
        return len(given)


class _Decoded(io.RawIOBase):
    """The content of a file, piece by piece."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.damage: str | None = None
        self._path = path
        self._codec = _CODECS.get(path.suffix.lower())
        self._given = 0
        self._careful = False
        self._open(slow_from=None)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)[:_PIECE]
        if self.damage is not None:
            return 0
        before = self._file.position
        try:
            given = self._read_bytewise(view) if self._careful else self._stream.readinto(view)
        except (OSError, pa.ArrowException) as error:
            if self._careful or self._codec is None:
                self.damage = _one_line(error)
                return 0
            self._begin_again(before)
            return self.readinto(buffer)
        self._given += given
        return given

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _open(self, slow_from: int | None) -> None:
        self._file = _File(self._path, slow_from)
        self._stream = (
            pa.CompressedInputStream(pa.PythonFile(self._file, "r"), self._codec)
            if self._codec
            else self._file
        )

    def _begin_again(self, position: int) -> None:
        """Decode again what was given already, and read on carefully."""
        self._file.close()
        self._careful = True
        # The decoder has held a piece at most when it came upon the damage.
        self._open(slow_from=max(0, position - _PIECE))
        remaining = self._given
        while remaining and (skipped := len(self._stream.read(min(remaining, _PIECE)))):
            remaining -= skipped

    def _read_bytewise(self, view: memoryview) -> int:
        """Fill the view with single bytes, none of which is lost when the next one fails."""
        filled = 0
        try:
            while filled < len(view) and (byte := self._stream.read(1)):
                view[filled : filled + 1] = byte
                filled += 1
        except (OSError, pa.ArrowException) as error:
            self.damage = _one_line(error)
        return filled


class _AsUtf8(io.RawIOBase):
    """Text of another encoding, as UTF-8."""

    def __init__(self, raw: _Decoded, encoding: str) -> None:
        super().__init__()
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        while not self._pending and (data := self._raw.read(_PIECE)):
            self._pending = self._decoder.decode(data).encode()
        given, self._pending = self._pending[: len(view)], self._pending[len(view) :]
        view[: len(given)] = given
        return len(given)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _File(io.RawIOBase):
    """The bytes of a file itself; from `slow_from` on, one at a time."""

    def __init__(self, path: Path, slow_from: int | None) -> None:
        super().__init__()
        self._descriptor = open_regular(path)
        self._slow_from = slow_from
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        data = os.read(self._descriptor, self._at_most(len(view)))
        view[: len(data)] = data
        self.position += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()

    def _at_most(self, wanted: int) -> int:
        if self._slow_from is None:
            return min(wanted, _PIECE)
        return min(wanted, max(1, min(_PIECE, self._slow_from - self.position)))


def open_regular(path: Path) -> int:
    """A descriptor of a regular file, open to be read.

    Raises:
        OSError: it cannot be opened, or is something else, such as a pipe, which is not touched.
    """
    _require_regular(os.stat(path), path)  # noqa: PTH116 - opening a device may act on it
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _require_regular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(None, "it is no regular file", str(path))


def _one_line(error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(why.split())
