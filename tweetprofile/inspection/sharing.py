"""Which images occur at several users, by content, in bounded memory.

Every pair of (digest, user) goes to one of 64 temporary files, chosen by the digest; then one file
after the other is counted. In memory are a buffer of pairs, the digests of one file at a time (a
64th of all distinct images, at some 16 bytes each), and a bit a user; on the disk, 16 bytes a pair.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.files.scratch import UsesScratch, no_room

_FILES = 64

_PAIRS_HELD = 1 << 16
"""Before they are written: 1 MiB."""

Numbers = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Sharing:
    """How often the same image occurs; images are compared by their bytes.

    Attributes:
        distinct: different images.
        at_several_users: those of them that more than one user has.
        users: who have one of those.
        most_users: who have the most frequent one.
        repeats: images beyond the first of their kind at the same user.
    """

    distinct: int = 0
    at_several_users: int = 0
    users: int = 0
    most_users: int = 0
    repeats: int = 0


class ImageLedger(UsesScratch):
    """Keeps book of which user has which image; used as a `with` block.

    Args:
        users: their numbers are below this.

    Raises:
        WriteError: temporary files cannot be written.
    """

    def __init__(self, users: int) -> None:
        self._pairs: list[Numbers] = []
        self._held = 0
        self._repeats = 0
        self._sharing_users = np.zeros(users // 8 + 1, np.uint8)  # a bit each

    def __enter__(self) -> Self:
        self.make_scratch()  # at once, so that lack of room shows before any work is done
        return self

    def add(self, digests: Numbers, users: Numbers) -> None:
        """Note images, and of each the number of its user; all of a user's come in one call."""
        pairs = np.stack([digests, users], axis=1)[np.lexsort((digests, users))]
        kept = np.ones(len(pairs), bool)
        kept[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
        self._repeats += len(pairs) - int(kept.sum())
        self._pairs.append(pairs[kept])
        self._held += len(self._pairs[-1])
        if self._held >= _PAIRS_HELD:
            self._write()

    def count(self) -> Sharing:
        """What all of it comes to."""
        self._write()
        counts = [self._count_file(path) for path in self._files()]
        several = sum(shared for _, shared, _ in counts)
        return Sharing(
            distinct=sum(distinct for distinct, _, _ in counts),
            at_several_users=several,
            users=int(np.bitwise_count(self._sharing_users).sum()),
            most_users=max((most for _, _, most in counts), default=0),
            repeats=self._repeats,
        )

    def _write(self) -> None:
        """Append what is held to the files; each digest has its own."""
        if not self._held:
            return
        pairs = np.concatenate(self._pairs)
        file_of = pairs[:, 0] % np.uint64(_FILES)
        pairs = pairs[np.argsort(file_of, kind="stable")]
        ends = np.cumsum(np.bincount(file_of.astype(np.int64), minlength=_FILES))
        try:
            for path, part in zip(self._files(), np.split(pairs, ends[:-1]), strict=True):
                with path.open("ab") as file:
                    file.write(part.tobytes())
        except OSError as error:
            raise no_room(error) from error
        self._pairs, self._held = [], 0

    def _files(self) -> list[Path]:
        return [self.scratch / f"{number:02}" for number in range(_FILES)]

    def _count_file(self, path: Path) -> tuple[int, int, int]:
        """Distinct images, those at several users, and users of the most frequent one."""
        digests, users = np.empty(0, np.uint64), np.empty(0, np.int64)
        for pairs in _read_pairs(path):
            digests, users = _merge(digests, users, pairs[:, 0])
        shared = digests[users > 1]
        for pairs in _read_pairs(path) if len(shared) else ():
            self._mark(pairs[np.isin(pairs[:, 0], shared), 1])
        return len(digests), len(shared), int(users.max(initial=0))

    def _mark(self, users: Numbers) -> None:
        bits = np.left_shift(np.uint8(1), (users % np.uint64(8)).astype(np.uint8))
        np.bitwise_or.at(self._sharing_users, users // np.uint64(8), bits)


def _read_pairs(path: Path) -> Iterator[Numbers]:
    """The pairs of a file, a bounded number at a time."""
    if not path.exists():
        return
    with path.open("rb") as file:
        while data := file.read(16 * _PAIRS_HELD):
            yield np.frombuffer(data, np.uint64).reshape(-1, 2)


def _merge(
    digests: Numbers, users: NDArray[np.int64], more: Numbers
) -> tuple[Numbers, NDArray[np.int64]]:
    """Add occurrences of digests to how many users have each."""
    found, counts = np.unique(more, return_counts=True)
    merged, places = np.unique(np.concatenate([digests, found]), return_inverse=True)
    totals = np.zeros(len(merged), np.int64)
    np.add.at(totals, places, np.concatenate([users, counts]))
    return merged, totals
