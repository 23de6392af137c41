"""How the bytes of a table are to be read as text: decided on the whole file, before any is taken.

Spreadsheets save tables as UTF-8 with a byte-order mark, as UTF-16, or in the code page of Western
Windows, cp1252. Its beginning does not tell: the first accent may stand in the last row.
"""

import codecs
import re
from pathlib import Path

from tweetprofile.importers.readers.streams import DumpFile

UTF8 = "utf-8"

_MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PIECE = 1 << 20

_BROKEN = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as the error handler `surrogateescape` gives them."""

_BEYOND_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")

_MOST_ZEROS = 0.4
"""Of every other byte, in UTF-16 of Western text; in the bytes between them there is hardly one."""


def find_encoding(file: Path) -> str:
    """The codec that all of a file can be decoded with: `utf-8`, `utf-16`, `utf-32` or `cp1252`.

    A file in which some text is UTF-8 and some is not counts as UTF-8 with broken rows: as cp1252,
    the sound rows would be garbled.

    Raises:
        OSError: it cannot be read, or begins as UTF-16 or UTF-32 and does not go on so.
    """
    with DumpFile(file) as dump_file:
        head = dump_file.bytes.peek(_PIECE)
    name = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if name not in (None, UTF8):
        if not _decodes(file, name):
            said = f"it begins as {name.upper()} and does not go on so; save it anew as UTF-8"
            raise OSError(None, said, str(file))
        return name
    if name is None and (guess := _guess_utf16(head)) and _decodes(file, guess):
        return guess
    is_utf8, is_ascii_else = _check_utf8(file)
    return "cp1252" if not is_utf8 and is_ascii_else and _decodes(file, "cp1252") else UTF8


def encoding_remark(file: Path, encoding: str) -> str | None:
    """A sentence on an encoding that is not UTF-8, for people to look at the result."""
    if encoding == UTF8:
        return None
    return f"{file} is not UTF-8 and was read as {encoding}."


def _guess_utf16(head: bytes) -> str | None:
    """UTF-16 without a byte-order mark, which shows in the zeros of its Western letters."""
    even, odd = (head[start::2].count(0) / max(1, len(head) // 2) for start in (0, 1))
    if max(even, odd) < _MOST_ZEROS or min(even, odd) > 1 - _MOST_ZEROS:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _check_utf8(file: Path) -> tuple[bool, bool]:
    """Whether all of a file is UTF-8; and whether what is of it is plain ASCII."""
    decoder = codecs.getincrementaldecoder(UTF8)("surrogateescape")
    whole, ascii_alone = True, True
    with DumpFile(file) as dump_file:
        while data := dump_file.bytes.read(_PIECE):
            text = decoder.decode(data)
            if not text.isascii():
                whole = whole and _BROKEN.search(text) is None
                ascii_alone = ascii_alone and _BEYOND_ASCII.search(text) is None
    rest = decoder.decode(b"", final=True)
    return whole and not rest, ascii_alone


def _decodes(file: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with DumpFile(file) as dump_file:
        try:
            while data := dump_file.bytes.read(_PIECE):
                decoder.decode(data)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True
