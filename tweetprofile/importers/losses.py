"""What an import could not take: counted by reason, and listed with file and line."""

import csv
import os
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from tweetprofile.errors import WriteError
from tweetprofile.protection import is_earlier
from tweetprofile.provenance import Kind
from tweetprofile.version import __version__
from tweetprofile.whole import fresh_name, move


class Loss(StrEnum):
    """Why something of a dump is not in the manifest: the closed set of the list's `reason`."""

    MALFORMED = "malformed"
    """A line or record that cannot be read as what it should be."""
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


class Losses:
    """Keeps book of what could not be taken; used as a `with` block.

    Args:
        path: CSV file that lists every one, from `finish` on; there is none where nothing was lost.
            None for no list.

    Attributes:
        counts: by reason.
        asides: what was left out on purpose, by what it is: videos, repeated images, and so on.
        first: of each reason the first, for people.
    """

    def __init__(self, path: Path | None) -> None:
        self.counts: Counter[Loss] = Counter()
        self.asides: Counter[str] = Counter()
        self.first: dict[Loss, str] = {}
        self.path = path
        self._file: TextIO | None = None
        self._unfinished: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._unfinished is not None:
            self._unfinished.unlink(missing_ok=True)

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
                move(self._unfinished, self.path, earlier)
            elif os.path.lexists(self.path) and earlier(self.path):
                self.path.unlink()
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def note(self, reason: Loss, file: Path | str, line: int | None, what: str) -> None:
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
        where = f"{file}:{line}" if line is not None else str(file)
        self.first.setdefault(reason, f"{where}: {what}")
        if self.path is None:
            return
        try:
            self._write(self.path, [reason.value, _printable(file), line, _printable(what)])
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def set_aside(self, what: str, count: int = 1) -> None:
        """Count something that is left out on purpose."""
        self.asides[what] += count

    def _write(self, path: Path, row: list[object]) -> None:
        if self._file is None:
            self._unfinished = fresh_name(path.parent)
            self._file = self._unfinished.open("x", encoding="utf-8", newline="")
            record = f"written by tweetprofile {__version__}"  # by which it is known again
            csv.writer(self._file).writerow(["reason", "file", "line", "what", record])
        csv.writer(self._file).writerow([*row, None])


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a dump's file, which what is lost of it is noted with."""

    losses: Losses
    file: Path
    number: int

    def lost(self, reason: Loss, what: str) -> None:
        """Note something of it."""
        self.losses.note(reason, self.file, self.number, what)

    def set_aside(self, what: str) -> None:
        """Count something of it that is left out on purpose."""
        self.losses.set_aside(what)


def _unwritable(path: Path, error: OSError) -> WriteError:
    return WriteError(
        f"{path} cannot be written: {error.strerror}; mend that and run the command again."
    )


def _printable(text: object) -> str:
    """Without what is no UTF-8, which file names may hold."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")
