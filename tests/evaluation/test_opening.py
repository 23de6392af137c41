"""The manifest is opened first, and predictions given in its place are recognised."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.errors import ManifestError, PredictionsError
from tweetprofile.evaluation.evaluate import evaluate_predictions
from tweetprofile.evaluation.opening import open_manifest


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.parquet"
    table = {"user_id": ["ada", "bob"], "images": [["a.jpg"], ["b.jpg"]], "gender": ["f", "m"]}
    pq.write_table(pa.table(table), path)
    return path


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "profiles.csv"
    path.write_text("user_id,gender\nada,f\nbob,m\n")
    return path


def test_a_manifest_is_opened_if_its_predictions_are_there(
    manifest: Path, predictions: Path
) -> None:
    assert open_manifest(manifest, [predictions]).source == str(manifest)


def test_predictions_given_in_place_of_the_manifest_are_recognised(
    manifest: Path, predictions: Path
) -> None:
    with pytest.raises(
        ManifestError,
        match=r"profiles\.csv is not a manifest, but \S*labelled\.parquet is one: the two are "
        r"swapped; give the manifest first, then the predictions\.",
    ):
        evaluate_predictions(predictions, manifest)


def test_a_manifest_that_is_missing_or_damaged_is_not_called_swapped(
    manifest: Path, predictions: Path, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match=r"none does not exist"):
        open_manifest(tmp_path / "none", [manifest])
    with pytest.raises(ManifestError, match=r"profiles\.csv is not a readable Parquet file"):
        open_manifest(predictions, [predictions])


def test_predictions_that_are_missing_or_the_manifest_itself_are_refused(
    manifest: Path, tmp_path: Path
) -> None:
    with pytest.raises(PredictionsError, match="none does not exist; pass the file or folder"):
        open_manifest(manifest, [tmp_path / "none"])
    with pytest.raises(PredictionsError, match=r"is the manifest itself, .*; give the manifest"):
        open_manifest(manifest, [manifest])
