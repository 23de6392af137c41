"""Where the files of photos are, found by their names in any folder below one."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tweetprofile.errors import OptionError
from tweetprofile.importers.files import is_file, walk_files
from tweetprofile.importers.losses import Loss, Losses
from tweetprofile.importers.tweets import Photo
from tweetprofile.importers.users import is_text
from tweetprofile.scratch import make_scratch, no_room

_ENDINGS = ("jpg", "png", "jpeg", "webp", "gif")
"""Tried where a downloader has chosen the ending by what it got."""


class MediaIndex:
    """All files below a folder, by name, in a temporary database; used as a `with` block.

    On the disk some 100 bytes a file; in memory nothing that grows with their number.

    Args:
        folder: to look through. Of files of one name the first counts, in the order of paths.
        losses: gets names that are no text, and folders that cannot be read.

    Raises:
        OptionError: the folder cannot be read.
        WriteError: the database cannot be written.
    """

    def __init__(self, folder: Path, losses: Losses) -> None:
        self._folder = folder
        self._losses = losses
        self.files = 0

    def __enter__(self) -> Self:
        self._temporary = make_scratch()
        self._database = sqlite3.connect(Path(self._temporary.name) / "media.sqlite")
        try:
            self._fill()
        except BaseException as error:
            self._leave()
            if isinstance(error, sqlite3.Error):
                raise no_room(error) from error
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    def find(self, photo: Photo) -> str | None:
        """Path of a photo's file below the folder; None where there is none."""
        for name in file_names(photo):
            row = self._database.execute(
                "SELECT path FROM media WHERE name = ?", (name,)
            ).fetchone()
            if row is not None:
                return str(row[0])
        return None

    def _fill(self) -> None:
        # Nobody needs it after a crash, so nothing is done to survive one.
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(
            "CREATE TABLE media (name TEXT PRIMARY KEY, path TEXT) WITHOUT ROWID"
        )
        with self._database:
            self._database.executemany("INSERT OR IGNORE INTO media VALUES (?, ?)", self._files())

    def _files(self) -> Iterator[tuple[str, str]]:
        """Name and path of each file."""
        root = len(os.path.join(self._folder, ""))  # noqa: PTH118 - as scandir joins them
        for entries in walk_files(self._folder, self._has_text_for_name, self._refuse):
            for entry in entries:
                if is_file(entry):
                    self.files += 1
                    yield entry.name, entry.path[root:]

    def _has_text_for_name(self, entry: os.DirEntry[str]) -> bool:
        if is_text(entry.name):
            return True
        self._losses.note(Loss.BAD_NAME, entry.path, None, "the name is no UTF-8")
        return False

    def _refuse(self, error: OSError) -> None:
        if error.filename == str(self._folder):
            raise OptionError(
                f"{error.filename} cannot be read ({error.strerror}); give a --media-dir that you "
                "may read."
            ) from error
        self._losses.note(Loss.UNREADABLE, str(error.filename), None, str(error.strerror))

    def _leave(self) -> None:
        self._database.close()
        self._temporary.cleanup()


def file_names(photo: Photo) -> list[str]:
    """What downloaders call a photo's file: its own name, twarc's and archives', gallery-dl's."""
    stem, _, ending = photo.name.rpartition(".")
    endings = dict.fromkeys([ending, *_ENDINGS]) if stem else _ENDINGS
    numbered = [f"{photo.tweet}_{photo.place}.{each}" for each in endings]
    return [photo.name, f"{photo.tweet}-{photo.name}", *numbered]
