"""What an import could not take: counted by reason, and listed with file and line."""

import os
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from tweetprofile.data.files.atomic import UnfinishedFile
from tweetprofile.data.files.protection import is_earlier
from tweetprofile.data.files.provenance import Kind
from tweetprofile.data.files.scratch import Closing
from tweetprofile.errors import WriteError
from tweetprofile.untrusted.spreadsheets import write_rows
from tweetprofile.version import __version__

MOST_LISTED = 100_000
"""Skipped things that are listed singly; the rest is counted, as its last line says."""

_NOT_LISTED = "not_listed"
"""What stands in place of a reason in the list's last line, where not all losses are listed."""

_LONGEST_SAID = 500
"""Characters of what is said of a loss, whatever the dump holds."""


class SkipReason(StrEnum):
    """Why something of a dump is not in the manifest: the closed set of the list's `reason`."""

    MALFORMED = "malformed"
    """A line or record that cannot be read as what it should be."""
    UNKNOWN_SHAPE = "unknown_shape"
    """A record that is sound, but no tweet of a shape that is known."""
    CUT = "cut"
    """A file that ends in the midst of a record, or whose compressed data ends early."""
    MISSING_KEY = "missing_key"
    """A record without something that it must have."""
    UNKNOWN_MEDIA = "unknown_media"
    """A tweet names media that the dump does not describe."""
    MISSING_FILE = "missing_file"
    """The image is not where images are."""
    NOT_AN_IMAGE = "not_an_image"
    """A file or folder that, by its name, is no image of a user."""
    OUTSIDE = "outside"
    """A path that leads out of the dump."""
    BAD_NAME = "bad_name"
    """A name that is no text (UTF-8), and cannot stand in a manifest."""
    BAD_LABEL = "bad_label"
    """A label that is none, or contradicts another one of the same user."""
    NO_SUCH_USER = "no_such_user"
    """Labels of a user of whom the dump has nothing."""
    NOT_EMBEDDED = "not_embedded"
    """An image that cannot be read; its path stands in the manifest in its place."""
    TOO_FEW_IMAGES = "too_few_images"
    """A user with fewer images than were asked for."""
    UNREADABLE = "unreadable"
    """A file or folder that cannot be opened, or a pipe or device where a file should be."""


class Skipped(Closing):
    """Keeps book of what could not be taken; used as a `with` block.

    Args:
        path: CSV file that lists the first `MOST_LISTED`, from `finish` on; there is none where
            nothing was lost. None for no list.

    Attributes:
        counts: by reason.
        left_out: what was left out on purpose, by what it is: videos, repeated images, and so on.
        first: of each reason the first, for people.
        remarks: how the dump was read, where that is not plain, in sentences.
    """

    def __init__(self, path: Path | None) -> None:
        self.counts: Counter[SkipReason] = Counter()
        self.left_out: Counter[str] = Counter()
        self.first: dict[SkipReason, str] = {}
        self.remarks: list[str] = []
        self.path = path
        self._listed = 0
        self._file: TextIO | None = None
        self._unfinished: UnfinishedFile | None = None

    def close(self) -> None:
        """Close the list, and remove it unless it is finished."""
        if self._file is not None:
            self._file.close()
        if self._unfinished is not None:
            self._unfinished.discard()

    def finish(self, *, overwrite: bool) -> None:
        """Give the list its name; where nothing was lost, remove that of an earlier import.

        Raises:
            WriteError: it cannot be written, or something else has its name by now.
        """
        if self.path is None:
            return
        earlier = is_earlier(Kind.LOSSES, overwrite=overwrite)
        try:
            if self._file is not None and self._unfinished is not None:
                self._file.close()
                self._unfinished.commit(earlier)
            elif os.path.lexists(self.path) and earlier(self.path):
                self.path.unlink()
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def add(self, reason: SkipReason, file: Path | str, line: int | None, what: str) -> None:
        """Note one.

        Args:
            reason: why it was not taken.
            file: of the dump, that it stands in.
            line: counted from 1; None where the file has no lines.
            what: it is.

        Raises:
            WriteError: the list cannot be written.
        """
        self.counts[reason] += 1
        if reason not in self.first:
            where = f"{file}:{line}" if line is not None else str(file)
            self.first[reason] = f"{where}: {what[:_LONGEST_SAID]}"
        if self.path is None or self._listed > MOST_LISTED:
            return
        row: list[str | int | None] = [reason.value, str(file), line, what[:_LONGEST_SAID]]
        if self._listed == MOST_LISTED:
            more = f"only the first {MOST_LISTED:,} are listed; all are counted on the screen"
            row = [_NOT_LISTED, None, None, more]
        self._listed += 1
        try:
            self._write(self.path, row)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def leave_out(self, what: str, count: int = 1) -> None:
        """Count something that is left out on purpose."""
        if count:
            self.left_out[what] += count

    def remark(self, sentence: str) -> None:
        """Note how something was read that could have been read in another way."""
        self.remarks.append(sentence)

    def _write(self, path: Path, row: list[str | int | None]) -> None:
        if self._file is None:
            self._unfinished = UnfinishedFile(path)
            self._file = self._unfinished.path.open("w", encoding="utf-8", newline="")
            record = f"written by tweetprofile {__version__}"  # by which it is known again
            write_rows(self._file, [["reason", "file", "line", "what", record]])
        write_rows(self._file, [[*row, None]])


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a dump's file, which what is lost of it is noted with."""

    skipped: Skipped
    file: Path
    number: int

    def skip(self, reason: SkipReason, what: str) -> None:
        """Note something of it."""
        self.skipped.add(reason, self.file, self.number, what)

    def leave_out(self, what: str, count: int = 1) -> None:
        """Count something of it that is left out on purpose."""
        self.skipped.leave_out(what, count)


def _unwritable(path: Path, error: OSError) -> WriteError:
    return WriteError(
        f"{path} cannot be written: {error.strerror}; mend that and run the command again."
    )


def brief(value: object) -> str:
    """What a value of a dump is, in few characters, however large or deep it is."""
    if isinstance(value, str):
        return value[:80]
    if isinstance(value, bool | int | float | None):
        return str(value)[:80]
    return "a list" if isinstance(value, list) else "an object"
