"""Folders of cached frames: built under another name, and removed when room is short."""

import fcntl
import json
import re
import stat
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tweetprofile.data.files.atomic import move

FRAMES, USERS, FACTS = "frames.uint8", "users.npz", "cache.json"
_FILES = (FRAMES, USERS, FACTS)
"""All that a complete cache holds."""

_LOCK = "lock"
_LOCK_RECORD = b"frames that a training of tweetprofile decodes\n"
"""By which a cache is known that is being built, or was."""

_NAME = re.compile(r"[0-9a-f]{32}")
"""Of a cache; see `cache.CacheSource.key`."""


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A folder that becomes `path` if the block ends well, and vanishes if it does not.

    Not `atomic_folder`: another run recognises an abandoned folder by its name and its lock.
    """
    folder = Path(tempfile.mkdtemp(".tmp", f"{path.name}.", path.parent))
    try:
        with (folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # tells others that it is not abandoned
            lock.write(_LOCK_RECORD)
            lock.flush()
            yield folder
            (folder / _LOCK).unlink()
            with suppress(OSError):
                move(folder, path)  # or else somebody was faster, with the same result
    finally:
        _remove(folder)


def remove_abandoned(place: Path) -> None:
    """Remove what runs have left that did not live to finish it."""
    for folder in place.glob("*.tmp"):
        if not _holds(folder, {*_FILES, _LOCK}):
            continue
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock.read() == _LOCK_RECORD:
                _remove(folder)


def make_room(place: Path, gigabytes: float, wanted: int, keep: Path) -> None:
    """Remove the caches used longest ago until so many bytes fit in.

    Args:
        place: folder of all caches.
        gigabytes: that all of them together may take.
        wanted: bytes that the new one takes.
        keep: the new one, which is not removed.
    """
    others = [folder for folder in place.iterdir() if folder != keep and _is_cache(folder)]
    others.sort(key=lambda folder: (folder / FACTS).stat().st_mtime)
    sizes = {folder: (folder / FRAMES).stat().st_size for folder in others}
    for folder in others:
        if sum(sizes.values()) + wanted <= gigabytes * 1e9:
            return
        _remove(folder)
        del sizes[folder]


def _is_cache(folder: Path) -> bool:
    """Whether a folder is a complete cache and nothing else, by what is in it."""
    if not _NAME.fullmatch(folder.name) or not _holds(folder, _FILES):
        return False
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        return {"height", "width", "manifest", "outcome"} <= facts.keys() and all(
            (folder / name).exists() for name in _FILES
        )
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _holds(folder: Path, names: Collection[str]) -> bool:
    """Whether it is a folder that holds regular files of these names alone."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return all(
        entry.name in names and stat.S_ISREG(entry.lstat().st_mode) for entry in folder.iterdir()
    )


def _remove(folder: Path) -> None:
    """Remove a cache's files and then its folder, if nothing of others is in it."""
    with suppress(OSError):
        for name in (*_FILES, _LOCK):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
