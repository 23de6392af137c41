"""Count images that several users share, by content, in bounded memory.

Every pair (digest, user) is written to one of 64 temporary files, chosen by the digest; then the
files are counted one after another. Memory holds a buffer of pairs, the digests of one file at a
time (a 64th of all distinct images, at about 16 bytes each), and one bit per user; the disk holds
16 bytes per pair.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.files.scratch import UsesScratch, no_room

_FILES = 64

_BUFFERED_PAIRS = 1 << 16
"""Pairs in memory before they are written: 1 MiB."""

Numbers = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Sharing:
    """How often images occur more than once; images are compared by their bytes.

    Attributes:
        distinct: The number of distinct images.
        at_several_users: The number of distinct images that more than one user has.
        users: The number of users who have at least one such image.
        most_users: The number of users who have the most widely shared image.
        repeats: The number of further occurrences of an image in the list of the same user.
    """

    distinct: int = 0
    at_several_users: int = 0
    users: int = 0
    most_users: int = 0
    repeats: int = 0


class SharedImageCounter(UsesScratch):
    """Counts the images that several users share; a context manager.

    Args:
        users: The number of users in the manifest; the numbers of users are below it.

    Raises:
        WriteError: Temporary files cannot be written.
    """

    def __init__(self, users: int) -> None:
        self._pairs: list[Numbers] = []
        self._buffered = 0
        self._repeats = 0
        self._sharing_users = np.zeros(users // 8 + 1, np.uint8)  # one bit per user

    def __enter__(self) -> Self:
        self.make_scratch()  # at once, so that lack of room shows before any work is done
        return self

    def add(self, digests: Numbers, users: Numbers) -> None:
        """Add images, each with the number of its user; a user's images must come in one call."""
        pairs = np.stack([digests, users], axis=1)[np.lexsort((digests, users))]
        kept = np.ones(len(pairs), bool)
        kept[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
        self._repeats += len(pairs) - int(kept.sum())
        self._pairs.append(pairs[kept])
        self._buffered += len(self._pairs[-1])
        if self._buffered >= _BUFFERED_PAIRS:
            self._write()

    def count(self) -> Sharing:
        """Return the counts over all images added."""
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
        """Append the buffered pairs to the files; a digest always goes to the same file."""
        if not self._buffered:
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
        self._pairs, self._buffered = [], 0

    def _files(self) -> list[Path]:
        return [self.scratch / f"{number:02}" for number in range(_FILES)]

    def _count_file(self, path: Path) -> tuple[int, int, int]:
        """Count distinct images, shared images, and the users of the most widely shared image."""
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
    """Yield the pairs of a file, a bounded number at a time."""
    if not path.exists():
        return
    with path.open("rb") as file:
        while data := file.read(16 * _BUFFERED_PAIRS):
            yield np.frombuffer(data, np.uint64).reshape(-1, 2)


def _merge(
    digests: Numbers, users: NDArray[np.int64], more: Numbers
) -> tuple[Numbers, NDArray[np.int64]]:
    """Add the occurrences of digests to the number of users who have each."""
    found, counts = np.unique(more, return_counts=True)
    merged, positions = np.unique(np.concatenate([digests, found]), return_inverse=True)
    totals = np.zeros(len(merged), np.int64)
    np.add.at(totals, positions, np.concatenate([users, counts]))
    return merged, totals
