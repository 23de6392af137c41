"""Record what an import skipped: counted by reason, and listed with file and line.

Two things never reach a manifest. What cannot be taken is *skipped*, with a `SkipReason`. What is
not wanted, such as videos and retweets, is *left out*, and only counted.
"""

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
"""The largest number of rows in the list. Anything beyond is only counted, as the last row then
says."""

_NOT_LISTED = "not_listed"
"""The `reason` in the last row of a list that is not complete."""

_LONGEST_DETAIL = 500
"""The largest number of characters in a detail, whatever the dump holds."""


class SkipReason(StrEnum):
    """Why a part of a dump is not in the manifest: the closed set of the list's `reason`."""

    MALFORMED = "malformed"
    """A line or record is not what it should be, and cannot be read."""
    UNKNOWN_SHAPE = "unknown_shape"
    """A record is sound, but not a tweet of any known shape."""
    CUT = "cut"
    """A file ends in the middle of a record, or its compressed data ends early."""
    MISSING_KEY = "missing_key"
    """A record lacks something that it must have."""
    UNKNOWN_MEDIA = "unknown_media"
    """A tweet names media that the dump does not describe."""
    MISSING_FILE = "missing_file"
    """An image is not in the folder of images."""
    NOT_AN_IMAGE = "not_an_image"
    """The name of a file or folder shows that it is not an image of a user."""
    OUTSIDE = "outside"
    """A path leads out of the dump."""
    BAD_NAME = "bad_name"
    """A name is not text (UTF-8), so that a manifest cannot hold it."""
    BAD_LABEL = "bad_label"
    """A value is not a label, or contradicts another label of the same user."""
    NO_SUCH_USER = "no_such_user"
    """A label belongs to a user who is not in the dump."""
    NOT_EMBEDDED = "not_embedded"
    """An image cannot be read; the manifest holds its path instead."""
    TOO_FEW_IMAGES = "too_few_images"
    """A user has fewer images than `min_images`."""
    UNREADABLE = "unreadable"
    """A file or folder cannot be opened, or is a pipe or device."""


class Skipped(Closing):
    """Record what an import skips and leaves out; use it in a `with` block.

    Args:
        path: The CSV file that lists the first `MOST_LISTED` skipped things. `finish` puts it in
            place, unless nothing was skipped. None if no list is to be written.

    Attributes:
        counts: The number of skipped things per reason.
        left_out: The number of things that are left out on purpose, by their description: videos,
            repeated images, and so on.
        first: The first skipped thing per reason, for people to read.
        remarks: Sentences on how the dump was read, where it could have been read in another way.
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
        """Put the list in place; if nothing was skipped, remove the list of an earlier import.

        Raises:
            WriteError: The list cannot be written, or another file has taken its name meanwhile.
        """
        if self.path is None:
            return
        may_replace = is_earlier(Kind.LOSSES, overwrite=overwrite)
        try:
            if self._file is not None and self._unfinished is not None:
                self._file.close()
                self._unfinished.commit(may_replace)
            elif os.path.lexists(self.path) and may_replace(self.path):
                self.path.unlink()
        except OSError as error:
            raise _write_error(self.path, error) from error

    def add(self, reason: SkipReason, file: Path | str, line: int | None, what: str) -> None:
        """Record one thing that is skipped.

        Args:
            reason: Why it is skipped.
            file: The file of the dump that it is in.
            line: The number of its line, from 1; None for a file without lines.
            what: What is wrong, in a few words.

        Raises:
            WriteError: The list cannot be written.
        """
        self.counts[reason] += 1
        if reason not in self.first:
            where = f"{file}:{line}" if line is not None else str(file)
            self.first[reason] = f"{where}: {what[:_LONGEST_DETAIL]}"
        if self.path is None or self._listed > MOST_LISTED:
            return
        row: list[str | int | None] = [reason.value, str(file), line, what[:_LONGEST_DETAIL]]
        if self._listed == MOST_LISTED:
            more = f"only the first {MOST_LISTED:,} are listed; all are counted on the screen"
            row = [_NOT_LISTED, None, None, more]
        self._listed += 1
        try:
            self._write(self.path, row)
        except OSError as error:
            raise _write_error(self.path, error) from error

    def leave_out(self, what: str, count: int = 1) -> None:
        """Count something that is left out on purpose."""
        if count:
            self.left_out[what] += count

    def remark(self, sentence: str) -> None:
        """Record how something was read that could have been read in another way."""
        self.remarks.append(sentence)

    def _write(self, path: Path, row: list[str | int | None]) -> None:
        if self._file is None:
            self._unfinished = UnfinishedFile(path)
            self._file = self._unfinished.path.open("w", encoding="utf-8", newline="")
            signature = f"written by tweetprofile {__version__}"  # identifies the file later
            write_rows(self._file, [["reason", "file", "line", "what", signature]])
        write_rows(self._file, [[*row, None]])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an import takes from tweets besides photos.

    Attributes:
        texts: Whether to take texts.
        retweets: Whether the texts of retweets count as those of the user who retweeted them.
        profile_fields: Whether to take names and descriptions.
    """

    texts: bool = False
    retweets: bool = False
    profile_fields: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a dump's file, and where to record what is skipped in it.

    Attributes:
        skipped: The record of everything that is skipped.
        file: The file that the line is in.
        number: The number of the line, from 1.
        wanted: What to take from it besides photos.
    """

    skipped: Skipped
    file: Path
    number: int
    wanted: Wanted = Wanted()

    def skip(self, reason: SkipReason, what: str) -> None:
        """Record something in this line as skipped."""
        self.skipped.add(reason, self.file, self.number, what)

    def leave_out(self, what: str, count: int = 1) -> None:
        """Count something in this line that is left out on purpose."""
        self.skipped.leave_out(what, count)


def _write_error(path: Path, error: OSError) -> WriteError:
    return WriteError(
        f"{path} cannot be written: {error.strerror}; fix that and run the command again."
    )


def brief(value: object) -> str:
    """Describe a value of a dump in at most 80 characters, however large or deep it is."""
    if isinstance(value, str):
        return value[:80]
    if isinstance(value, bool | int | float | None):
        return str(value)[:80]
    return "a list" if isinstance(value, list) else "an object"
