"""Findings in, a report out: counted batch by batch, in memory that users do not add to."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.labels.values import MOST_VALUES, LabelColumn, ValueKind
from tweetprofile.data.manifests.manifest import UserBatch
from tweetprofile.inspection.report import (
    FailedExample,
    ImageTotals,
    LabelCounts,
    Outlook,
    Range,
)
from tweetprofile.inspection.sharing import ImageLedger
from tweetprofile.workers.profiles import Status

_EXACT_BITS = 12
"""Binary digits of a number that are kept to find a median, so that there are few to count."""

_EXAMPLES = 3


def ranked(counts: Counter[str]) -> dict[str, int]:
    """Counts, the highest first, and equal ones by name: whatever order they came in."""
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


class Spread:
    """Finds `Range` of a stream of numbers of 0 and more."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._ends: list[int] = []

    def add(self, values: NDArray[np.int64]) -> None:
        """Take more numbers."""
        if not len(values):
            return
        self._ends = [min([*self._ends, int(values.min())]), max([*self._ends, int(values.max())])]
        _, digits = np.frexp(values.astype(np.float64))
        dropped = np.maximum(digits - _EXACT_BITS, 0)
        for value, count in zip(
            *map(np.ndarray.tolist, np.unique(values >> dropped << dropped, return_counts=True)),
            strict=True,
        ):
            self._counts[value] += count

    def range(self) -> Range | None:
        """What was found; None of nothing."""
        if not self._ends:
            return None
        values = sorted(self._counts)
        middle = (self._counts.total() + 1) // 2
        reached = accumulate(self._counts[value] for value in values)
        median = next(v for v, total in zip(values, reached, strict=True) if total >= middle)
        return Range(self._ends[0], max(median, self._ends[0]), self._ends[1])


@dataclass(slots=True)
class FailureTally:
    """Unusable images by reason, and the first of each."""

    counts: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, list[tuple[int, FailedExample]]] = field(default_factory=dict)

    def add(self, batch: UserBatch, failures: pa.ChunkedArray) -> None:
        """Take the failures of a batch, a list a user."""
        for user, failed in enumerate(failures.to_pylist()):
            for failure in failed:
                self._note(batch, user, failure)

    def examples(self) -> dict[str, tuple[FailedExample, ...]]:
        """The first of each reason, in manifest order."""
        return {
            reason: tuple(example for _, example in self._examples[reason])
            for reason in ranked(self.counts)
        }

    def _note(self, batch: UserBatch, user: int, failure: Mapping[str, object]) -> None:
        reason, number = str(failure["reason"]), batch.first + user
        self.counts[reason] += 1
        kept = self._examples.setdefault(reason, [])
        # Batches come in any order: a later one may hold an earlier user.
        if len(kept) == _EXAMPLES and kept[-1][0] <= number:
            return
        user_id = batch.table["user_id"][user].as_py()
        index, image = failure["index"], failure["image"]
        assert isinstance(index, int)
        kept.append((number, FailedExample(user_id, index, str(image))))
        kept.sort(key=lambda each: (each[0], each[1].index))
        del kept[_EXAMPLES:]


class LabelTally:
    """Classes of the columns that may be traits, and how many users have each.

    Args:
        columns: what each holds, by name.
    """

    def __init__(self, columns: Mapping[str, ValueKind]) -> None:
        self._users = 0
        self._kinds = columns
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in columns}

    def add(self, users: pa.Table) -> None:
        """Take a batch of the manifest's users."""
        self._users += len(users)
        for name, counts in self._counts.items():
            if len(counts) > MOST_VALUES:
                continue  # prose, or names: there is no end of them
            for each in pc.value_counts(users[name].cast(pa.large_string())).to_pylist():
                if each["values"] is not None:
                    counts[each["values"]] += each["counts"]

    def labels(self) -> dict[str, LabelCounts]:
        """The traits."""
        return {
            each.name: LabelCounts(
                ranked(Counter(each.classes)), self._users - sum(each.classes.values())
            )
            for each in self._judged()
            if each.why_not_a_trait is None
        }

    def no_traits(self) -> dict[str, str]:
        """The other columns, and why they are none."""
        return {
            each.name: each.why_not_a_trait
            for each in self._judged()
            if each.why_not_a_trait is not None
        }

    def notes(self) -> tuple[str, ...]:
        """Sentences on how the values of traits are read, and on classes that look alike."""
        return tuple(note for each in self._judged() for note in (*each.notes, *each.warnings))

    def _judged(self) -> list[LabelColumn]:
        return [
            LabelColumn.of(
                name, counts, self._kinds[name], too_many_values=len(counts) > MOST_VALUES
            )
            for name, counts in self._counts.items()
        ]


class Tally:
    """Everything that is counted of users and their images.

    Args:
        frames: of a volume.
        columns: that may be labels, and what they hold.
        ledger: which user has which image.
    """

    def __init__(self, frames: int, columns: Mapping[str, ValueKind], ledger: ImageLedger) -> None:
        self._frames = frames
        self._ledger = ledger
        self._totals: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._bounds = sorted({0, min(2, frames), frames - 1, frames})
        self._per_user = np.zeros(len(self._bounds) + 1, np.int64)
        self.formats: Counter[str] = Counter()
        self.failures = FailureTally()
        self.labels = LabelTally(columns)
        self.images_per_user, self.widths, self.heights, self.sizes = (Spread() for _ in range(4))

    def add(self, batch: UserBatch, findings: pa.Table) -> None:
        """Take a batch, and what was found of it (`findings.py`)."""
        self._add_users(batch, findings)
        self._add_images(findings)
        self.failures.add(batch, findings["failures"])
        self.labels.add(batch.table)
        digests = findings["digests"].combine_chunks()
        users = _numbers(pc.list_parent_indices(digests)) + batch.first
        self._ledger.add(pc.list_flatten(digests).to_numpy(), users.astype(np.uint64))

    @property
    def users(self) -> int:
        """How many there were."""
        return self._totals["users"]

    @property
    def histogram(self) -> dict[str, int]:
        """Users by number of images: none, few, some, exactly a volume's, more."""
        lowest = [0, *(bound + 1 for bound in self._bounds)]
        words = [
            f"{low}-{high}" if low < high else f"{high}"
            for low, high in zip(lowest, self._bounds, strict=False)
        ]
        words.append(f"more than {self._bounds[-1]}")
        return dict(zip(words, self._per_user.tolist(), strict=True))

    def images(self) -> ImageTotals:
        """How many images, and of what use."""
        totals = self._totals
        return ImageTotals(
            totals["given"],
            totals["left_out"],
            totals["usable"],
            self.failures.counts.total(),
            totals["decoded"],
            totals["bytes"],
        )

    def outlook(self) -> Outlook:
        """What predicting would make of the users."""
        statuses = {s.value: self._statuses[s] for s in Status if self._statuses[s]}
        totals = self._totals
        return Outlook(
            self._frames, statuses, totals["full"], totals["short"], totals["tried_in_vain"]
        )

    def _add_users(self, batch: UserBatch, findings: pa.Table) -> None:
        given = _numbers(findings["images_given"])
        used = _numbers(findings["frames_used"])
        listed = _numbers(pc.list_value_length(batch.table["images"]))
        self._totals.update(
            users=len(given),
            given=int(given.sum()),
            left_out=int((given - listed).sum()),
            full=int((used == self._frames).sum()),
            short=int(((used > 0) & (used < self._frames)).sum()),
            tried_in_vain=int(_numbers(findings["images_failed"]).sum()),
        )
        self._statuses.update(findings["status"].to_pylist())
        self.images_per_user.add(given)
        places = np.searchsorted(self._bounds, given)
        self._per_user += np.bincount(places, minlength=len(self._per_user))

    def _add_images(self, findings: pa.Table) -> None:
        sizes = _numbers(pc.list_flatten(findings["sizes"]))
        self._totals.update(
            usable=len(sizes),
            bytes=int(sizes.sum()),
            decoded=int(_numbers(findings["decoded"]).sum()),
        )
        self.sizes.add(sizes)
        for spread, name in ((self.widths, "widths"), (self.heights, "heights")):
            spread.add(_numbers(pc.list_flatten(findings[name]).drop_null()))
        self.formats.update(pc.list_flatten(findings["formats"]).to_pylist())


def _numbers(column: pa.ChunkedArray | pa.Array) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = column.to_numpy().astype(np.int64)
    return numbers
