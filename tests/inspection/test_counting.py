"""Counts and medians are correct although they take little memory."""

from statistics import median_low

import numpy as np
import pyarrow as pa
import pytest

from tweetprofile.data.labels.values import ValueKind
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.inspection.counting import FailureCounter, LabelCounter, RangeFinder
from tweetprofile.inspection.report import FailedExample, LabelCounts, Range


def spread(values: list[int], at_a_time: int = 7) -> Range | None:
    found = RangeFinder()
    for start in range(0, len(values), at_a_time):
        found.add(np.array(values[start : start + at_a_time], np.int64))
    return found.range()


@pytest.mark.parametrize(
    "values", [[0], [5, 5, 5], [3, 1, 2], [4, 1, 2, 3], list(range(4095)), [4095, 0, 17] * 50]
)
def test_the_median_of_small_numbers_is_exact(values: list[int]) -> None:
    assert spread(values) == Range(min(values), median_low(values), max(values))


def test_the_median_of_large_numbers_is_accurate_to_one_in_2000() -> None:
    values = np.random.default_rng(0).integers(1, 2**40, 5_001).tolist()
    found = spread(values)
    assert found is not None
    assert (found.minimum, found.maximum) == (min(values), max(values))
    assert abs(found.median / median_low(values) - 1) <= 1 / 2000


def test_the_median_of_a_single_large_number_is_that_number() -> None:
    assert spread([123_456_789]) == Range(123_456_789, 123_456_789, 123_456_789)


def test_no_numbers_have_no_range() -> None:
    assert spread([]) is None


def test_the_examples_are_the_first_failures_of_the_manifest_in_whatever_order_batches_arrive() -> (
    None
):
    counter = FailureCounter()
    missing = {"index": 0, "image": "a.jpg", "reason": "missing"}
    for first in (8, 0, 4, 2, 6):
        batch = UserBatch(0, first, pa.table({"user_id": [first, first + 1]}))
        counter.add(batch, pa.chunked_array([[[missing, {**missing, "index": 1}], [missing]]]))
    assert dict(counter.counts) == {"missing": 15}
    assert counter.examples() == {
        "missing": (
            FailedExample(0, 0, "a.jpg"),
            FailedExample(0, 1, "a.jpg"),
            FailedExample(1, 0, "a.jpg"),
        )
    }


def count(**columns: list[str | None]) -> LabelCounter:
    counter = LabelCounter(dict.fromkeys(columns, ValueKind.TEXT))
    table = pa.table(columns)
    for start in range(0, len(table), 3):
        counter.add(table.slice(start, 3))
    return counter


def test_labels_and_users_without_one_are_counted() -> None:
    counter = count(gender=["male", None, "female", "female", None, "female", "male"])
    assert counter.labels() == {"gender": LabelCounts({"female": 3, "male": 2}, 2)}
    assert counter.no_traits() == {}


def test_a_column_that_is_not_a_trait_is_named_with_the_reason() -> None:
    counter = count(
        note=[f"text {number}" for number in range(200)],
        language=["es"] * 200,
        empty=[None] * 200,
    )
    assert counter.labels() == {}
    assert counter.no_traits() == {
        "note": "has too many different values (200 in 200 labels)",
        "language": "is always 'es'",
        "empty": "has no labels",
    }
