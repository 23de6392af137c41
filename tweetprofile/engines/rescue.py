"""Who is to blame when a worker dies: users are tried again one by one, and the culprit is named.

The batches that a worker was at when it died are tried again a user at a time, with the same
decoder and nothing beside; who kills a worker alone is tried with Pillow and nothing else. Who
kills a worker then, too, gets the status `crashed`. Everyone else's row is what it would have been:
the users of a batch are never split up, those who are not tried stand in it without images.

Of an image over its deadline it is known which it is. The worker is replaced, and its batches are
tried again as they were, but for that image, which is not read any more. Where only the clock says
so, another lane may have held Python's lock: such a batch is first tried again with nothing beside.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from tweetprofile.data.manifests.manifest import UserBatch
from tweetprofile.engines.messages import Facts
from tweetprofile.engines.watchdog import SlowImage
from tweetprofile.job import DecoderName, ExaminerFacts, PredictorFacts
from tweetprofile.workers.findings import crashed_findings
from tweetprofile.workers.profiles import crashed_frames, crashed_profile


@dataclass(frozen=True, slots=True)
class Attempt:
    """A batch to be predicted, or one user of it.

    Attributes:
        batch: the batch.
        decoder: what to decode with.
        alone: position of the only user to be tried; None for all.
        too_slow: images that have been over their deadline and are not to be tried again: user's
            position in the batch, and image's position in the user's list.
        exclusive: whether its worker is to have nothing else to do meanwhile.
    """

    batch: UserBatch
    decoder: DecoderName
    alone: int | None = None
    too_slow: frozenset[tuple[int, int]] = frozenset()
    exclusive: bool = False

    def after(self, slow: Sequence[SlowImage]) -> "Attempt":
        """What is to be tried after some of the attempt's images were over their deadline."""
        guilty = [each for each in slow if each.is_certain or self.exclusive]
        images = self.too_slow.union((each.user, each.index) for each in guilty)
        return replace(self, too_slow=images, exclusive=self.exclusive or len(guilty) < len(slow))

    @property
    def users(self) -> pa.Table:
        """What a worker needs of the batch, without the images of who is not tried.

        A user's id is their place in the batch: what ids are like is no business of a worker.
        """
        table = self.batch.table.select(["images", "images_given"])
        table = table.append_column("user_id", pa.array(range(len(table)), pa.int64()))
        return table if self.alone is None else _only(table, self.alone)


class Workload:
    """Batches to be predicted, and those to be tried again.

    Args:
        batches: in manifest order; read no further ahead than asked.
        facts: what the workers are: what they decode with, and what the row of who crashes has.
    """

    def __init__(self, batches: Iterator[UserBatch], facts: Facts) -> None:
        self._batches = batches
        self._facts = facts
        self._waiting: deque[Attempt] = deque()
        self._exclusive: deque[Attempt] = deque()
        self._rescued: dict[int, list[pa.Table | None]] = {}

    def read_ahead(self, batches: int) -> None:
        """Have so many attempts at hand, as long as the manifest lasts."""
        while len(self._waiting) < batches:
            if (batch := next(self._batches, None)) is None:
                return
            self._waiting.append(Attempt(batch, self._facts.decoder))

    def take(self, *, idle: bool) -> Attempt | None:
        """The next attempt for a worker, or None where there is none for it.

        An exclusive attempt is for an idle worker, or it would not be known who did it; as long as
        one waits, workers get nothing else.
        """
        if self._exclusive:
            return self._exclusive.popleft() if idle else None
        self.read_ahead(1)
        return self._waiting.popleft() if self._waiting else None

    @property
    def waiting(self) -> bool:
        """Whether there is something at hand to be taken."""
        return bool(self._waiting or self._exclusive)

    def put_back(self, attempt: Attempt) -> None:
        """Have an attempt tried again that nobody is to blame for."""
        (self._exclusive if attempt.exclusive else self._waiting).appendleft(attempt)

    def settle(self, attempt: Attempt, rows: pa.Table | None) -> pa.Table | None:
        """Note how an attempt ended.

        Args:
            attempt: that was taken.
            rows: what it gave, one for every user of the batch; None where a worker died.

        Returns:
            The rows of the whole batch, if they are complete now, without `user_id`.
        """
        if rows is None:
            return self._killed(attempt)
        rows = rows.drop_columns("user_id")
        if attempt.alone is None:
            return rows
        return self._keep(attempt.batch, attempt.alone, rows.slice(attempt.alone, 1))

    def _killed(self, attempt: Attempt) -> pa.Table | None:
        batch = attempt.batch
        if (position := attempt.alone) is None:
            # Even where it is one user: another batch may have been to blame.
            self._exclusive += [
                replace(attempt, alone=each, exclusive=True) for each in range(len(batch))
            ]
            return None
        if attempt.decoder != "pillow-alone":
            self._exclusive.appendleft(replace(attempt, decoder="pillow-alone"))
            return None
        given = batch.table["images_given"][position].as_py()
        row = _crashed_row(self._facts, given).drop_columns("user_id")
        return self._keep(batch, position, row)

    def _keep(self, batch: UserBatch, position: int, row: pa.Table) -> pa.Table | None:
        rows = self._rescued.setdefault(batch.first, [None] * len(batch))
        rows[position] = row
        if any(each is None for each in rows):
            return None
        return pa.concat_tables(self._rescued.pop(batch.first)).unify_dictionaries()


def _crashed_row(facts: Facts, images_given: int) -> pa.Table:
    if isinstance(facts, PredictorFacts):
        return crashed_profile(facts.schema, "", images_given)
    if isinstance(facts, ExaminerFacts):
        return crashed_findings(images_given)
    return crashed_frames(images_given)


def _only(table: pa.Table, position: int) -> pa.Table:
    """The table with the images of one user alone."""
    images = table["images"].combine_chunks()
    own = images[position].values
    offsets = [0] * (position + 1) + [len(own)] * (len(table) - position)
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), own)
    return table.set_column(table.schema.get_field_index("images"), "images", lists)
