"""Find out which encoding the text of a table is in, from the whole file.

Spreadsheets save tables as UTF-8 with a byte-order mark, as UTF-16, or in cp1252, the code page of
Western Windows. The beginning of a file does not show which: the first accent may be in the last
row.
"""

import codecs
import re
from pathlib import Path

from tweetprofile.importers.readers.streams import DumpFile

UTF8 = "utf-8"

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32"),  # starts with the mark of UTF-16, so it comes first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PIECE = 1 << 20
"""Bytes read at a time."""

_INVALID_BYTES = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as the error handler `surrogateescape` represents them."""

_BEYOND_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")

_UTF16_ZEROS = 0.4
"""The smallest share of zeros among every other byte of UTF-16 in Western letters; the bytes in
between hardly contain any."""


def find_encoding(file: Path) -> str:
    """Return the codec that decodes a whole file: `utf-8`, `utf-16`, `utf-32` or `cp1252`.

    A file in which some text is UTF-8 and some is not counts as UTF-8 with broken rows: read as
    cp1252, its sound rows would be garbled.

    Raises:
        OSError: The file cannot be read, or begins as UTF-16 or UTF-32 but does not continue so.
    """
    with DumpFile(file) as dump_file:
        head = dump_file.bytes.peek(_PIECE)
    name = next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), None)
    if name not in (None, UTF8):
        if not _decodes(file, name):
            why = f"it begins as {name.upper()} but does not continue so; save it again as UTF-8"
            raise OSError(None, why, str(file))
        return name
    if name is None and (guess := _guess_utf16(head)) and _decodes(file, guess):
        return guess
    is_utf8, has_other_utf8 = _check_utf8(file)
    return "cp1252" if not is_utf8 and not has_other_utf8 and _decodes(file, "cp1252") else UTF8


def encoding_remark(file: Path, encoding: str) -> str | None:
    """Return a sentence that says which encoding a file was read in; None if it is UTF-8."""
    if encoding == UTF8:
        return None
    return f"{file} is not UTF-8 and was read as {encoding}."


def _guess_utf16(head: bytes) -> str | None:
    """Recognise UTF-16 without a byte-order mark by the zeros in its Western letters."""
    even, odd = (head[start::2].count(0) / max(1, len(head) // 2) for start in (0, 1))
    if max(even, odd) < _UTF16_ZEROS or min(even, odd) > 1 - _UTF16_ZEROS:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _check_utf8(file: Path) -> tuple[bool, bool]:
    """Return whether a file is UTF-8, and whether it holds valid UTF-8 beyond ASCII."""
    decoder = codecs.getincrementaldecoder(UTF8)("surrogateescape")
    is_valid, has_beyond_ascii = True, False
    with DumpFile(file) as dump_file:
        while data := dump_file.bytes.read(_PIECE):
            text = decoder.decode(data)
            if not text.isascii():
                is_valid = is_valid and _INVALID_BYTES.search(text) is None
                has_beyond_ascii = has_beyond_ascii or _BEYOND_ASCII.search(text) is not None
    rest = decoder.decode(b"", final=True)
    return is_valid and not rest, has_beyond_ascii


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
