"""Tables have the form of the paper's: column names, rows, averages."""

import csv
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pytest

from tweetprofile.evaluation.evaluate import evaluate_predictions
from tweetprofile.evaluation.tables import tables
from tweetprofile.traits import PRESETS

MEX_A3T = PRESETS["mex-a3t-2019"]


def test_the_tables_are_the_papers_five_and_one_for_the_classes_of_gender(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path], tmp_path: Path
) -> None:
    users = [str(number) for number in range(48)]
    truth = {
        trait.name: [trait.classes[number % len(trait.classes)] for number in range(48)]
        for trait in MEX_A3T
    }
    guess = {
        trait.name: [(number % 7) % len(trait.classes) for number in range(48)] for trait in MEX_A3T
    }
    manifest, out = write_labels(users, **truth), write_predictions(users, schema=MEX_A3T, **guess)
    made = {table.name: table for table in tables([evaluate_predictions(manifest, out)])}
    assert [name for name in made if "published" not in name] == [
        "gender", "gender-classes", "location", "location-classes", "occupation",
        "occupation-classes",
    ]  # fmt: skip
    for trait in MEX_A3T:
        scores, classes = made[trait.name], made[f"{trait.name}-classes"]
        assert scores.columns == ("Model", "Accuracy", "Precision", "Recall", "F1")
        assert classes.columns == (trait.name.capitalize(), "Precision", "Recall", "F1", "Users")
        *each, average = classes.rows
        assert [row[0] for row in each] == list(trait.classes)
        for column in (1, 2, 3):
            expected = mean(float(row[column]) for row in each)
            assert average[column] == pytest.approx(expected, abs=1e-6)
        assert average[1:4] == scores.rows[0][2:]


def test_csv_tables_are_rounded_as_the_report_shows_them(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = write_labels(["a", "b", "c"], gender=["female", "male", "male"])
    found = evaluate_predictions(manifest, write_predictions(["a", "b", "c"], gender=[0, 1, 0]))
    for table in tables([found]):
        (tmp_path / f"{table.name}.csv").write_bytes(table.to_csv())
    with (tmp_path / "gender.csv").open(newline="") as file:
        head, ours, majority, random = csv.reader(file)
    assert head == ["Model", "Accuracy", "Precision", "Recall", "F1"]
    assert ours[:2] == ["out", "0.667"]
    assert found.to_dict()["traits"]["gender"]["accuracy"] == 2 / 3
    assert (majority[0], random[0]) == ("majority class (male)", "random draw")
