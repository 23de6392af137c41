"""`evaluate` writes only into folders that hold nothing, or nothing but an earlier evaluation."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.attack.outputs.helpers import (
    WITH_AND_WITHOUT_OVERWRITE,
    refused,
)
from tweetprofile.scoring.epochs import EpochMetrics

EVALUATE = {
    "ROOT": "holds the manifest",
    "ROOT/data": "holds the manifest",
    "ROOT/predicted": "is the predictions",
    "ROOT/predicted/new": "would become part of the predictions",
    "ROOT/notes": "holds thesis.tex, which no evaluation is known to have written",
    "ROOT/run": "holds the metrics of training",
}


@WITH_AND_WITHOUT_OVERWRITE
@pytest.mark.parametrize("layout", ["report", "mex-a3t"])
@pytest.mark.parametrize("folder", EVALUATE)
def test_an_evaluation_is_not_written_into_a_folder_with_foreign_files(
    users: Path, capsys: pytest.CaptureFixture[str], folder: str, layout: str, flags: list[str]
) -> None:
    if layout == "mex-a3t" and folder == "ROOT/run":
        pytest.skip("a submission has no option --run")
    (users / "predicted").mkdir()
    (users / "p.parquet").rename(users / "predicted" / "part-00000.parquet")
    line = EpochMetrics(
        epoch=1,
        loss=1.0,
        val_loss=None,
        scores={},
        mean_macro_f1=0.0,
        learning_rate=0.1,
        seconds=1.0,
    )
    (users / "run" / "metrics.jsonl").write_text(json.dumps(asdict(line)) + "\n")
    run = ["--run", "ROOT/run"] if layout == "report" else []
    said = refused(
        users, capsys, "evaluate", "ROOT/data/part-00000.parquet", "-p", "ROOT/predicted", "-o",
        folder, "--format", layout, "--image-root", "ROOT", *run, *flags,
    )  # fmt: skip
    assert EVALUATE[folder] in said
