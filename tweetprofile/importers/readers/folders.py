"""List folders that may hold anything: loops of links, pipes, names that are not text."""

import os
import stat
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from tweetprofile.importers.users import natural_key

MOST_ENTRIES = 10_000_000
"""The largest number of entries in one folder that are sorted; each takes some 400 bytes of
memory."""

_ENTRIES_AT_ONCE = 100_000


def is_file(path: Path | str | os.DirEntry[str]) -> bool:
    """Return whether a path is a regular file; False if that cannot be found out."""
    try:
        if isinstance(path, os.DirEntry):
            return path.is_file()
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - the fastest way
    except (OSError, ValueError):  # a name that is too long, a loop of links, a null byte
        return False


def is_folder(path: Path | str | os.DirEntry[str]) -> bool:
    """Return whether a path is a folder; False if that cannot be found out."""
    try:
        if isinstance(path, os.DirEntry):
            return path.is_dir()
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - the fastest way
    except (OSError, ValueError):
        return False


def sorted_entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder in natural order: `2.jpg` before `10.jpg`.

    Raises:
        OSError: The folder cannot be read, or holds more than `MOST_ENTRIES` entries.
    """
    with os.scandir(folder) as entries:
        found = list(islice(entries, MOST_ENTRIES + 1))
    if len(found) > MOST_ENTRIES:
        raise OSError(None, f"it holds more than {MOST_ENTRIES:,} names", str(folder))
    return sorted(found, key=lambda entry: natural_key(entry.name))


def walk_files(
    folder: Path,
    is_wanted: Callable[[os.DirEntry[str]], bool],
    on_error: Callable[[OSError], None],
) -> Iterator[list[os.DirEntry[str]]]:
    """Yield everything below a folder that is not a folder, in lists of bounded length.

    Folders come in the order of their names, each before those inside it. Each list is sorted by
    name. Links to folders are not followed, so they cannot lead in circles.

    Args:
        folder: The folder to start from.
        is_wanted: Returns whether to look at a file or folder.
        on_error: Called with the error if a folder cannot be read.
    """
    remaining = [str(folder)]
    while remaining:
        folders: list[str] = []
        try:
            with os.scandir(remaining.pop()) as entries:
                while some := list(islice(entries, _ENTRIES_AT_ONCE)):
                    wanted = [entry for entry in some if is_wanted(entry)]
                    folders += [entry.path for entry in wanted if _is_folder_itself(entry)]
                    files = (entry for entry in wanted if not is_folder(entry))
                    yield sorted(files, key=lambda entry: entry.name)
        except OSError as error:
            on_error(error)
        remaining += sorted(folders, reverse=True)


def _is_folder_itself(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, and not a link to one."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
