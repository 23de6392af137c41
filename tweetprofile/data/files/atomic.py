"""Files that appear complete or not at all: written under a temporary name, synced, renamed.

The unfinished file is in the folder of its target, under a random name that nothing else has.
When it is complete, the target is checked once more, and replaced only if it may be replaced at
that moment.
"""

import ctypes
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MayReplace = Callable[[Path], bool]
"""Tells whether the file at a path may be replaced."""

_PREFIX, _SUFFIX = ".tweetprofile-", ".tmp"

_RENAME_NOREPLACE = 1  # include/uapi/linux/fs.h
_AT_FDCWD = -100  # include/uapi/linux/fcntl.h
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


class UnfinishedFile:
    """A new, empty file with a temporary name, which `commit` changes to the final one.

    For files that are written over a longer time; `atomic_write` does the same in a `with` block.

    Attributes:
        path: The temporary path, to be written to.

    Raises:
        OSError: The file cannot be created.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = fresh_name(target.parent)
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))

    def commit(self, may_replace: MayReplace | None = None) -> None:
        """Sync the complete file and give it its final name.

        Args:
            may_replace: Tells whether the file at the target may be replaced; None if nothing may.

        Raises:
            FileExistsError: There is a file at the target that may not be replaced.
            OSError: The file cannot be synced or renamed.
        """
        sync(self.path)
        move(self.path, self._target, may_replace)
        sync(self._target.parent)

    def discard(self) -> None:
        """Remove the unfinished file; a committed one stays."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: Path, may_replace: MayReplace | None = None) -> Iterator[Path]:
    """Yield a new, empty file that is renamed to `path` at the end of the block.

    If the block raises, the file is removed.

    Args:
        path: The final path; its folder must exist.
        may_replace: Tells whether the file at `path` may be replaced; None if nothing may.

    Raises:
        FileExistsError: There is a file at `path` that may not be replaced.
        OSError: The file cannot be written.
    """
    unfinished = UnfinishedFile(path)
    try:
        yield unfinished.path
        unfinished.commit(may_replace)
    except BaseException:
        unfinished.discard()
        raise


def write_atomically(path: Path, data: bytes, may_replace: MayReplace | None = None) -> None:
    """Write bytes to a file that appears complete or not at all; see `atomic_write`."""
    with atomic_write(path, may_replace) as unfinished:
        unfinished.write_bytes(data)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new, empty folder that is renamed to `path` at the end of the block.

    If the block raises, the folder is removed with everything in it.

    Raises:
        FileExistsError: There is something at `path`.
        OSError: The folder cannot be made or renamed.
    """
    unfinished = fresh_name(path.parent)
    unfinished.mkdir()
    try:
        yield unfinished
        move(unfinished, path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def fresh_name(folder: Path) -> Path:
    """Return a hidden, random path in a folder, which nothing else has."""
    return folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"


def is_fresh_name(name: str) -> bool:
    """Return whether a file name is one of those that `fresh_name` makes."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def move(source: Path, target: Path, may_replace: MayReplace | None = None) -> None:
    """Rename a file or folder; a file may replace another file if `may_replace` allows it.

    Raises:
        FileExistsError: There is something at the target that may not be replaced.
    """
    if not os.path.lexists(target):
        _rename_new(source, target)
    elif may_replace is not None and may_replace(target):
        source.replace(target)
    else:
        raise name_taken(target)


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename_new(source: Path, target: Path) -> None:
    """Rename to a name that nothing has, and raise if something has it by then."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None:
        names = os.fsencode(source), os.fsencode(target)
        if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number == errno.EEXIST:
            raise name_taken(target)
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number), str(target))
    if os.path.lexists(target):  # some network file systems cannot check and rename in one step
        raise name_taken(target)
    source.rename(target)


def name_taken(target: Path) -> FileExistsError:
    """Return the error to raise when an output cannot have its name."""
    return FileExistsError(
        errno.EEXIST, "something else has taken this name in the meantime", str(target)
    )
