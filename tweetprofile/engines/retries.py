"""What is tried again after a worker ended, until it is known which user caused it.

When a worker crashes or hangs, the batches that it had begun are tried again, one user at a time,
with the same decoder and while the worker has nothing else to do. A user who crashes a worker again
is tried with Pillow alone. A user who crashes that, too, gets the status `crashed`. The rows of all
other users are what they would have been without the crash: the users of a batch are never
separated, but those who are not being tried are in it without their images.

For an image over its deadline it is known which image it is. The worker is replaced, and its
batches are tried again as they were, except that this image is not decoded any more. If only the
wall clock shows that the deadline has passed, another worker thread may have held Python's lock; in
that case the batch is first tried again while the worker has nothing else to do.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Generic

import pyarrow as pa

from tweetprofile.data.manifests.content_rows import ContentRowReader, only_content_of
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.engines.jobs import FactsT, Job
from tweetprofile.engines.messages import Task
from tweetprofile.engines.watchdog import SlowImage
from tweetprofile.job import DecoderName


@dataclass(frozen=True, slots=True)
class Attempt:
    """A batch to process, or one user of it.

    Attributes:
        batch: The batch.
        decoder: The decoder to use.
        only_user: The position of the only user to try; None for all users of the batch.
        too_slow: The images that were over their deadline and must not be decoded again, each as
            the position of the user in the batch and of the image in the user's list.
        exclusive: Whether the worker may have no other task in flight at the same time.
    """

    batch: UserBatch
    decoder: DecoderName
    only_user: int | None = None
    too_slow: frozenset[tuple[int, int]] = frozenset()
    exclusive: bool = False

    def after(self, slow: Sequence[SlowImage]) -> "Attempt":
        """Return the attempt to make after some images of this one were over their deadline."""
        known = [each for each in slow if each.is_certain or self.exclusive]
        images = self.too_slow.union((each.user, each.index) for each in known)
        return replace(self, too_slow=images, exclusive=self.exclusive or len(known) < len(slow))

    def task(self, number: int) -> Task:
        """Return the task with this number that makes the attempt."""
        rows = self.batch.rows
        return Task(
            number,
            self.decoder,
            rows=rows,
            only_user=None if rows is None else self.only_user,
            too_slow=self.too_slow,
        )

    @property
    def users(self) -> pa.Table:
        """The columns of the batch that a worker needs, without images of users not to be tried.

        The worker gets them unless it reads the rows of the batch itself.

        The position of a user in the batch serves as the user's id; the worker does not need the
        real one.
        """
        table = self.batch.table.select(["images", "images_given"])
        table = table.append_column("user_id", pa.array(range(len(table)), pa.int64()))
        return table if self.only_user is None else only_content_of(table, self.only_user)


class Workload(Generic[FactsT]):
    """The batches to process, and the attempts to repeat.

    Args:
        batches: The batches, in manifest order. They are read no further ahead than necessary.
        job: The job of the workers.
        facts: What the workers reported about themselves.
        stretch: The number of successive batches that are kept for one worker. More than one is for
            batches whose images the workers read: reading one range of rows after another, each
            worker decodes little that is not its own.
    """

    def __init__(
        self, batches: Iterator[UserBatch], job: Job[FactsT], facts: FactsT, stretch: int = 1
    ) -> None:
        self._batches = batches
        self._job = job
        self._facts = facts
        self._stretch = stretch
        self._ended = False
        self._waiting: deque[Attempt] = deque()
        self._stretches: dict[int, deque[Attempt]] = {}
        self._exclusive: deque[Attempt] = deque()
        self._single_rows: dict[int, list[pa.Table | None]] = {}

    def read_ahead(self, batches: int) -> None:
        """Read until this number of attempts is waiting, or the manifest ends."""
        if self._stretch > 1:
            return  # without their images, batches are read in no time
        missing = batches - len(self._waiting)
        if missing > 0 and not self._ended:
            self._waiting.extend(self._read(missing))

    def take(self, worker: int, *, idle: bool) -> Attempt | None:
        """Return the next attempt for a worker, or None if there is none for it now.

        An exclusive attempt goes to an idle worker, because otherwise it would not be known which
        task caused a crash. While one is waiting, no worker gets any other attempt.

        Args:
            worker: The number of the worker.
            idle: Whether the worker has no task in flight.
        """
        if self._exclusive:
            return self._exclusive.popleft() if idle else None
        if self._waiting:
            return self._waiting.popleft()
        own = self._stretches.setdefault(worker, deque())
        if not own:
            own.extend(self._next_stretch())
        return own.popleft() if own else None

    @property
    def waiting(self) -> bool:
        """Whether any attempt is left to be taken."""
        left = self._waiting or self._exclusive or any(self._stretches.values())
        return bool(left) or not self._ended

    def _read(self, batches: int) -> list[Attempt]:
        """Read more batches; fewer are left at the end of the manifest."""
        read = list(islice(self._batches, batches))
        self._ended = len(read) < batches
        return [Attempt(batch, self._facts.decoder) for batch in read]

    def _next_stretch(self) -> list[Attempt]:
        """Return the next batches for a worker; at the end, half of those of another worker."""
        if not self._ended and (stretch := self._read(self._stretch)):
            return stretch
        longest = max(self._stretches.values(), key=len)
        return [longest.pop() for _ in range((len(longest) + 1) // 2)][::-1]

    def put_back(self, attempt: Attempt) -> None:
        """Repeat an attempt that did not cause the end of its worker."""
        (self._exclusive if attempt.exclusive else self._waiting).appendleft(attempt)

    def settle(self, attempt: Attempt, rows: pa.Table | None) -> pa.Table | None:
        """Note how an attempt ended.

        Args:
            attempt: The attempt.
            rows: The result, with one row per user of the batch; None if the worker crashed.

        Returns:
            The rows of the whole batch without `user_id`, or None while some are missing.
        """
        if rows is None:
            return self._repeat_or_give_up(attempt)
        rows = rows.drop_columns("user_id")
        if attempt.only_user is None:
            return rows
        return self._add_single_row(
            attempt.batch, attempt.only_user, rows.slice(attempt.only_user, 1)
        )

    def _repeat_or_give_up(self, attempt: Attempt) -> pa.Table | None:
        batch = attempt.batch
        if (position := attempt.only_user) is None:
            # This holds for a batch of one user, too: another batch may have caused the crash.
            self._exclusive += [
                replace(attempt, only_user=each, exclusive=True) for each in range(len(batch))
            ]
            return None
        if attempt.decoder != "pillow-alone":
            self._exclusive.appendleft(replace(attempt, decoder="pillow-alone"))
            return None
        row = self._job.crashed_row(self._facts, self._images_given(batch, position))
        row = row.drop_columns("user_id")
        return self._add_single_row(batch, position, row)

    def _images_given(self, batch: UserBatch, position: int) -> int:
        table = batch.table
        if batch.rows is not None:  # only workers have read the images, and they crashed
            assert self._job.rows is not None
            table = ContentRowReader(self._job.rows).read(batch.rows)
        return int(table["images_given"][position].as_py())

    def _add_single_row(self, batch: UserBatch, position: int, row: pa.Table) -> pa.Table | None:
        rows = self._single_rows.setdefault(batch.first, [None] * len(batch))
        rows[position] = row
        if any(each is None for each in rows):
            return None
        return pa.concat_tables(self._single_rows.pop(batch.first)).unify_dictionaries()


def users_of_attempts(attempts: Sequence[Attempt]) -> str:
    """Describe the users of several attempts, by id or by their positions in the manifest."""
    return " or ".join(map(_users_of, attempts)) if attempts else "no user"


def _users_of(attempt: Attempt) -> str:
    if attempt.only_user is not None:
        return f"user {attempt.batch.table['user_id'][attempt.only_user]}"
    first = attempt.batch.first
    return f"users {first} to {first + len(attempt.batch) - 1}"
