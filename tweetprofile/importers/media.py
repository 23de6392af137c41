"""Where the files of photos are, found by their names in any folder below one."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tweetprofile.errors import OptionError
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

    Raises:
        OptionError: the folder cannot be read.
        WriteError: the database cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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
            self._database.executemany(
                "INSERT OR IGNORE INTO media VALUES (?, ?)", self._walk(self._folder)
            )

    def _walk(self, folder: Path) -> Iterator[tuple[str, str]]:
        for parent, folders, names in os.walk(folder, onerror=_refuse):
            folders.sort()
            below = os.path.relpath(parent, folder)
            for name in filter(is_text, sorted(names)):
                path = name if below == "." else f"{below}/{name}"
                if is_text(path):
                    self.files += 1
                    yield name, path

    def _leave(self) -> None:
        self._database.close()
        self._temporary.cleanup()


def file_names(photo: Photo) -> list[str]:
    """What downloaders call a photo's file: its own name, twarc's and archives', gallery-dl's."""
    stem, _, ending = photo.name.rpartition(".")
    endings = dict.fromkeys([ending, *_ENDINGS]) if stem else _ENDINGS
    numbered = [f"{photo.tweet}_{photo.place}.{each}" for each in endings]
    return [photo.name, f"{photo.tweet}-{photo.name}", *numbered]


def _refuse(error: OSError) -> None:
    raise OptionError(
        f"{error.filename} cannot be read ({error.strerror}); give a --media-dir that you may read."
    ) from error
