"""What lies in folders, which may be anything: loops of links, pipes, names that are no text."""

import os
import stat
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from tweetprofile.importers.users import natural_key

MOST_ENTRIES = 10_000_000
"""Of one folder, where they must be in order; each takes some 400 bytes of memory."""

_NAMES_AT_ONCE = 100_000


def is_file(path: Path | str | os.DirEntry[str]) -> bool:
    """Whether there is a regular file; False where that cannot be found out."""
    try:
        if isinstance(path, os.DirEntry):
            return path.is_file()
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - as fast as that goes
    except (OSError, ValueError):  # a name too long, a loop of links, a null byte
        return False


def is_folder(path: Path | str | os.DirEntry[str]) -> bool:
    """Whether there is a folder; False where that cannot be found out."""
    try:
        if isinstance(path, os.DirEntry):
            return path.is_dir()
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - as fast as that goes
    except (OSError, ValueError):
        return False


def sorted_entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, in the order of names.

    Raises:
        OSError: it cannot be read, or holds more than `MOST_ENTRIES`.
    """
    with os.scandir(folder) as entries:
        found = list(islice(entries, MOST_ENTRIES + 1))
    if len(found) > MOST_ENTRIES:
        raise OSError(None, f"it holds more than {MOST_ENTRIES:,} names", str(folder))
    return sorted(found, key=lambda entry: natural_key(entry.name))


def walk_files(
    folder: Path, wanted: Callable[[os.DirEntry[str]], bool], refuse: Callable[[OSError], None]
) -> Iterator[list[os.DirEntry[str]]]:
    """All that is no folder below a folder, in lists of at most some thousands.

    Folders come in the order of their names, each before those in it; a list is sorted by name.
    Links to folders are left out, so that they cannot lead in circles.

    Args:
        folder: to begin with.
        wanted: whether a file or folder is to be looked at.
        refuse: told why a folder cannot be read.
    """
    remaining = [str(folder)]
    while remaining:
        folders: list[str] = []
        try:
            with os.scandir(remaining.pop()) as entries:
                while some := list(islice(entries, _NAMES_AT_ONCE)):
                    kept = [entry for entry in some if wanted(entry)]
                    folders += [entry.path for entry in kept if _is_own_folder(entry)]
                    files = (entry for entry in kept if not is_folder(entry))
                    yield sorted(files, key=lambda entry: entry.name)
        except OSError as error:
            refuse(error)
        remaining += sorted(folders, reverse=True)


def _is_own_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
