"""Where a run writes, and whether it may: said before any work is done.

An OUT in an object store is made in a folder of this machine, the same one for the same OUT, and
then uploaded.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pyarrow as pa

from tweetprofile.errors import OutputError
from tweetprofile.storage import RemotePath, as_path, exists, require_reachable, why


@dataclass(frozen=True, slots=True)
class Place:
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
    def of(cls, out: str) -> "Place":
        """The place that a user means; a `/` at the end asks for a folder."""
        as_folder, path = out.endswith("/"), as_path(out)
        if isinstance(path, RemotePath):
            return cls(_staged(path), as_folder, path)
        return cls(Path(os.path.realpath(path)), as_folder)

    @property
    def partial(self) -> Path:
        """The folder of an unfinished run."""
        return self.path.with_name(f"{self.path.name}.partial")

    @property
    def record(self) -> Path:
        """Its run record."""
        return self.partial / "run.json"

    @property
    def shards(self) -> Path:
        """Its finished shards."""
        return self.partial / "shards"

    def kept_shards(self) -> int:
        """How many shards a run could go on with."""
        return len(list(self.shards.glob("part-*.parquet"))) if self.record.exists() else 0


def check_output(out: str, *, overwrite: bool, resume: bool = False) -> None:
    """Raise OutputError unless `out` can be written: said before any work is done."""
    place = Place.of(out)
    path = place.path
    if place.remote is not None:
        _check_remote(place.remote, overwrite=overwrite, resume=resume)
    else:
        check_parent(path.parent, out)
    if place.record.exists() and not (overwrite or resume):
        raise OutputError(
            f"{place.partial} holds an unfinished run; add --resume to go on with it, or "
            "--overwrite to begin anew."
        )
    if path.exists() and place.remote is None:
        _check_existing(out, place, overwrite=overwrite, resume=resume)


def check_parent(folder: Path, out: str | Path) -> None:
    """Raise OutputError unless `out` can be made in a folder."""
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} of {out} does not exist; make it first.")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {folder} of {out} is not writable; choose another.")


def _check_remote(out: RemotePath, *, overwrite: bool, resume: bool) -> None:
    try:
        require_reachable(out)
        there = exists(out)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise OutputError(
            f"{out} cannot be reached: {why(error)}; check the address, and the credentials in the "
            "environment or profile."
        ) from error
    if there and not (overwrite or resume):
        raise OutputError(f"{out} exists; choose another name or add --overwrite.")


def _check_existing(out: str, place: Place, *, overwrite: bool, resume: bool) -> None:
    if not (overwrite or resume):
        raise OutputError(f"{out} exists; choose another name or add --overwrite.")
    if place.path.is_dir() != place.as_folder:
        raise OutputError(f"{out} is a folder where a file is asked for, or a file for a folder.")
    if os.path.ismount(place.path):
        raise OutputError(f"{out} is where a disk is mounted; give a folder or file in it.")
    if place.as_folder and not all(map(_is_part, place.path.iterdir())):
        raise OutputError(f"{out} holds more than predictions, so it is not overwritten; empty it.")


def _staged(remote: RemotePath) -> Path:
    """Where an output is made that is to be in a store: the same place for the same output."""
    folder = Path(platformdirs.user_cache_dir("tweetprofile")) / "outputs"
    return folder / hashlib.sha256(remote.uri.encode()).hexdigest()[:16] / remote.name


def _is_part(entry: Path) -> bool:
    return entry.name.startswith("part-") and entry.suffix == ".parquet"
