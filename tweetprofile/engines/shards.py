"""The contract of an engine: of everything that predicts or embeds the users of a manifest."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

import pyarrow as pa

from tweetprofile.data.manifests.content_rows import ContentRows, batches_without_content
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.job import RunFactsT
from tweetprofile.stages import StageClock


@dataclass(frozen=True, slots=True)
class ShardSource:
    """The shards of a manifest, in a form that can be sent to another machine and read there.

    Attributes:
        manifest: The manifest. Every machine must see its files under the same names.
        users: The number of users to predict, from the first one.
        users_per_shard: The number of users per shard; the last shard may have fewer.
        keep: The columns to copy to the output.
        max_images: The largest number of images per user.
        texts: How much of the users' texts is read; None for nothing.
        profile: The columns of users' own profiles that are read, too, if texts are.
    """

    manifest: Manifest
    users: int
    users_per_shard: int
    keep: tuple[str, ...]
    max_images: int
    texts: TextLimits | None = None
    profile: tuple[str, ...] = ()

    @property
    def content_rows(self) -> ContentRows | None:
        """The manifest for workers to read, if it holds images or texts; otherwise None."""
        if not self.manifest.carries_bytes and self.texts is None:
            return None
        return ContentRows(self.manifest, self.max_images, self.texts, self.profile)

    def batches(
        self, shards: Sequence[int], users_per_batch: int, *, content: bool = True
    ) -> Iterator[UserBatch]:
        """Read these shards in manifest order.

        Args:
            shards: The numbers of the shards.
            users_per_batch: The largest number of users per batch.
            content: Whether to read images and texts, too. If not, the batches name their rows.
        """
        if not shards:
            return
        wanted, last = frozenset(shards), max(shards)
        size = min(users_per_batch, self.users_per_shard)
        read = self._with_content if content else self._without_content
        for batch in takewhile(lambda each: each.shard <= last, read(size, min(shards))):
            if batch.first >= self.users:
                return
            if batch.shard in wanted:
                yield batch.first_users(self.users - batch.first)

    def _with_content(self, users_per_batch: int, first_shard: int) -> Iterator[UserBatch]:
        return self.manifest.batches(
            self.users_per_shard,
            users_per_batch,
            self.keep,
            self.max_images,
            first_shard=first_shard,
            texts=self.texts,
        )

    def _without_content(self, users_per_batch: int, first_shard: int) -> Iterator[UserBatch]:
        return batches_without_content(
            self.manifest,
            self.users_per_shard,
            users_per_batch,
            self.keep,
            first_shard=first_shard,
        )


class ShardEngine(AbstractContextManager["ShardEngine[RunFactsT]"], Protocol[RunFactsT]):
    """Predicts shards of a manifest; what `run_plan` asks of an engine.

    An engine is made without doing any work. Entering its `with` block starts whatever predicts,
    and sets `facts`; leaving the block, for whatever reason, ends everything that it started.
    Within the block, `run_shards` may be called several times, one call after the other.

    What an engine promises:

    - It yields every user of the shards exactly once, in batches that each lie within one shard.
      Batches may come in any order; the caller sorts them.
    - The row of a user depends neither on the number of workers nor on the images of other users,
      even when one of them crashes a worker. For this, the users of a batch must stay together when
      it is tried again (`retries.py`).
    - An image that crashes or hangs a worker costs its user that image, or at most the user's
      profile; the run continues, and a sentence in `deaths` says what happened.
    - Everything that predicts loads the same checkpoint (`replacement.py`) and reads the same
      manifest; if either changes during a run, the engine raises `ChangedInputError`.

    Attributes:
        facts: The workers' model, device, decoder and precision. Set once the block is entered.
        deaths: Sentences on how workers crashed or hung, in the order in which it happened.
        clock: The seconds per stage that all worker threads together have spent in the last call of
            `run_shards`.
        supervisor_clock: The seconds per stage that the supervisor itself has spent.
    """

    facts: RunFactsT
    deaths: list[str]
    clock: StageClock
    supervisor_clock: StageClock

    @property
    def compute_slots(self) -> int:
        """The number of worker threads that may compute at the same time, over all workers."""

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of each worker."""

    def run_shards(
        self, source: ShardSource, shards: Sequence[int]
    ) -> Iterator[tuple[UserBatch, pa.Table]]:
        """Do the job for the users of some shards.

        Args:
            source: Where to read the shards.
            shards: The numbers of the shards, in ascending order.

        Yields:
            Each batch as soon as it is finished, with one row per user, in the order of the batch:
            the columns that the job's actor returns, without `user_id`.

        Raises:
            WorkerError: Workers keep crashing, and no user is the cause.
            ChangedInputError: The checkpoint or the manifest was changed during the run.
            ManifestError: The manifest is damaged.
        """
