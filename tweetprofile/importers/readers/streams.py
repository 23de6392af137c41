"""Read the files of a dump as bytes, plain or compressed, up to their end or to the first damage.

A decoder returns nothing from the piece in which it meets damage. When one fails, the file is
decoded a second time up to that piece, and byte by byte from there on. So everything before the
damage is read, at the cost of one more pass over a damaged file. Memory grows neither with the file
nor with what it unpacks to.
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
"""The codec per file ending. All three may hold several streams, one after the other."""

_PIECE = 1 << 16
"""Bytes that are read, and returned, at a time."""


class DumpFile(Closing):
    """A file of a dump, opened to be read as bytes; use it in a `with` block.

    Args:
        path: The file; it is decompressed if its name ends in .gz, .bz2 or .zst.
        encoding: The encoding of its text, which must hold for the whole file.

    Attributes:
        bytes: The content up to the first damage. Text is in UTF-8, whatever the file's encoding.

    Raises:
        OSError: The file cannot be opened, or is not a regular file. Pipes and devices are never
            opened.
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
        """Why the bytes ended early, once they have been read; None if they did not."""
        return self._raw.damage


def as_utf8(data: "io.BufferedReader[Any]") -> "io.BufferedReader[Any]":
    """Return the same text in UTF-8 if its byte-order mark says that it is UTF-16.

    Windows PowerShell writes UTF-16 whenever the output of a scraper is redirected to a file.
    """
    is_utf16 = data.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return io.BufferedReader(_Utf16AsUtf8(data), _PIECE) if is_utf16 else data


class _Utf16AsUtf8(io.RawIOBase):
    """UTF-16 text, re-encoded as UTF-8; invalid bytes are replaced."""

    def __init__(self, data: "io.BufferedReader[Any]") -> None:
        super().__init__()
        self._text = io.TextIOWrapper(data, "utf-16", "replace", newline="")
        self._encoded = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        self._encoded = self._encoded or self._text.read(_PIECE).encode("utf-8", "replace")
        part, self._encoded = self._encoded[: len(view)], self._encoded[len(view) :]
        view[: len(part)] = part
        return len(part)


class _Decoded(io.RawIOBase):
    """The decompressed content of a file, piece by piece."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.damage: str | None = None
        self._path = path
        self._codec = _CODECS.get(path.suffix.lower())
        self._returned = 0
        self._is_bytewise = False
        self._open(slow_from=None)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)[:_PIECE]
        if self.damage is not None:
            return 0
        before = self._file.position
        try:
            count = self._read_bytewise(view) if self._is_bytewise else self._stream.readinto(view)
        except (OSError, pa.ArrowException) as error:
            if self._is_bytewise or self._codec is None:
                self.damage = _one_line(error)
                return 0
            self._start_again(before)
            return self.readinto(buffer)
        self._returned += count
        return count

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

    def _start_again(self, position: int) -> None:
        """Decode again what has been returned already, and read on byte by byte."""
        self._file.close()
        self._is_bytewise = True
        # The decoder held at most one piece when it met the damage.
        self._open(slow_from=max(0, position - _PIECE))
        remaining = self._returned
        while remaining and (skipped := len(self._stream.read(min(remaining, _PIECE)))):
            remaining -= skipped

    def _read_bytewise(self, view: memoryview) -> int:
        """Fill the view byte by byte, so that the bytes before a failure are kept."""
        filled = 0
        try:
            while filled < len(view) and (byte := self._stream.read(1)):
                view[filled : filled + 1] = byte
                filled += 1
        except (OSError, pa.ArrowException) as error:
            self.damage = _one_line(error)
        return filled


class _AsUtf8(io.RawIOBase):
    """Text in another encoding, re-encoded as UTF-8."""

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
        part, self._pending = self._pending[: len(view)], self._pending[len(view) :]
        view[: len(part)] = part
        return len(part)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _File(io.RawIOBase):
    """The raw bytes of a file, which are read one at a time from `slow_from` on."""

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
    """Return a descriptor of a regular file, opened for reading.

    Raises:
        OSError: The file cannot be opened, or is something else, such as a pipe, which is then
            left untouched.
    """
    _require_regular(os.stat(path), path)  # noqa: PTH116 - opening a device may have an effect
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _require_regular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(None, "it is not a regular file", str(path))


def _one_line(error: Exception) -> str:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(why.split())
