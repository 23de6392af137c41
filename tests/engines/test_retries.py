"""Which worker gets which batches, until all of them are taken."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from tests.facts import predictor_facts
from tweetprofile.data.manifests.users import RowRange, UserBatch
from tweetprofile.engines.jobs import PredictJob
from tweetprofile.engines.retries import Workload
from tweetprofile.job import PredictorFacts, PredictorOptions

JOB = PredictJob(Path("model.safetensors"), options=PredictorOptions())


def batches(count: int) -> Iterator[UserBatch]:
    """Yield batches of one user each, whose images a worker reads."""
    for number in range(count):
        yield UserBatch(0, number, pa.table({"user_id": [number]}), RowRange(number, 1, 1))


def workload(count: int, stretch: int) -> Workload[PredictorFacts]:
    return Workload(batches(count), JOB, predictor_facts(), stretch)


def take(work: Workload[PredictorFacts], worker: int) -> int | None:
    attempt = work.take(worker, idle=True)
    return None if attempt is None else attempt.batch.first


def test_a_worker_that_reads_its_images_gets_successive_batches() -> None:
    work = workload(12, stretch=3)
    taken = [(take(work, 0), take(work, 1)) for _ in range(6)]
    assert taken == [(0, 3), (1, 4), (2, 5), (6, 9), (7, 10), (8, 11)]


def test_a_worker_without_batches_takes_half_of_another_ones_in_their_order() -> None:
    work = workload(9, stretch=9)
    assert take(work, 0) == 0
    assert [take(work, 1) for _ in range(2)] == [5, 6]
    assert [take(work, 0) for _ in range(4)] == [1, 2, 3, 4]
    assert take(work, 0) in (7, 8)


@pytest.mark.parametrize("stretch", [1, 3, 100])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_every_batch_is_taken_once(stretch: int, count: int) -> None:
    work = workload(count, stretch)
    taken: list[int] = []
    while work.waiting:
        for worker in (0, 1, 2):
            work.read_ahead(3)
            taken += [first for first in [take(work, worker)] if first is not None]
    assert sorted(taken) == list(range(count))


def test_a_batch_that_is_put_back_goes_to_the_next_worker_that_asks() -> None:
    work = workload(6, stretch=3)
    attempt = work.take(0, idle=False)
    assert attempt is not None
    work.put_back(attempt)
    assert take(work, 1) == 0
    assert (take(work, 0), take(work, 1)) == (1, 3)


def test_only_a_batch_without_its_images_names_its_rows() -> None:
    work = workload(1, stretch=2)
    attempt = work.take(0, idle=True)
    assert attempt is not None
    assert attempt.task(7).rows == RowRange(0, 1, 1)
    assert replace(attempt, only_user=0).task(7).only_user == 0
    with_images = replace(attempt, batch=replace(attempt.batch, rows=None), only_user=0)
    assert (with_images.task(7).rows, with_images.task(7).only_user) == (None, None)
