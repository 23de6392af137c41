"""The default checkpoint changes only on request, and is named whenever it is used."""

import subprocess
import sys
from pathlib import Path

import pytest

from tweetprofile.checkpoints.choice import CHECKPOINT_VARIABLE, default_checkpoint
from tweetprofile.cli import main

QUICK = ["--frame-size", "16", "--epochs", "1", "--batch-size", "4", "--devices", "cpu"]


@pytest.fixture(autouse=True)
def nothing_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv(CHECKPOINT_VARIABLE, raising=False)


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tweetprofile", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_predict_uses_and_names_the_chosen_run_whatever_is_trained_later(
    dump: Path, tmp_path: Path
) -> None:
    manifest = dump / "train.parquet"
    first, second = tmp_path / "first", tmp_path / "second"
    trained = run("train", manifest, "-o", first, *QUICK)
    assert f"tweetprofile use {first}" in " ".join(trained.stderr.split())
    assert run("predict", manifest, "-o", tmp_path / "out").returncode == 2, "nothing is chosen"
    chosen = run("use", first)
    assert chosen.returncode == 0
    assert "run 'first', trained 20" in chosen.stderr
    assert run("train", manifest, "-o", second, *QUICK, "--seed", "1").returncode == 0
    done = run("predict", manifest, "-o", tmp_path / "out")
    assert "run 'first', trained 20" in " ".join(done.stderr.split())
    assert default_checkpoint().read_bytes() == (first / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["nothing", "folder", "notes.txt"])
def test_only_a_model_can_be_chosen(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("no model")
    assert main(["use", str(tmp_path / name)]) == 2
    assert name in capsys.readouterr().err
    assert not default_checkpoint().exists()


def test_a_model_without_a_record_of_its_training_can_be_chosen(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["use", str(model)]) == 0
    assert "it does not say how it was trained" in " ".join(capsys.readouterr().err.split())
