"""What is known of the model behind foreign predictions: its record, or the name that is given."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tests.evaluation.rewriting import by_polars
from tweetprofile.cli import main
from tweetprofile.errors import PredictionsError
from tweetprofile.evaluation.evaluate import EvaluateOptions, evaluate_predictions
from tweetprofile.evaluation.leakage import Leakage
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.predicting.plan import PredictOptions


@pytest.mark.slow
def test_a_csv_file_beside_its_record_is_known_to_be_ours(
    dump: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, out = str(dump / "test.parquet"), str(tmp_path / "out.csv")
    assert main(["predict", manifest, "-o", out, "--checkpoint", str(model), "-q"]) == 0
    told = ["evaluate", manifest, out, "--checkpoint", str(model)]
    assert main(told) == 0
    assert "The predictions give" not in capsys.readouterr().out
    facts = Predictions.read(out).facts
    assert facts["network"] == "model1"
    assert main([*told, "--baselines"]) == 2
    assert "does not record its model and images, which --baselines need" in capsys.readouterr().err


@pytest.mark.slow
def test_a_checkpoint_that_is_named_is_taken_for_the_model_of_predictions_without_a_record(
    dump: Path, model: Path, tmp_path: Path
) -> None:
    table = pl.read_parquet(dump / "test.parquet", columns=["user_id", "gender"])
    table.write_csv(tmp_path / "guesses.csv")
    options = EvaluateOptions(made_by=model)
    found = evaluate_predictions(dump / "test.parquet", tmp_path / "guesses.csv", options)
    assert found.leakage.unchecked == (
        "its checkpoint was written by a version that recorded no fingerprints"
    )
    assert found.leakage.is_stated


def test_a_model_that_was_named_is_not_said_to_be_unknown(
    manifest: Path, ours: Path, tmp_path: Path
) -> None:
    found = evaluate_predictions(manifest, by_polars(ours, tmp_path))
    assert found.missing is not None
    assert found.says_missing_model
    named = replace(found, leakage=Leakage("its checkpoint has none", is_stated=True))
    assert named.missing is None
    assert not named.says_missing_model


def test_baselines_need_the_record_of_predict(manifest: Path, ours: Path, tmp_path: Path) -> None:
    options = EvaluateOptions(baselines=PredictOptions())
    with pytest.raises(PredictionsError, match="`baselines` need; predict the manifest"):
        evaluate_predictions(manifest, by_polars(ours, tmp_path), options)
