"""The destination of a run: the output, and everything next to it while it is made.

An output in an object store is made in a folder on this machine and then uploaded. The same output
always has the same folder, so that an interrupted run can be resumed.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from tweetprofile.data.files.provenance import Kind, sidecar_of
from tweetprofile.data.files.storage import AnyPath, RemotePath, as_path

SHARD_FILES = "part-*.parquet"
"""The names of shard files."""

_FIRST_SHARD = "part-00000.parquet"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a run writes.

    Attributes:
        path: The file or folder that is to appear. Links are followed, so that everything next to
            it is on the same file system.
        as_folder: Whether the output is a folder of shard files.
        remote: Where the complete output is uploaded to; None if it stays on this machine.
        kind: The kind of output, which may only replace an earlier one of the same kind.
    """

    path: Path
    as_folder: bool
    remote: RemotePath | None = None
    kind: Kind = Kind.PREDICTIONS

    @classmethod
    def of(cls, out: str, kind: Kind = Kind.PREDICTIONS) -> "Destination":
        """Return the destination of an output of a kind; a `/` at its end means a folder."""
        as_folder, path = out.endswith("/"), as_path(out)
        if isinstance(path, RemotePath):
            return cls(_local_copy_of(path), as_folder, path, kind)
        return cls(Path(os.path.realpath(path)), as_folder, kind=kind)

    @property
    def ending(self) -> str:
        """The ending of the name, in lower case."""
        return self.path.suffix.lower()

    @property
    def as_csv(self) -> bool:
        """Whether the output is flat CSV rather than Parquet."""
        return not self.as_folder and self.ending == ".csv"

    @property
    def sidecar(self) -> Path:
        """The file next to a CSV file that describes it."""
        sidecar = sidecar_of(self.path)
        assert isinstance(sidecar, Path)
        return sidecar

    @property
    def partial(self) -> Path:
        """The folder of the unfinished run."""
        return self.path.with_name(f"{self.path.name}.partial")

    @property
    def record(self) -> Path:
        """The run record of the unfinished run."""
        return self.partial / "run.json"

    @property
    def journal(self) -> Path:
        """The checksums of the finished shards."""
        return self.partial / "shards.jsonl"

    @property
    def merged(self) -> Path:
        """The output while it is being merged from the shards."""
        return self.partial / ("merged.csv" if self.as_csv else "merged.parquet")

    @property
    def description(self) -> Path:
        """The description of a CSV file, before it becomes the sidecar."""
        return self.partial / "merged.json"

    @property
    def replaced(self) -> Path:
        """The earlier output, if it is a folder, just before it is removed."""
        return self.partial / "replaced"

    @property
    def shards(self) -> Path:
        """The folder of the finished shards."""
        return self.partial / "shards"

    @property
    def claimed(self) -> list[AnyPath]:
        """Every path that the run writes to; none of them may be another input or output."""
        if self.remote is not None:
            sidecars = [sidecar_of(self.remote)] if self.as_csv else []
            return [
                self.remote,
                *([self.remote / _FIRST_SHARD] if self.as_folder else sidecars),
            ]
        inside = [self.path / _FIRST_SHARD] if self.as_folder else []
        inside += [self.sidecar] if self.as_csv else []
        return [self.path, *inside, self.partial, self.shards / _FIRST_SHARD]

    def kept_shards(self) -> int:
        """Return how many finished shards a resumed run would find."""
        return len(list(self.shards.glob(SHARD_FILES))) if self.record.exists() else 0


def _local_copy_of(remote: RemotePath) -> Path:
    """Return where an output is made that is to be uploaded: always the same path for it."""
    folder = Path(platformdirs.user_cache_dir("tweetprofile")) / "outputs"
    return folder / hashlib.sha256(remote.uri.encode()).hexdigest()[:16] / remote.name
