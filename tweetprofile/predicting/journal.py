"""The journal of an unfinished run: the SHA-256 of every finished shard.

A shard stays on the disk for as long as the run takes, and for days more if the run is interrupted.
If it is damaged or replaced in that time, it must be computed again and not be merged into the
output.
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
        path: The path of the file.
    """

    path: Path

    def begin(self) -> None:
        """Start an empty journal, which replaces that of an earlier run.

        Raises:
            OSError: The file cannot be written.
        """
        self.path.write_bytes(b"")

    def note(self, shard: int, file: Path) -> None:
        """Add the checksum of a shard; its line is on the disk when this returns.

        Args:
            shard: The number of the shard.
            file: The file that contains the shard.

        Raises:
            OSError: The line cannot be written.
        """
        line = json.dumps({"shard": shard, "sha256": _sha256(file)}) + "\n"
        with self.path.open("ab") as journal:
            # If a full disk cut the last line short, this one must not become a part of it.
            journal.write(b"\n" * _ends_within_a_line(self.path) + line.encode())
            journal.flush()
            os.fsync(journal.fileno())

    def digests(self) -> dict[int, str] | None:
        """Return the SHA-256 per shard; None without a journal, as in a run of version 0.1.0."""
        if not self.path.exists():
            return None
        found: dict[int, str] = {}
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                found[int(entry["shard"])] = str(entry["sha256"])
            except (ValueError, KeyError, TypeError):
                continue  # the line was cut short: its shard is computed again
        return found


def matches(file: Path, sha256: str | None) -> bool:
    """Return whether a file has this SHA-256; False if it is None.

    Raises:
        OSError: The file cannot be read.
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
