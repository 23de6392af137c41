"""Count what an inspection finds, batch by batch, in memory that does not grow with the users."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.labels.values import MOST_VALUES, LabelColumn, ValueKind
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.inspection.report import (
    FailedExample,
    Forecast,
    ImageTotals,
    LabelCounts,
    Range,
)
from tweetprofile.inspection.sharing import SharedImageCounter
from tweetprofile.workers.profiles import Status

_EXACT_BITS = 12
"""Leading bits of a number that are kept to find a median, so that there are few to count."""

_EXAMPLES = 3
"""Examples per reason."""


def ranked(counts: Counter[str]) -> dict[str, int]:
    """Sort counts in descending order, and equal counts by name."""
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


class RangeFinder:
    """Finds the `Range` of a stream of non-negative numbers."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._ends: list[int] = []

    def add(self, values: NDArray[np.int64]) -> None:
        """Add numbers."""
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
        """Return the range of all numbers added; None if there are none."""
        if not self._ends:
            return None
        values = sorted(self._counts)
        middle = (self._counts.total() + 1) // 2
        reached = accumulate(self._counts[value] for value in values)
        median = next(v for v, total in zip(values, reached, strict=True) if total >= middle)
        return Range(self._ends[0], max(median, self._ends[0]), self._ends[1])


@dataclass(slots=True)
class FailureCounter:
    """Counts unusable images by reason, and keeps the first examples of each."""

    counts: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, list[tuple[int, FailedExample]]] = field(default_factory=dict)

    def add(self, batch: UserBatch, failures: pa.ChunkedArray) -> None:
        """Add the failures of a batch, one list per user."""
        for user, failed in enumerate(failures.to_pylist()):
            for failure in failed:
                self._note(batch, user, failure)

    def examples(self) -> dict[str, tuple[FailedExample, ...]]:
        """Return the first examples of each reason, in manifest order."""
        return {
            reason: tuple(example for _, example in self._examples[reason])
            for reason in ranked(self.counts)
        }

    def _note(self, batch: UserBatch, user: int, failure: Mapping[str, object]) -> None:
        reason, number = str(failure["reason"]), batch.first + user
        self.counts[reason] += 1
        kept = self._examples.setdefault(reason, [])
        # Batches arrive in any order: a later one may contain an earlier user.
        if len(kept) == _EXAMPLES and kept[-1][0] <= number:
            return
        user_id = batch.table["user_id"][user].as_py()
        index, image = failure["index"], failure["image"]
        assert isinstance(index, int)
        kept.append((number, FailedExample(user_id, index, str(image))))
        kept.sort(key=lambda each: (each[0], each[1].index))
        del kept[_EXAMPLES:]


class LabelCounter:
    """Counts users per class, for the columns that may be traits.

    Args:
        columns: The kind of values in each column, by its name.
    """

    def __init__(self, columns: Mapping[str, ValueKind]) -> None:
        self._users = 0
        self._kinds = columns
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in columns}

    def add(self, users: pa.Table) -> None:
        """Add a batch of users, as rows of the manifest."""
        self._users += len(users)
        for name, counts in self._counts.items():
            if len(counts) > MOST_VALUES:
                continue  # free text or names, which would take unbounded memory
            for each in pc.value_counts(users[name].cast(pa.large_string())).to_pylist():
                if each["values"] is not None:
                    counts[each["values"]] += each["counts"]

    def labels(self) -> dict[str, LabelCounts]:
        """Return the counts of the columns that are traits."""
        return {
            each.name: LabelCounts(
                ranked(Counter(each.classes)), self._users - sum(each.classes.values())
            )
            for each in self._columns_read()
            if each.why_not_a_trait is None
        }

    def no_traits(self) -> dict[str, str]:
        """Return the other columns, each with the reason why it is not a trait."""
        return {
            each.name: each.why_not_a_trait
            for each in self._columns_read()
            if each.why_not_a_trait is not None
        }

    def notes(self) -> tuple[str, ...]:
        """Return sentences on how values of traits are read, and on classes that look alike."""
        return tuple(
            note for each in self._columns_read() for note in (*each.notes, *each.warnings)
        )

    def _columns_read(self) -> list[LabelColumn]:
        return [
            LabelColumn.of(
                name, counts, self._kinds[name], too_many_values=len(counts) > MOST_VALUES
            )
            for name, counts in self._counts.items()
        ]


class InspectionCounter:
    """Counts everything that an inspection reports of users and their images.

    Args:
        frames: The number of frames of a volume.
        columns: The kind of values in each column that may be a trait, by its name.
        shared_images: The counter of images that occur more than once.
    """

    def __init__(
        self, frames: int, columns: Mapping[str, ValueKind], shared_images: SharedImageCounter
    ) -> None:
        self._frames = frames
        self._shared_images = shared_images
        self._totals: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._bounds = sorted({0, min(2, frames), frames - 1, frames})
        self._per_user = np.zeros(len(self._bounds) + 1, np.int64)
        self.formats: Counter[str] = Counter()
        self.failures = FailureCounter()
        self.labels = LabelCounter(columns)
        self.images_per_user, self.widths, self.heights, self.sizes = (
            RangeFinder() for _ in range(4)
        )

    def add(self, batch: UserBatch, findings: pa.Table) -> None:
        """Add a batch of users and the findings of the examiner (`workers/findings.py`)."""
        self._add_users(batch, findings)
        self._add_images(findings)
        self.failures.add(batch, findings["failures"])
        self.labels.add(batch.table)
        digests = findings["digests"].combine_chunks()
        users = _numbers(pc.list_parent_indices(digests)) + batch.first
        self._shared_images.add(pc.list_flatten(digests).to_numpy(), users.astype(np.uint64))

    @property
    def users(self) -> int:
        """The number of users."""
        return self._totals["users"]

    @property
    def histogram(self) -> dict[str, int]:
        """The number of users by range of images: none, few, some, exactly a volume's, more."""
        lowest = [0, *(bound + 1 for bound in self._bounds)]
        ranges = [
            f"{low}-{high}" if low < high else f"{high}"
            for low, high in zip(lowest, self._bounds, strict=False)
        ]
        ranges.append(f"more than {self._bounds[-1]}")
        return dict(zip(ranges, self._per_user.tolist(), strict=True))

    def images(self) -> ImageTotals:
        """Return the number of images, in total and by usability."""
        totals = self._totals
        return ImageTotals(
            given=totals["given"],
            left_out=totals["left_out"],
            usable=totals["usable"],
            failed=self.failures.counts.total(),
            decoded=totals["decoded"],
            bytes=totals["bytes"],
        )

    def forecast(self) -> Forecast:
        """Return the expected outcome of predicting."""
        statuses = {s.value: self._statuses[s] for s in Status if self._statuses[s]}
        totals = self._totals
        return Forecast(
            frames=self._frames,
            statuses=statuses,
            full=totals["full"],
            short=totals["short"],
            tried_in_vain=totals["tried_in_vain"],
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
        positions = np.searchsorted(self._bounds, given)
        self._per_user += np.bincount(positions, minlength=len(self._per_user))

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
