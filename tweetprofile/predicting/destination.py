"""Where a run writes, and whether it may: said before any work is done.

An OUT in an object store is made in a folder of this machine, the same one for the same OUT, and
then uploaded.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import platformdirs
import pyarrow as pa

from tweetprofile.data.files.atomic import is_fresh_name
from tweetprofile.data.files.protection import Inputs, check_folder, check_parent, refuse_foreign
from tweetprofile.data.files.provenance import Kind, kind_of, sidecar_of
from tweetprofile.data.files.storage import (
    AnyPath,
    RemotePath,
    as_path,
    exists,
    is_file,
    list_below,
    require_reachable,
    why,
)
from tweetprofile.errors import OutputError
from tweetprofile.predicting.record import RunRecord

_PARTS = "part-*.parquet"
"""Names of shard files."""

_ENDINGS = ("", ".parquet", ".pq", ".csv")
"""Of the names of files that can be written, in lower case."""

_READ_AT_ONCE = 16
"""Footers from a store, where each takes some round trips."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a run writes.

    Attributes:
        path: of the file or folder that is to appear; links are followed, so that what stands
            beside it is on the same file system.
        as_folder: whether it is to be a folder of shard files.
        remote: where it is uploaded to when it is complete; None for what stays here.
    """

    path: Path
    as_folder: bool
    remote: RemotePath | None = None

    @classmethod
    def of(cls, out: str) -> "Destination":
        """The place that a user means; a `/` at the end asks for a folder."""
        as_folder, path = out.endswith("/"), as_path(out)
        if isinstance(path, RemotePath):
            return cls(_staged(path), as_folder, path)
        return cls(Path(os.path.realpath(path)), as_folder)

    @property
    def as_csv(self) -> bool:
        """Whether it is to be flat CSV, and not Parquet."""
        return not self.as_folder and _ending(self.path) == ".csv"

    @property
    def sidecar(self) -> Path:
        """The file beside a CSV file that describes it."""
        beside = sidecar_of(self.path)
        assert isinstance(beside, Path)
        return beside

    @property
    def partial(self) -> Path:
        """The folder of an unfinished run."""
        return self.path.with_name(f"{self.path.name}.partial")

    @property
    def record(self) -> Path:
        """Its run record."""
        return self.partial / "run.json"

    @property
    def journal(self) -> Path:
        """The checksums of its finished shards."""
        return self.partial / "shards.jsonl"

    @property
    def merged(self) -> Path:
        """The output while it is put together there."""
        return self.partial / ("merged.csv" if self.as_csv else "merged.parquet")

    @property
    def description(self) -> Path:
        """The description of a CSV file, before it goes to its place."""
        return self.partial / "merged.json"

    @property
    def replaced(self) -> Path:
        """The folder that the output replaces, just before it is removed."""
        return self.partial / "replaced"

    @property
    def shards(self) -> Path:
        """Its finished shards."""
        return self.partial / "shards"

    def kept_shards(self) -> int:
        """How many shards a run could go on with."""
        return len(list(self.shards.glob("part-*.parquet"))) if self.record.exists() else 0


def check_output(
    out: str, *, overwrite: bool, resume: bool = False, inputs: Inputs | None = None
) -> None:
    """Raise OutputError unless `out` can be written: said before any work is done.

    Args:
        out: as the user gave it.
        overwrite: whether an earlier output may be replaced.
        resume: whether an unfinished run may be gone on with.
        inputs: what the run reads; None for nothing.
    """
    destination = Destination.of(out)
    check_target(out, overwrite=overwrite, resume=resume, inputs=inputs)
    if not os.path.lexists(destination.partial):
        return
    if (entry := foreign_in_partial(destination)) is not None:
        raise OutputError(
            f"{entry} is in the way of {out} and of no unfinished run; choose another name, or "
            "remove it yourself."
        )
    if not (overwrite or resume):
        raise OutputError(
            f"{destination.partial} holds an unfinished run; add --resume to go on with it, or "
            "--overwrite to begin anew."
        )


def check_target(
    out: str, *, overwrite: bool, resume: bool = False, inputs: Inputs | None = None
) -> None:
    """Raise OutputError unless the file or folder `out` may appear; see `check_output`."""
    destination = Destination.of(out)
    for path in claimed(destination):
        (inputs or Inputs()).refuse(path, out if path.name == destination.path.name else path)
    may_replace = overwrite or resume
    if destination.remote is not None:
        with _reaching(destination.remote):
            require_reachable(destination.remote)
            _check_remote(
                destination.remote, as_folder=destination.as_folder, may_replace=may_replace
            )
    else:
        check_parent(destination.path.parent, out)
        check_existing(destination, out, may_replace=may_replace)
    _check_ending(destination, out)


def _ending(path: Path) -> str:
    return path.suffix.lower()


def _check_ending(destination: Destination, out: str) -> None:
    """Raise OutputError for a name that promises what is not written."""
    ending = _ending(destination.path)
    if destination.as_folder and ending == ".csv":
        raise OutputError(
            f"{out} asks for a folder, and CSV is one file; leave the '/' out, or give a folder "
            "another name to get Parquet."
        )
    if not destination.as_folder and ending not in _ENDINGS:
        raise OutputError(
            f"{out} ends in '{destination.path.suffix}', which is not written; name it .csv for R, "
            "Stata and spreadsheets, .parquet for Parquet, or with a '/' at its end for a folder "
            "of Parquet files."
        )


def check_existing(destination: Destination, called: object, *, may_replace: bool = True) -> None:
    """Raise OutputError if what stands at a place on a disk is no earlier output to replace."""
    path = destination.path
    if destination.as_csv:
        _check_sidecar(destination, may_replace=may_replace)
    if not os.path.lexists(path):
        return
    if path.is_dir() != destination.as_folder:
        raise OutputError(
            f"{called} is a folder where a file is asked for, or a file for a folder."
        )
    if os.path.ismount(path):
        raise OutputError(f"{called} is where a disk is mounted; give a folder or file in it.")
    if destination.as_folder:
        check_folder(path, Kind.PREDICTIONS, called, _PARTS)
    else:
        refuse_foreign(path, Kind.PREDICTIONS, called)
    if not may_replace:
        raise OutputError(f"{called} exists; choose another name or add --overwrite.")


def _check_sidecar(destination: Destination, *, may_replace: bool) -> None:
    """Raise OutputError unless the description of a CSV file may be written beside it."""
    if kind_of(destination.path) is Kind.PREDICTIONS or not os.path.lexists(destination.sidecar):
        return
    refuse_foreign(destination.sidecar, Kind.DESCRIPTION, destination.sidecar)
    if not may_replace and not os.path.lexists(destination.path):
        raise OutputError(
            f"{destination.sidecar} describes a table that is gone; remove it, or add --overwrite."
        )


def claimed(destination: Destination) -> list[AnyPath]:
    """The places that a run writes to, of which none may be what it reads or writes otherwise."""
    part = "part-00000.parquet"
    if destination.remote is not None:
        beside = [sidecar_of(destination.remote)] if destination.as_csv else []
        return [
            destination.remote,
            *([destination.remote / part] if destination.as_folder else beside),
        ]
    inside = [destination.path / part] if destination.as_folder else []
    inside += [destination.sidecar] if destination.as_csv else []
    return [destination.path, *inside, destination.partial, destination.shards / part]


def check_stored(remote: RemotePath, *, as_folder: bool) -> list[RemotePath]:
    """The files of an earlier output in a store, each recognised by its record.

    Raises:
        OutputError: there is anything else.
        OSError: the store cannot be reached.
    """
    found = list_below(remote) if as_folder else []
    if is_file(remote):
        if as_folder:
            raise OutputError(f"{remote} is a file where a folder is asked for.")
        found = [(remote, True)]
    elif not as_folder and exists(remote):
        raise OutputError(f"{remote} is a folder where a file is asked for.")
    with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
        recognised = list(pool.map(lambda each: _is_stored_part(each[0], remote), found))
    for (path, _), ours in zip(found, recognised, strict=True):
        if not ours:
            raise OutputError(
                f"{path} is not {Kind.PREDICTIONS} that tweetprofile wrote, so {remote} is not "
                "replaced; choose another place, or remove it yourself."
            )
    return [path for path, _ in found]


def _check_stored_sidecar(remote: RemotePath) -> None:
    beside = sidecar_of(remote)
    assert isinstance(beside, RemotePath)
    if exists(beside) and kind_of(beside) is not Kind.DESCRIPTION:
        raise OutputError(
            f"{beside} is not {Kind.DESCRIPTION} that tweetprofile wrote, so it is not replaced; "
            "choose another place, or remove it yourself."
        )


def foreign_in_partial(destination: Destination) -> Path | None:
    """Something in the folder of an unfinished run that no run has put there; None if nothing is.

    It is the folder itself where neither its record nor a shard shows that it is a run's.
    """
    partial = destination.partial
    if partial.is_symlink() or not partial.is_dir():
        return partial
    if (
        other := next((entry for entry, ours in _within(destination) if not ours), None)
    ) is not None:
        return other
    # A record may be damaged, and so may shards, which are then computed again.
    shards = destination.shards.glob(_PARTS)
    known = RunRecord.is_one(destination.record) or any(
        kind_of(shard) is Kind.PREDICTIONS for shard in shards
    )
    return None if known else partial


def clear_partial(destination: Destination, *, whole: bool = True, but: Path | None = None) -> None:
    """Remove what a run has put into the folder of an unfinished run, and nothing else.

    Args:
        destination: of the run.
        whole: whether record and shards go, too, and with them the folder; else what is half
            written goes. The record goes last: without it nobody would know whose the folder is.
        but: the record, where it is to be replaced.
    """
    entries = [entry for entry, ours in _within(destination) if ours and entry != but]
    for entry in sorted(entries, key=lambda entry: entry == destination.record):
        if entry.is_dir():
            if whole:
                _remove_empty(entry)
        elif whole or _is_half_written(entry.name):
            entry.unlink(missing_ok=True)
    if whole:
        _remove_empty(destination.partial)


def _within(destination: Destination) -> Iterator[tuple[Path, bool]]:
    """All that is in the folder of an unfinished run, and whether a run has put it there."""
    folders = (destination.shards, destination.replaced)
    known = (destination.record, destination.journal, destination.merged, destination.description)
    for folder in folders:
        if folder.is_dir() and not folder.is_symlink():
            for entry in folder.iterdir():
                named = fnmatchcase(entry.name, _PARTS) or _is_half_written(entry.name)
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


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # somebody has put something of theirs into it
        folder.rmdir()


@contextmanager
def _reaching(remote: RemotePath) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise OutputError(
            f"{remote} cannot be reached: {why(error)}; check the address, and the credentials in "
            "the environment or profile."
        ) from error


def _check_remote(remote: RemotePath, *, as_folder: bool, may_replace: bool) -> None:
    if not exists(remote):
        if not as_folder and _ending(Path(remote.name)) == ".csv":
            _check_stored_sidecar(remote)
        return
    check_stored(remote, as_folder=as_folder)
    if not may_replace:
        raise OutputError(f"{remote} exists; choose another name or add --overwrite.")


def _is_stored_part(path: RemotePath, folder: RemotePath) -> bool:
    direct = path == folder or (path.parent == folder and fnmatchcase(path.name, _PARTS))
    return direct and kind_of(path) is Kind.PREDICTIONS


def _staged(remote: RemotePath) -> Path:
    """Where an output is made that is to be in a store: the same place for the same output."""
    folder = Path(platformdirs.user_cache_dir("tweetprofile")) / "outputs"
    return folder / hashlib.sha256(remote.uri.encode()).hexdigest()[:16] / remote.name


def lock_folder(folder: Path) -> int:
    """Hold a folder for this process; the system lets go of it however the process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OutputError(f"another run is writing to {folder}; wait for it or end it.") from None
    except OSError:
        pass  # not every network file system can lock, and two runs at once are rare
    return descriptor
