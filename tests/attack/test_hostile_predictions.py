"""Tables of predictions of unknown origin: damaged, odd in type, or larger than they look."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.attack.test_hostile_tables import as_csv, damaged
from tweetprofile.errors import PredictionsError
from tweetprofile.evaluation.predictions import Predictions

LABELS = {"gender": ("female", "male"), "place": ("north", "south")}


def read_or_refused(path: Path) -> bool:
    """Return whether a table is read; otherwise, the refusal must be one sentence."""
    try:
        found = Predictions.read(path, labels=LABELS)
    except PredictionsError as error:
        assert "\n" not in str(error)
        assert str(error).isprintable()
        assert path.name in str(error)
        return False
    assert set(found.schema.names) <= set(LABELS)
    assert found.table["user_id"].null_count == 0
    return True


def a_table(chance: random.Random) -> pa.Table:
    """A table in which some columns are not what they should be."""
    users = 8
    odd: list[Any] = [
        pa.array([None] * users), pa.array([b"\xff"] * users), pa.array([float("nan")] * users),
        pa.array([[1]] * users), pa.array(range(users)), pa.array([True] * users),
        pa.array(["x" * 20_000] * users).dictionary_encode(), pa.array(["\x1b[2J\n"] * users),
        pa.array([{"female": 0.5}, None] * 4), pa.array([{"female": "much", "x": 1}] * users),
        pa.array([2.0] * users), pa.array([""] * users),
        pa.array([10**30] * users, pa.decimal128(38)),
    ]  # fmt: skip
    columns: dict[str, Any] = {
        "user_id": pa.array([f"u{number}" for number in range(users)]),
        "gender": pa.array(["female", "male"] * 4),
        "gender_probabilities": pa.array([{"female": 0.4, "male": 0.6}] * users),
        "place": pa.array(["north"] * users),
        "place_p_north": pa.array([0.5] * users),
        "frames_used": pa.array([1] * users),
    }
    for name in chance.sample([*columns, "place_confidence", "gender_p_male"], chance.randrange(3)):
        columns[name] = chance.choice(odd)
    return pa.table(columns)


@pytest.mark.parametrize("rounds", [100, pytest.param(5_000, marks=pytest.mark.slow)])
def test_a_damaged_csv_table_of_predictions_is_read_or_refused_in_one_sentence(
    rounds: int, tmp_path: Path
) -> None:
    chance = random.Random(rounds)
    rows = [[f"u{number}", "male", "0.75", "north"] for number in range(20)]
    whole = as_csv([["user_id", "gender", "gender_confidence", "place"], *rows])
    path = tmp_path / "predictions.csv"
    outcomes = []
    for _ in range(rounds):
        path.write_bytes(damaged(whole, chance))
        outcomes.append(read_or_refused(path))
    assert {True, False} == set(outcomes)


@pytest.mark.parametrize("rounds", [150, pytest.param(5_000, marks=pytest.mark.slow)])
def test_a_parquet_table_of_odd_types_is_read_or_refused_in_one_sentence(
    rounds: int, tmp_path: Path
) -> None:
    chance = random.Random(rounds)
    path = tmp_path / "predictions.parquet"
    outcomes = []
    for _ in range(rounds):
        pq.write_table(a_table(chance), path)
        outcomes.append(read_or_refused(path))
    assert {True, False} == set(outcomes)


@pytest.mark.parametrize("rounds", [100, pytest.param(5_000, marks=pytest.mark.slow)])
def test_a_damaged_parquet_table_of_predictions_is_read_or_refused_in_one_sentence(
    rounds: int, tmp_path: Path
) -> None:
    chance = random.Random(rounds)
    path = tmp_path / "predictions.parquet"
    pq.write_table(a_table(random.Random(0)), path)
    whole = path.read_bytes()
    for _ in range(rounds):
        broken = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        path.write_bytes(broken[: chance.choice([len(broken), chance.randrange(len(broken))])])
        read_or_refused(path)


def test_a_long_value_that_a_short_file_repeats_is_refused_before_it_is_repeated(
    tmp_path: Path,
) -> None:
    rows = 1_000_000
    long = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["x" * 100_000])
    table = pa.table({"user_id": pa.array(range(rows)), "gender": long})
    path = tmp_path / "predictions.parquet"
    pq.write_table(table, path, compression="zstd")
    with pytest.raises(PredictionsError, match="a value of 'gender' has more than 10,000 bytes"):
        Predictions.read(path, labels=LABELS)
