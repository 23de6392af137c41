"""Read the XML of PAN's author profiling tasks: one author, with a `document` per text.

The files are untrusted. Declarations of document types are refused, and with them all entities, so
that a file neither grows when it is read nor names another file. What is not XML in the text itself
(control characters, bytes in another encoding) is replaced, as tweets contain such characters.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from tweetprofile.importers.readers.streams import DumpFile
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.importers.users import (
    EMPTY_TEXTS,
    LONGEST_TEXT,
    MOST_TEXT_PER_USER,
    MOST_TEXTS,
    clean_text,
)

LARGEST_FILE = 64 << 20
"""The largest number of bytes that are read of a file."""

_PIECE = 1 << 16
_LONGEST_LANGUAGE = 32

_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._\-]{1,40})[\"']")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ENCODINGS = frozenset(
    {"utf-8", "utf-8-sig", "utf-16", "ascii", "iso8859-1", "iso8859-15", "cp1252"}
)

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML does not allow, even in CDATA."""


@dataclass(slots=True)
class Author:
    """An author.

    Attributes:
        language: The author's language; None if the file does not name it.
        texts: The texts, in the order of the file.
    """

    language: str | None = None
    texts: list[str] = field(default_factory=list)


class _RefusedError(Exception):
    """A file is sound XML that is not read any further."""


def read_author(file: Path, skipped: Skipped) -> Author | None:
    """Return the author in a file, or None if the file is not that of an author.

    What cannot be read is recorded as skipped; the texts before it are returned.
    """
    try:
        dump_file = DumpFile(file)
    except OSError as error:
        skipped.add(SkipReason.UNREADABLE, file, None, error.strerror or str(error))
        return None
    with dump_file:
        parser = _AuthorParser(skipped.leave_out)
        try:
            parser.read(dump_file.bytes.read)
        except _RefusedError as refused:
            skipped.add(SkipReason.MALFORMED, file, parser.line, str(refused))
        except expat.ExpatError as error:
            what = f"not XML: {expat.ErrorString(error.code)}"
            skipped.add(SkipReason.MALFORMED, file, parser.line, what)
        if dump_file.damage is not None:
            skipped.add(SkipReason.CUT, file, parser.line, dump_file.damage)
    return parser.author if parser.is_author else None


class _AuthorParser:
    """Collect what a file says of its author.

    Args:
        leave_out: Counts texts that are cut.

    Attributes:
        author: What has been found so far.
        is_author: Whether the file is that of an author.
    """

    def __init__(self, leave_out: Callable[[str], object]) -> None:
        self.author = Author()
        self.is_author = False
        self._leave_out = leave_out
        self._document: list[str] | None = None  # the pieces of the current text
        self._size = 0
        self._total = 0
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        self._parser.EntityDeclHandler = _refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add

    @property
    def line(self) -> int:
        """The number of the line that has been reached."""
        return self._parser.CurrentLineNumber

    def read(self, read: Callable[[int], bytes]) -> None:
        """Parse bytes until there are no more.

        Raises:
            _RefusedError: The file is too large, declares a document type, or is in an unknown
                encoding.
            ExpatError: The file is not XML.
        """
        data = read(_PIECE)
        decoder = codecs.getincrementaldecoder(_encoding_of(data))("replace")
        size = 0
        while data:
            size += len(data)
            if size > LARGEST_FILE:
                raise _RefusedError(f"more than {LARGEST_FILE >> 20} MiB")
            self._feed(decoder.decode(data))
            data = read(_PIECE)
        self._feed(decoder.decode(b"", final=True))
        self._parser.Parse(b"", True)

    def _feed(self, text: str) -> None:
        self._parser.Parse(_NOT_XML.sub("\ufffd", text.removeprefix("\ufeff")).encode())

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self.is_author:
            if name != "author":
                raise _RefusedError(f"its element is '{name[:40]}', not 'author'")
            self.is_author = True
            language = attributes.get("lang", "").strip().lower()
            self.author.language = language[:_LONGEST_LANGUAGE] or None
        elif name == "document":
            self._document, self._size = [], 0

    def _add(self, text: str) -> None:
        # Text beyond the limit is dropped at once; one more character shows that it was there.
        if self._document is not None and self._size <= LONGEST_TEXT:
            part = text[: LONGEST_TEXT + 1 - self._size]
            self._document.append(part)
            self._size += len(part)

    def _end(self, name: str) -> None:
        if name != "document" or self._document is None:
            return
        text = clean_text("".join(self._document).strip(), self._leave_out)
        self._document = None
        if not text:
            self._leave_out(EMPTY_TEXTS)
            return
        self._total += len(text)
        if len(self.author.texts) >= MOST_TEXTS or self._total > MOST_TEXT_PER_USER:
            raise _RefusedError(
                f"more than {MOST_TEXTS:,} texts, or {MOST_TEXT_PER_USER >> 20} MiB"
            )
        self.author.texts.append(text)


def _encoding_of(head: bytes) -> str:
    """Return the codec of a file.

    Raises:
        _RefusedError: The file declares an encoding that is not read.
    """
    if head.startswith(_UTF16_MARKS):
        return "utf-16"
    declared = _DECLARED.match(head.removeprefix(codecs.BOM_UTF8))
    if declared is None:
        return "utf-8"
    name = declared[1].decode("ascii")
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        codec = ""
    if codec not in _ENCODINGS:
        raise _RefusedError(f"the encoding '{name}' is not read")
    return "utf-8" if codec == "utf-16" else codec  # UTF-16 without a mark is not what it says


def _refuse_doctype(*_: object) -> None:
    raise _RefusedError("it declares a document type, which may not be read")
