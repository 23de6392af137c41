"""What every engine does: predict some shards of a manifest."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Protocol

import pyarrow as pa

from tweetprofile.data.manifests.manifest import Manifest, UserBatch
from tweetprofile.job import PredictorFacts
from tweetprofile.stages import StageClock


@dataclass(frozen=True, slots=True)
class ShardSource:
    """The shards of a manifest, as every actor can read them by itself.

    Attributes:
        manifest: whose files every machine sees under the same names.
        users: how many of them count.
        users_per_shard: users a shard, the last one shorter.
        keep: columns to carry along.
        max_images: images a user.
    """

    manifest: Manifest
    users: int
    users_per_shard: int
    keep: tuple[str, ...]
    max_images: int

    def batches(self, shards: Sequence[int], users_per_batch: int) -> Iterator[UserBatch]:
        """The batches of those shards, in the manifest's order."""
        if not shards:
            return
        wanted, last = frozenset(shards), max(shards)
        batches = self.manifest.batches(
            self.users_per_shard,
            min(users_per_batch, self.users_per_shard),
            self.keep,
            self.max_images,
            first_shard=min(shards),
        )
        for batch in takewhile(lambda each: each.shard <= last, batches):
            if batch.first >= self.users:
                return
            if batch.shard in wanted:
                yield replace(batch, table=batch.table.slice(0, self.users - batch.first))


class ShardEngine(AbstractContextManager["ShardEngine"], Protocol):
    """Predicts shards of a manifest, for the time of a `with` block."""

    facts: PredictorFacts
    """What predicts, once the block is entered."""
    deaths: list[str]
    """How workers died, in words, in order."""
    clock: StageClock
    """Has counted what all lanes did for the last call of `run_shards`."""
    beside: StageClock
    """Has counted what was done beside them, in this process."""

    @property
    def turns(self) -> int:
        """Lanes that compute at a time."""

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of each worker."""

    def run_shards(
        self, source: ShardSource, shards: Sequence[int]
    ) -> Iterator[tuple[UserBatch, pa.Table]]:
        """The batches of those shards and the rows of each, as they are finished."""
