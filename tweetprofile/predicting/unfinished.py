"""The folder of an unfinished run, OUT.partial: what belongs in it, and what may be removed.

Only files that a run has put there are ever removed. If anything else is found in the folder, it is
left alone, and the run is refused before any work is done.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path

from tweetprofile.data.files.atomic import is_fresh_name
from tweetprofile.data.files.provenance import kind_of
from tweetprofile.errors import OutputError
from tweetprofile.predicting.destination import SHARD_FILES, Destination
from tweetprofile.predicting.record import RunRecord


def foreign_in_partial(destination: Destination) -> Path | None:
    """Return something in OUT.partial that no such run has put there; None if there is nothing.

    If neither a run record nor a shard shows that the folder belongs to a run which writes the same
    kind of output, the folder itself is returned.
    """
    partial = destination.partial
    if partial.is_symlink() or not partial.is_dir():
        return partial
    foreign = next((entry for entry, is_ours in _entries(destination) if not is_ours), None)
    if foreign is not None:
        return foreign
    # The record may be damaged, and so may shards, which are then computed again.
    shards = destination.shards.glob(SHARD_FILES)
    kinds = chain([RunRecord.kind_in(destination.record)], map(kind_of, shards))
    kind = next((kind for kind in kinds if kind is not None), None)
    return None if kind is destination.kind else partial


def clear_partial(
    destination: Destination, *, keep_shards: bool = False, but: Path | None = None
) -> None:
    """Remove what a run has put into OUT.partial, and nothing else.

    The run record is removed last, because without it nothing would show whose the folder is.

    Args:
        destination: The destination of the run.
        keep_shards: Whether to keep the record, the journal and the shards, with which the run can
            be resumed, and to remove only half-written files. If not, the folder is removed, too.
        but: A file to keep in any case.
    """
    entries = [entry for entry, is_ours in _entries(destination) if is_ours and entry != but]
    for entry in sorted(entries, key=lambda entry: entry == destination.record):
        if entry.is_dir():
            if not keep_shards:
                _remove_if_empty(entry)
        elif not keep_shards or _is_half_written(entry.name):
            entry.unlink(missing_ok=True)
    if not keep_shards:
        _remove_if_empty(destination.partial)


def lock_folder(folder: Path) -> int:
    """Lock a folder for this process.

    The operating system releases the lock when the process ends, however it ends.

    Returns:
        The file descriptor that holds the lock, to be closed by the caller.

    Raises:
        OutputError: Another process has locked the folder.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OutputError(
            f"another run is writing to {folder}; wait until it ends, or end it."
        ) from None
    except OSError:
        pass  # some network file systems cannot lock, and two runs at once are rare
    return descriptor


def _entries(destination: Destination) -> Iterator[tuple[Path, bool]]:
    """Yield everything in OUT.partial, and whether a run has put it there."""
    folders = (destination.shards, destination.replaced)
    known = (destination.record, destination.journal, destination.merged, destination.description)
    for folder in folders:
        if folder.is_dir() and not folder.is_symlink():
            for entry in folder.iterdir():
                named = fnmatchcase(entry.name, SHARD_FILES) or _is_half_written(entry.name)
                yield entry, named and _is_regular(entry)
    for entry in destination.partial.iterdir() if destination.partial.is_dir() else ():
        if entry in folders:
            yield entry, entry.is_dir() and not entry.is_symlink()
        else:
            named = entry in known or _is_half_written(entry.name)
            yield entry, named and _is_regular(entry)


def _is_half_written(name: str) -> bool:
    return name.endswith(".tmp") and (
        is_fresh_name(name) or name.startswith(("part-", "merged.", "run."))
    )


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # someone else has put a file into it
        folder.rmdir()
