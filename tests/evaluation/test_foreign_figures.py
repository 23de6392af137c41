"""Predictions of any origin have the same figures as those that `predict` wrote."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.evaluation.rewriting import (
    USERS,
    Rewrite,
    by_our_flat_csv,
    by_pandas,
    by_pandas_as_csv,
    by_polars,
    by_polars_as_csv,
    by_polars_classes_alone,
    by_polars_in_a_folder,
    by_pyarrow_as_csv,
    by_pyarrow_without_metadata,
)
from tweetprofile.cli import main
from tweetprofile.evaluation.evaluate import (
    EvaluateOptions,
    Evaluation,
    compare_predictions,
    evaluate_predictions,
)
from tweetprofile.evaluation.output_folder import write_evaluation
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.evaluation.submission import write_submission
from tweetprofile.traits import PRESETS


def figures(found: Evaluation) -> dict[str, Any]:
    """What must not depend on who wrote the predictions."""
    return {
        trait: (each.scores, each.confusion, each.per_class, each.majority, each.predicted)
        for trait, each in found.traits.items()
    }


@pytest.mark.parametrize(
    "rewrite",
    [
        by_polars, by_polars_in_a_folder, by_polars_classes_alone, by_polars_as_csv,
        by_pyarrow_without_metadata, by_pyarrow_as_csv, by_our_flat_csv, by_pandas,
        by_pandas_as_csv,
    ],
)  # fmt: skip
def test_predictions_that_are_written_again_have_the_same_figures(
    rewrite: Rewrite, manifest: Path, ours: Path, tmp_path: Path
) -> None:
    expected = evaluate_predictions(manifest, ours)
    found = evaluate_predictions(manifest, rewrite(ours, tmp_path))
    assert figures(found) == figures(expected)
    assert found.intervals == expected.intervals


@pytest.mark.parametrize("rewrite", [by_polars, by_our_flat_csv, by_pandas])
def test_probabilities_and_numbers_of_images_survive_where_they_are_kept(
    rewrite: Rewrite, manifest: Path, ours: Path, tmp_path: Path
) -> None:
    expected = evaluate_predictions(manifest, ours).traits["place"]
    evaluation = evaluate_predictions(manifest, rewrite(ours, tmp_path))
    found = evaluation.traits["place"]
    assert found.by_frames == expected.by_frames
    assert found.selections[:18] == expected.selections[:18]  # 0.9 is less as a float32
    assert found.calibration is not None
    assert expected.calibration is not None
    assert found.calibration.ece == pytest.approx(expected.calibration.ece, abs=1e-6)
    assert evaluation.missing == (
        "The predictions give no record of their model, so there is no check whether it was "
        "trained on these users."
    )


def test_what_a_table_does_not_give_is_said_once_everywhere(
    manifest: Path, ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again, out = by_polars_classes_alone(ours, tmp_path), tmp_path / "report"
    assert main(["evaluate", str(manifest), str(again), "-o", str(out)]) == 0
    sentence = (
        "The predictions give no probabilities, no numbers of images and no record of their "
        "model, so there is no calibration, no coverage, no accuracy by number of images and no "
        "check whether it was trained on these users."
    )
    assert " ".join(capsys.readouterr().out.split()).count(sentence) == 1
    facts = json.loads((out / "metrics.json").read_text())
    assert facts["predictions"]["missing"] == sentence
    assert facts["traits"]["gender"]["calibration"] is None
    page = (out / "report.html").read_text()
    assert page.count(sentence) == 1
    assert "It was not checked" not in page
    assert sorted(path.stem for path in (out / "plots").iterdir()) == [
        "gender-confusion", "place-confusion",
    ]  # fmt: skip


def test_confidences_alone_are_enough_for_calibration_and_coverage(
    manifest: Path, ours: Path, tmp_path: Path
) -> None:
    names = ["user_id", "gender", "gender_confidence"]
    pl.read_parquet(ours).select(names).write_csv(tmp_path / "again.csv")
    options = EvaluateOptions(min_confidence=0.5)
    found = evaluate_predictions(manifest, tmp_path / "again.csv", options)
    expected = evaluate_predictions(manifest, ours, options)
    coverage, expected_coverage = (each.traits["gender"].selections for each in (found, expected))
    assert coverage[:18] == expected_coverage[:18]  # 0.9 is less as a float32
    assert found.confidence_cuts["gender"] == expected.confidence_cuts["gender"]


def test_ours_and_those_of_another_program_are_compared_on_what_both_have(
    manifest: Path,
    ours: Path,
    write_table: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = write_table(user_id=USERS, gender=["female"] * 39 + ["?"])
    found = compare_predictions(manifest, [ours, other])
    alone = [evaluate_predictions(manifest, each).traits["gender"] for each in (ours, other)]
    together = [each.traits["gender"] for each in found.evaluations]
    assert [list(each.traits) for each in found.evaluations] == [["gender"], ["gender"]]
    assert [each.scores for each in together] == [each.scores for each in alone]
    assert main(["evaluate", str(manifest), str(ours), str(other)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "out: place: not compared, because other predictions lack it." in shown
    assert "foreign: gender, only in the predictions: '?' (1 row)" in shown


def test_a_submission_takes_the_columns_of_the_track(
    write_table: Callable[..., Path], tmp_path: Path
) -> None:
    table = write_table(user_id=["u1", "u2"], gender=["male", None], city=["x", "y"])
    read = Predictions.read(table, labels=PRESETS["mex-a3t-2019"].to_dict())
    assert write_submission(read, tmp_path) == [(tmp_path / "gender.txt", 1)]
    assert (tmp_path / "gender.txt").read_text() == '"gender"\t"u1"\t"male"\n'


def test_a_report_of_foreign_predictions_is_complete(
    manifest: Path, ours: Path, tmp_path: Path
) -> None:
    found = evaluate_predictions(manifest, by_polars_as_csv(ours, tmp_path))
    page = write_evaluation(found, tmp_path).read_text()
    assert "A user without a class in the predictions" in page
