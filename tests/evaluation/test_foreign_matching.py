"""The users and classes of foreign predictions match the labels, however they are written."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.evaluation.rewriting import by_our_flat_csv
from tweetprofile.evaluation.evaluate import evaluate_predictions


def test_a_class_that_only_one_side_has_is_named_and_counts_as_a_class_of_its_own(
    write_labels: Callable[..., Path], write_table: Callable[..., Path]
) -> None:
    labels = write_labels(["a", "b", "c", "d"], gender=["male", "male", "female", "other"])
    table = write_table(user_id=["a", "b", "c", "d"], gender=[" male ", "Male", "female", None])
    found = evaluate_predictions(labels, table)
    assert found.traits["gender"].scores.accuracy == 0.5
    assert found.matched.predictions.remarks == (
        "gender, only in the predictions: 'Male' (1 row, not the same class as 'male'); "
        "only in the labels: 'other'.",
    )


def test_ids_match_whether_they_are_numbers_or_text(
    write_labels: Callable[..., Path], write_table: Callable[..., Path], tmp_path: Path
) -> None:
    labels = write_labels([10, 20], gender=["female", "male"])
    table = write_table(user_id=["20", "10"], gender=["male", "female"])
    assert evaluate_predictions(labels, table).traits["gender"].scores.accuracy == 1
    (tmp_path / "table.csv").write_text("user_id;gender\n20;male\n10;female\n")
    found = evaluate_predictions(labels, tmp_path / "table.csv")
    assert found.traits["gender"].scores.accuracy == 1


def test_ids_that_our_csv_made_harmless_are_found_again(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path], tmp_path: Path
) -> None:
    ids = ["@ada", "-bob"]
    again = by_our_flat_csv(write_predictions(ids, gender=[0, 1]), tmp_path)
    assert "'@ada" in again.read_text()
    found = evaluate_predictions(write_labels(ids, gender=["female", "male"]), again)
    assert found.traits["gender"].scores.accuracy == 1


@pytest.mark.parametrize(
    ("labels", "predicted"),
    [
        (pa.array([0, 1, 1]), pa.array([0.0, 1.0, None])),  # pandas, for a missing prediction
        (pa.array([True, False, True]), pa.array(["True", "False", None])),
    ],
)
def test_numbers_and_truth_values_match_however_pandas_spells_them(
    labels: pa.Array, predicted: pa.Array, tmp_path: Path
) -> None:
    ids, images = pa.array(["a", "b", "c"]), pa.array([[], [], []], pa.list_(pa.string()))
    pq.write_table(pa.table({"user_id": ids, "images": images, "smokes": labels}),
                   tmp_path / "labels.parquet")  # fmt: skip
    table = pa.table({"user_id": ids, "smokes": predicted})
    pq.write_table(table, tmp_path / "table.parquet")
    pl.from_arrow(table).write_csv(tmp_path / "table.csv")  # type: ignore[union-attr]
    for name in ("table.parquet", "table.csv"):
        smokes = evaluate_predictions(tmp_path / "labels.parquet", tmp_path / name).traits["smokes"]
        assert smokes.predicted == 2
        assert smokes.scores.accuracy == pytest.approx(2 / 3)


def test_labels_that_the_predictions_lack_may_differ_from_row_to_row_of_a_user(
    tmp_path: Path, write_table: Callable[..., Path]
) -> None:
    long = {"user_id": ["a", "a", "b"], "image": ["1", "2", "3"], "lang": ["en", "es", "en"]}
    manifest = tmp_path / "long.parquet"
    pl.DataFrame({**long, "gender": ["male", None, "female"]}).write_parquet(manifest)
    table = write_table(user_id=["a", "b"], gender=["male", "female"])
    assert evaluate_predictions(manifest, table).traits["gender"].scores.accuracy == 1
