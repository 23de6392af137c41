"""Folders of cached frames and counts: built under a temporary name, removed to save space."""

import fcntl
import json
import re
import stat
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tweetprofile.data.files.atomic import move
from tweetprofile.workers.embedding_store import STORED

FRAMES, EMBEDDINGS = "frames.uint8", "embeddings.float16"
BUCKETS, COUNTS = "buckets.uint32", "counts.uint16"
USERS, FACTS = "users.npz", "cache.json"
_DATA = (FRAMES, EMBEDDINGS, BUCKETS, COUNTS)
_FILES = (*_DATA, USERS, FACTS)
"""The files of a cache; a complete one has frames, embeddings or counts, and the last two."""

EMBEDDING_SHAPE = "embedding"
"""The key of the views and features of an embedding, in the facts of a cache of embeddings."""

_LOCK = "lock"
_LOCK_RECORD = b"frames that a training of tweetprofile decodes\n"
"""The content of the lock file, which identifies an unfinished cache."""

_NAME = re.compile(r"[0-9a-f]{32}")
"""The name of a cache; see `CacheSource.key`."""


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Create a folder that becomes `path` if the block succeeds, and is removed if it fails.

    This is not `atomic_folder`, since another run recognises an abandoned folder by its name and
    its lock.
    """
    folder = Path(tempfile.mkdtemp(".tmp", f"{path.name}.", path.parent))
    try:
        with (folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # shows others that it is not abandoned
            lock.write(_LOCK_RECORD)
            lock.flush()
            yield folder
            (folder / _LOCK).unlink()
            with suppress(OSError):
                move(folder, path)  # fails if another process was faster, with the same result
    finally:
        _remove(folder)


def remove_abandoned(root: Path) -> None:
    """Remove unfinished caches whose process has died.

    Args:
        root: The folder of all caches.
    """
    for folder in root.glob("*.tmp"):
        if not _holds(folder, {*_FILES, _LOCK}):
            continue
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock.read() == _LOCK_RECORD:
                _remove(folder)


def make_room(root: Path, gigabytes: float, wanted: int, keep: Path) -> None:
    """Remove the least recently used caches until a new one fits in.

    Args:
        root: The folder of all caches.
        gigabytes: The space that all caches together may take.
        wanted: The size of the new cache in bytes.
        keep: The folder of the new cache, which is not removed.
    """
    others = [folder for folder in root.iterdir() if folder != keep and _is_cache(folder)]
    others.sort(key=lambda folder: (folder / FACTS).stat().st_mtime)
    sizes = {folder: _size(folder) for folder in others}
    for folder in others:
        if sum(sizes.values()) + wanted <= gigabytes * 1e9:
            return
        _remove(folder)
        del sizes[folder]


def trim_known(root: Path, gigabytes: float, keep: Path) -> None:
    """Remove the oldest embeddings of interrupted runs until the others take little enough space.

    Args:
        root: The folder of such embeddings, with a folder per backbone.
        gigabytes: The space that they may take.
        keep: The folder of the backbone that is used now, which is not removed.
    """
    others = [
        folder for folder in root.glob("*") if folder != keep and _NAME.fullmatch(folder.name)
    ]
    sizes = {each: sum(file.stat().st_size for file in each.rglob("*")) for each in others}
    for folder in sorted(others, key=lambda each: each.stat().st_mtime):
        if sum(sizes.values()) <= gigabytes * 1e9:
            return
        remove_known(folder)
        del sizes[folder]


def remove_known(folder: Path) -> None:
    """Remove the embeddings that an interrupted run, or a finished one, has kept of a backbone."""
    with suppress(OSError):
        for store in folder.iterdir():
            for file in store.iterdir():
                if file.suffix in STORED:
                    file.unlink()
            store.rmdir()
        folder.rmdir()
        folder.parent.rmdir()  # if there are no others


def _size(folder: Path) -> int:
    """Return the size of a cache's frames, embeddings or counts in bytes."""
    data = (folder / name for name in _DATA)
    return sum(path.stat().st_size for path in data if path.exists())


def _is_cache(folder: Path) -> bool:
    """Return whether a folder holds a complete cache and nothing else."""
    if not _NAME.fullmatch(folder.name) or not _holds(folder, _FILES):
        return False
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if facts.keys() == {"manifest"}:
            data: tuple[str, ...] = (BUCKETS, COUNTS)
        elif {"height", "width", "manifest", "outcome"} <= facts.keys():
            data = (EMBEDDINGS if EMBEDDING_SHAPE in facts else FRAMES,)
        else:
            return False
        return all((folder / name).exists() for name in (*data, USERS))
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _holds(folder: Path, names: Collection[str]) -> bool:
    """Return whether a path is a folder that holds only regular files with these names."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return all(
        entry.name in names and stat.S_ISREG(entry.lstat().st_mode) for entry in folder.iterdir()
    )


def _remove(folder: Path) -> None:
    """Remove the files of a cache, and then its folder unless it holds foreign files."""
    with suppress(OSError):
        for name in (*_FILES, _LOCK):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
