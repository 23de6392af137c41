"""The n-grams of every user of a manifest, counted once, in files that a resumed run uses again.

A cache is a folder with `buckets.uint32` and `counts.uint16` (mapped into memory) and `users.npz`
(the first entry of each user, and how many texts the user has). Its name is a hash of the manifest
and of what is counted. Buckets do not tell which n-grams they stand for.

Shapes: N users, J entries of all users.
"""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.data.manifests.users import MAX_IMAGES
from tweetprofile.engines.jobs import CountJob
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.engines.shards import ShardSource
from tweetprofile.errors import OutputError, WriteError
from tweetprofile.job import PredictorOptions
from tweetprofile.texts.ngrams import NgramCounts
from tweetprofile.texts.spec import TextSpec
from tweetprofile.training.cache_building import CacheOptions
from tweetprofile.training.cache_folders import (
    BUCKETS,
    COUNTS,
    FACTS,
    USERS,
    make_room,
    remove_abandoned,
    unfinished,
)
from tweetprofile.workers.feature_rows import NGRAM_BUCKETS, NGRAM_COUNTS
from tweetprofile.workers.profiles import PROFILE_FIELD

_FORMAT = 1
"""The version of the files; caches of other versions are not used."""

USERS_PER_SHARD = 1 << 16
"""The size of a shard; it only matters because no task reaches beyond the end of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCounts:
    """A complete cache.

    Attributes:
        starts: The first entry of each user, and the number of entries (N + 1,).
        texts: The number of texts and fields of the profile per user that were counted (N,).
        buckets_J: The bucket of each entry, uint32, in rising order per user.
        counts_J: How often the bucket occurs, uint16.
    """

    starts: NDArray[np.int64]
    texts: NDArray[np.int64]
    buckets_J: NDArray[np.uint32]
    counts_J: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.texts)

    def of_user(self, user: int) -> NgramCounts:
        """Return the counts of a user."""
        own = slice(self.starts[user], self.starts[user + 1])
        return NgramCounts(self.buckets_J[own], self.counts_J[own])

    @classmethod
    def open(cls, path: Path) -> "TextCounts":
        """Open a complete cache.

        Raises:
            OutputError: The cache is damaged.
        """
        try:
            with np.load(path / USERS, allow_pickle=False) as arrays:
                starts, texts = arrays["starts"], arrays["texts"]
            size = int(starts[-1])
            buckets = mapped(path / BUCKETS, np.uint32, size)
            counts = mapped(path / COUNTS, np.uint16, size)
        except (OSError, ValueError, KeyError, IndexError, EOFError, BadZipFile) as error:
            raise OutputError(
                f"the counted texts in {path} are damaged ({error}); remove that folder."
            ) from None
        with suppress(OSError):
            os.utime(path / FACTS)  # marks it as recently used
        return cls(starts=starts, texts=texts, buckets_J=buckets, counts_J=counts)


def open_counts(
    manifest: Manifest,
    spec: TextSpec,
    limits: TextLimits,
    options: CacheOptions,
    on_progress: Callable[[int, int], None] = lambda users, total: None,
) -> TextCounts:
    """Open the counts of a manifest's texts, and count them first if there are none.

    Args:
        manifest: The manifest.
        spec: What is counted.
        limits: How many texts per user, and how much of each, are read.
        options: Where caches are kept.
        on_progress: A function that receives the number of counted users, and of all users.

    Raises:
        WriteError: There is not enough space.
    """
    facts = [_FORMAT, manifest.fingerprint(), spec.to_dict(), limits.max_texts]
    facts.append(limits.max_text_bytes)
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
    path = options.root / key
    if not (path / FACTS).exists():
        try:
            options.root.mkdir(parents=True, exist_ok=True)
            remove_abandoned(options.root)
            with unfinished(path) as folder:
                size = _count(folder, manifest, spec, limits, on_progress)
                make_room(options.root, options.gigabytes, size, keep=folder)
        except OSError as error:
            raise WriteError(
                f"cannot write the counted texts to {options.root} ({error.strerror}); make room "
                "there, or give another `cache` folder."
            ) from error
    return TextCounts.open(path)


def _count(
    folder: Path,
    manifest: Manifest,
    spec: TextSpec,
    limits: TextLimits,
    on_progress: Callable[[int, int], None],
) -> int:
    """Count the texts of every user in supervised workers; return the bytes that were written."""
    total = manifest.count_users()
    shards = source_of(manifest, total, spec, limits)
    job = CountJob(spec, options=PredictorOptions(), rows=shards.content_rows)
    lengths, texts = np.zeros(total, np.int64), np.zeros(total, np.int64)
    done = 0
    with (folder / BUCKETS).open("wb") as buckets, (folder / COUNTS).open("wb") as counts:
        # Tasks end in any order, and their place in the files is not known before.
        waiting: dict[int, Any] = {}
        following = 0
        with LocalEngine(job, EngineOptions("cpu", users=total)) as engine:
            every = range(-(-total // USERS_PER_SHARD))
            for batch, rows in engine.run_shards(shards, every):
                waiting[batch.first] = rows
                while (rows := waiting.pop(following, None)) is not None:
                    for row in range(len(rows)):
                        own = rows[NGRAM_BUCKETS][row].as_buffer()
                        lengths[following + row] = len(own) // 4
                        buckets.write(own)
                        counts.write(rows[NGRAM_COUNTS][row].as_buffer())
                    used = pc.add(rows["texts_used"], rows[PROFILE_FIELD.name])
                    # Null for users who crashed a worker.
                    texts[following : following + len(rows)] = used.fill_null(0).to_numpy()
                    following += len(rows)
                done += len(batch)
                on_progress(done, total)
        size = buckets.tell() + counts.tell()
    starts = np.concatenate([[0], np.cumsum(lengths)])
    np.savez(folder / USERS, starts=starts, texts=texts)
    (folder / FACTS).write_text(json.dumps({"manifest": manifest.source}), encoding="utf-8")
    return size


def source_of(manifest: Manifest, users: int, spec: TextSpec, limits: TextLimits) -> ShardSource:
    """Return the users of a manifest with everything that a spec counts of them."""
    profile = tuple(name for name in spec.profile_fields if name in manifest.profile_columns)
    return ShardSource(
        manifest, users, USERS_PER_SHARD, (), MAX_IMAGES, texts=limits, profile=profile
    )


def mapped(path: Path, dtype: type[np.generic], size: int) -> NDArray[Any]:
    """Return the numbers in a file, which are read from the disk when they are used."""
    if not size:
        return np.empty(0, dtype)  # an empty file cannot be mapped
    return np.memmap(path, dtype, "r", shape=(size,))
