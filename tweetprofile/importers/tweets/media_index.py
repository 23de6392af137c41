"""Find the files of photos by their names, in a folder and all folders below it."""

import os
import sqlite3
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tweetprofile.data.files.scratch import no_room
from tweetprofile.data.files.scratch_database import ScratchDatabase
from tweetprofile.errors import OptionError
from tweetprofile.importers.readers.folders import is_file, walk_files
from tweetprofile.importers.readers.streams import open_regular
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.importers.tweets.media_names import (
    BY_CONTENT,
    PLAIN,
    key_of,
    other_keys_of,
    read_name,
)
from tweetprofile.importers.tweets.photos import Photo
from tweetprofile.importers.users import is_text

FURTHER_FILES = "further files of a photo (other sizes or copies; the largest size is taken)"

_HEAD = 12
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8")
"""The first bytes of JPEG, PNG and GIF; those of WebP contain a length."""

_MOST_FILES = 100
"""The largest number of files of one photo that are compared."""


class MediaIndex(ScratchDatabase):
    """Index all images below a folder by their names in a temporary database.

    Use it in a `with` block. It takes some 100 bytes per file on the disk, and no memory that grows
    with the number of files.

    Args:
        folder: The folder to search. Of several files of a photo, the one of the largest size
            counts; of equal ones, the first in the order of paths.
        skipped: Records names that are not text, and folders that cannot be read.

    Raises:
        OptionError: The folder cannot be read.
        WriteError: The database cannot be written.
    """

    def __init__(self, folder: Path, skipped: Skipped) -> None:
        self._folder = folder
        self._skipped = skipped

    def find(self, photo: Photo) -> str | None:
        """Return the path of a photo's file below the folder, or None if there is none.

        Raises:
            WriteError: The database cannot be written.
        """
        rows = self._files_of(key_of(photo))
        if not rows or rows[0][0] > PLAIN:
            more = (self._files_of(key) for key in other_keys_of(photo))
            rows = sorted(chain(rows, *more))
        if not rows or rows[0][0] == BY_CONTENT:
            return next((path for _, path in rows if is_image(self._folder / path)), None)
        if len(rows) > 1:
            self._add_further({path for rank, path in rows if rank < BY_CONTENT} - {rows[0][1]})
        return rows[0][1]

    @property
    def is_empty(self) -> bool:
        """Whether there is no file with the name of an image."""
        found = self._database.execute(
            "SELECT 1 FROM media WHERE rank < ? LIMIT 1", (BY_CONTENT,)
        ).fetchone()
        return found is None

    def count_further_files(self) -> None:
        """Count as left out the files of photos for which another file was taken."""
        row = self._database.execute("SELECT COUNT(*) FROM further").fetchone()
        self._skipped.leave_out(FURTHER_FILES, int(row[0]))

    def _files_of(self, key: str) -> list[tuple[int, str]]:
        """Return the rank and path of the files with a key, the best rank first."""
        return self._database.execute(
            "SELECT rank, path FROM media WHERE key = ? ORDER BY rank, path LIMIT ?",
            (key, _MOST_FILES),
        ).fetchall()

    def _fill(self, database: sqlite3.Connection) -> None:
        database.execute(
            "CREATE TABLE media (key TEXT, rank INTEGER, path TEXT, "
            "PRIMARY KEY (key, rank, path)) WITHOUT ROWID"
        )
        database.execute("CREATE TABLE further (path TEXT PRIMARY KEY) WITHOUT ROWID")
        with database:
            database.executemany("INSERT OR IGNORE INTO media VALUES (?, ?, ?)", self._files())

    def _files(self) -> Iterator[tuple[str, int, str]]:
        """Yield the key, rank and path of each file, once per key."""
        root = len(os.path.join(self._folder, ""))  # noqa: PTH118 - scandir joins paths like this
        for entries in walk_files(self._folder, self._has_text_name, self._on_error):
            for entry in entries:
                if (name := read_name(entry.name)) and is_file(entry):
                    path = entry.path[root:]
                    yield from ((key, name.rank, path) for key in name.keys)

    def _add_further(self, paths: set[str]) -> None:
        try:
            with self._database:
                self._database.executemany(
                    "INSERT OR IGNORE INTO further VALUES (?)", ((path,) for path in paths)
                )
        except sqlite3.Error as error:
            raise no_room(error) from error

    def _has_text_name(self, entry: os.DirEntry[str]) -> bool:
        if is_text(entry.name):
            return True
        self._skipped.add(SkipReason.BAD_NAME, entry.path, None, "the name is not UTF-8")
        return False

    def _on_error(self, error: OSError) -> None:
        if error.filename == str(self._folder):
            raise OptionError(
                f"{error.filename} cannot be read ({error.strerror}); pass a folder that you may "
                "read as `media_dir`."
            ) from error
        self._skipped.add(SkipReason.UNREADABLE, str(error.filename), None, str(error.strerror))


def is_image(file: Path) -> bool:
    """Return whether a file begins like the images that Twitter serves."""
    try:
        descriptor = open_regular(file)
    except (OSError, ValueError):
        return False
    try:
        head = os.read(descriptor, _HEAD)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return head.startswith(_BEGINNINGS) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")
