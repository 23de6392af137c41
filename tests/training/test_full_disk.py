"""A disk that is full ends training with one sentence, and --resume goes on when there is room."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tweetprofile.training.state import STATE

TRAIN = """
import resource, sys
from tweetprofile.cli import main

limit, *arguments = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
sys.exit(main(arguments))
"""

OPTIONS = [
    "--frame-size",
    "16",
    "--batch-size",
    "4",
    "--devices",
    "cpu",
    "--epochs",
    "2",
    "--quiet",
]


def train(dump: Path, run: Path, *more: str, limit: int = 0) -> "subprocess.CompletedProcess[str]":
    """Train in a process that may write no file of more than so many bytes; 0 for any."""
    arguments = ["train", str(dump / "train.parquet"), "-o", str(run), *OPTIONS, "--quiet", *more]
    return subprocess.run(
        [sys.executable, "-c", TRAIN, str(limit), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")


@pytest.mark.parametrize(
    ("limit", "file"),
    [(100, "train.toml"), (5_000, "decoded frames"), (400_000, "what the run must remember")],
)
def test_a_file_that_does_not_fit_is_named(
    dump: Path, tmp_path: Path, frames: Path, limit: int, file: str
) -> None:
    done = train(dump, tmp_path / "run", "--cache", str(frames), limit=limit)
    assert done.returncode == 1, done.stderr
    assert file in done.stderr
    assert done.stderr.count("\n") == 1
    assert "make room there" in done.stderr
    assert "fault of tweetprofile" not in done.stderr


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", pytest.param("MODEL_CARD.md", marks=pytest.mark.slow)]
)
def test_a_run_goes_on_when_there_is_room_again(dump: Path, tmp_path: Path, name: str) -> None:
    """A folder in the place of a file cannot be written, as a full disk cannot."""
    run = tmp_path / "run"
    (run / name / "in the way").mkdir(parents=True)
    done = train(dump, run)
    assert done.returncode == 1
    assert name in done.stderr
    assert done.stderr.count("\n") == 1
    assert "fault of tweetprofile" not in done.stderr
    (run / name / "in the way").rmdir()
    (run / name).rmdir()
    done = train(dump, run, "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    assert (run / "model.safetensors").exists()
    assert not (run / STATE).exists()


@pytest.mark.slow
def test_a_data_folder_that_cannot_be_written_costs_the_copy_alone(
    dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", os.devnull)
    done = train(dump, tmp_path / "run")
    assert done.returncode == 0
    assert (tmp_path / "run" / "model.safetensors").exists()
