"""Files that appear whole or not at all: written under a name of nobody's, synced, renamed.

The unfinished file stands beside its target, under a name drawn at random and made anew, so that it
is nobody else's. What stands at the target when the file is complete is looked at once more, and
replaced only if that is allowed by then.
"""

import ctypes
import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MayReplace = Callable[[Path], bool]
"""Says of what stands at a path whether it may be replaced."""

_PREFIX, _ENDING = ".tweetprofile-", ".tmp"

_RENAME_NOREPLACE = 1  # include/uapi/linux/fs.h
_AT_FDCWD = -100  # include/uapi/linux/fcntl.h
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


@contextmanager
def atomic_write(path: Path, may_replace: MayReplace | None = None) -> Iterator[Path]:
    """A new, empty file, which takes the name `path` when the block ends well, and else is removed.

    Args:
        path: where to; its folder is there.
        may_replace: asked of what stands there by then; None where nothing may be replaced.

    Raises:
        FileExistsError: what stands there by then may not be replaced.
        OSError: it cannot be written.
    """
    unfinished = fresh_name(path.parent)
    os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    try:
        yield unfinished
        sync(unfinished)
        move(unfinished, path, may_replace)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    sync(path.parent)


def write_atomically(path: Path, data: bytes, may_replace: MayReplace | None = None) -> None:
    """Write bytes to a file that appears whole or not at all; see `written_whole`."""
    with atomic_write(path, may_replace) as unfinished:
        unfinished.write_bytes(data)


def fresh_name(folder: Path) -> Path:
    """A hidden name in a folder that can be nobody's."""
    return folder / f"{_PREFIX}{secrets.token_hex(8)}{_ENDING}"


def is_fresh_name(name: str) -> bool:
    """Whether a name is of those that `fresh_name` gives."""
    return name.startswith(_PREFIX) and name.endswith(_ENDING)


def move(source: Path, target: Path, may_replace: MayReplace | None = None) -> None:
    """Rename a file or folder; a file may replace another one if that is allowed.

    Raises:
        FileExistsError: what stands there may not be replaced.
    """
    if not os.path.lexists(target):
        _rename_new(source, target)
    elif may_replace is not None and may_replace(target):
        source.replace(target)
    else:
        raise _taken(target)


def sync(path: Path) -> None:
    """Have a file or folder on the disk before anything else is done."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename_new(source: Path, target: Path) -> None:
    """Rename to a name that is free, and stay away if it is not by then."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None:
        names = os.fsencode(source), os.fsencode(target)
        if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number == errno.EEXIST:
            raise _taken(target)
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number), str(target))
    if os.path.lexists(target):  # some network file systems cannot do both in one step
        raise _taken(target)
    source.rename(target)


def _taken(target: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "something else stands there by now", str(target))
