"""The frames of a manifest's users, decoded or embedded once, in files that outlive the run.

A cache is a folder with `frames.uint8` or `embeddings.float16` (mapped into memory), `users.npz`
(the position of each user's frames) and `cache.json`; `cache_building.py` makes it.

Shapes: M frames of all users, S x S side of a cached frame, V views, C features of an embedding, N
users of the manifest.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.data.images.digests import Digests
from tweetprofile.errors import OutputError
from tweetprofile.training.cache_folders import (
    EMBEDDING_SHAPE,
    EMBEDDINGS,
    FACTS,
    FRAMES,
    USERS,
)
from tweetprofile.workers.profiles import Counts

_ARRAYS = ("starts", "counts", "hashes", "digests")
"""The arrays in `users.npz`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCache:
    """A complete cache.

    Attributes:
        path: The folder of the cache.
        items_M: What is kept of each frame, on the disk: its pixels (M, S, S, 3) uint8, or its
            embeddings (M, V, C) float16.
        starts: The number of each user's first frame (N,).
        counts: The number of frames per user (N,).
        hashes: The hash of each item (M,), which is equal for equal images.
        digests: The `image_digest` of the image of each frame (M,).
        outcome: The counts of users and images by status and reason.
    """

    path: Path
    items_M: NDArray[Any]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    digests: Digests
    outcome: Counts

    @classmethod
    def open(cls, path: Path) -> "FrameCache":
        """Open a complete cache.

        Args:
            path: The folder of the cache.

        Raises:
            OutputError: The cache is damaged.
        """
        try:
            facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
            with np.load(path / USERS, allow_pickle=False) as arrays:
                starts, counts, hashes, digests = (arrays[name] for name in _ARRAYS)
            shape: tuple[int, ...] = facts["height"], facts["width"], 3
            embedded = EMBEDDING_SHAPE in facts
            if embedded:
                shape = tuple(facts[EMBEDDING_SHAPE])
            items = _map(
                path / (EMBEDDINGS if embedded else FRAMES),
                (len(hashes), *shape),
                np.float16 if embedded else np.uint8,
            )
            outcome = Counts(**facts["outcome"])
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise OutputError(
                f"the decoded frames in {path} are damaged ({error}); remove that folder."
            ) from None
        with suppress(OSError):
            os.utime(path / FACTS)  # marks it as recently used
        return cls(
            path=path,
            items_M=items,
            starts=starts,
            counts=counts,
            hashes=hashes,
            digests=digests,
            outcome=outcome,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process open the same files instead of copying the frames."""
        return FrameCache.open, (self.path,)


@dataclass(frozen=True, slots=True)
class Subset:
    """Some of the users of a cache, with their labels.

    Attributes:
        cache: The cache with their frames.
        users: The numbers of the users in the manifest (n,).
        labels: The class numbers of their labels (n, traits); `UNKNOWN` where there is no label.
        excluded: Which frames of the cache are not used (M,); None if all are used.
    """

    cache: FrameCache
    users: NDArray[np.int64]
    labels: NDArray[np.int64]
    excluded: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.users)

    def take(self, positions: NDArray[np.int64]) -> "Subset":
        """Return the users at these positions."""
        return replace(self, users=self.users[positions], labels=self.labels[positions])

    def without_images(self, hashes: NDArray[np.uint64]) -> "Subset":
        """Return the users without frames of these hashes, and without users who have no others."""
        excluded = np.isin(self.cache.hashes, hashes)
        if self.excluded is not None:  # what was left out before stays out
            excluded |= self.excluded
        kept = replace(self, excluded=excluded)
        left = [position for position in range(len(kept)) if len(kept.frames_of(position))]
        return kept.take(np.array(left, np.int64))

    def frames_of(self, position: int) -> NDArray[np.int64]:
        """Return the numbers of a user's frames in the cache, in manifest order."""
        user = self.users[position]
        start = self.cache.starts[user]
        frames = np.arange(start, start + self.cache.counts[user])
        return frames if self.excluded is None else frames[~self.excluded[frames]]

    @property
    def frames(self) -> NDArray[np.int64]:
        """The numbers of all frames of these users in the cache."""
        frames = [self.frames_of(position) for position in range(len(self))]
        return np.concatenate(frames) if frames else np.empty(0, np.int64)

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """The hashes of all frames of these users."""
        return self.cache.hashes[self.frames]


def feature_statistics(users: Subset) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean and the deviation of each feature of the embeddings of users: (C,) each.

    Each image counts once per user who has it.
    """
    frames = users.frames
    total = np.zeros(users.cache.items_M.shape[2])
    squares = np.zeros_like(total)
    for part in embeddings_of(users.cache, frames):
        exact = part.astype(np.float64)
        total += exact.sum(axis=0)
        squares += np.square(exact).sum(axis=0)
    mean = total / len(frames)
    std = np.sqrt(np.maximum(0, squares / len(frames) - np.square(mean)))
    return torch.from_numpy(mean).float(), torch.from_numpy(std).float()


def embeddings_of(cache: FrameCache, frames: NDArray[np.int64]) -> Iterator[NDArray[np.float16]]:
    """Yield the embeddings of frames in their first view, a few thousand (m, C) at a time.

    Args:
        cache: A cache of embeddings.
        frames: The numbers of the frames.
    """
    for start in range(0, len(frames), _FRAMES_AT_A_TIME):
        yield cache.items_M[frames[start : start + _FRAMES_AT_A_TIME], 0]


_FRAMES_AT_A_TIME = 4096


def _map(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    if not shape[0]:
        return np.empty(shape, dtype)  # an empty file cannot be mapped
    return np.memmap(path, dtype, "r", shape=shape)
