"""The journal of an unfinished run: the SHA-256 of every shard that it has finished.

A shard lies on a disk for as long as the run takes, and days more if the run was interrupted. A
shard that was damaged or replaced in that time must be computed again, not merged into the output.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ShardJournal:
    """A text file with one JSON object per finished shard, in the order in which they finished.

    Attributes:
        path: the file.
    """

    path: Path

    def begin(self) -> None:
        """Start an empty journal in place of an earlier run's.

        Raises:
            OSError: it cannot be written.
        """
        self.path.write_bytes(b"")

    def note(self, shard: int, file: Path) -> None:
        """Add the shard that `file` holds; the line is on the disk when this returns.

        Raises:
            OSError: the line cannot be written.
        """
        line = json.dumps({"shard": shard, "sha256": _sha256(file)}) + "\n"
        with self.path.open("ab") as journal:
            # A line that was cut when the disk was full must not swallow this one.
            journal.write(b"\n" * _ends_within_a_line(self.path) + line.encode())
            journal.flush()
            os.fsync(journal.fileno())

    def digests(self) -> dict[int, str] | None:
        """SHA-256 by shard; None where there is no journal, as in a run of version 0.1.0."""
        if not self.path.exists():
            return None
        found: dict[int, str] = {}
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                found[int(entry["shard"])] = str(entry["sha256"])
            except (ValueError, KeyError, TypeError):
                continue  # a line that was cut: its shard is computed again
        return found


def matches(file: Path, sha256: str | None) -> bool:
    """Whether a file has that SHA-256; False where none is known.

    Raises:
        OSError: the file cannot be read.
    """
    return sha256 is not None and _sha256(file) == sha256


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _ends_within_a_line(file: Path) -> bool:
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        if not size:
            return False
        opened.seek(-1, os.SEEK_END)
        return opened.read(1) != b"\n"
