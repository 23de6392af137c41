"""A full disk ends training with one sentence, and --resume continues when there is room again."""

import subprocess
import sys
from pathlib import Path

import pytest

from tweetprofile.training.state import STATE

TRAIN = """
import pathlib, resource, sys, threading, time
from tweetprofile.cli import main

def block(obstacle):
    while not (obstacle.parent.parent / "train.toml").exists():
        time.sleep(0.001)
    obstacle.mkdir(parents=True)

limit, obstacle, *arguments = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
if obstacle:
    threading.Thread(target=block, args=(pathlib.Path(obstacle),), daemon=True).start()
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
    "--val-fraction",
    "0",
    "--quiet",
]


def train(
    dump: Path, run: Path, *more: str, limit: int = 0, obstacle: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Train in a process of its own.

    Args:
        dump: The dump with the users to learn from.
        run: The run folder.
        more: More options of the command.
        limit: The largest size of a file in bytes; 0 for no limit.
        obstacle: A folder two levels below `run` that is created once the run has begun.
    """
    arguments = ["train", str(dump / "train.parquet"), "-o", str(run), *OPTIONS, "--quiet", *more]
    return subprocess.run(
        [sys.executable, "-c", TRAIN, str(limit), str(obstacle or ""), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")


@pytest.mark.parametrize(
    ("limit", "file"),
    [(100, "train.toml"), (5_000, "decoded frames"), (400_000, "the state of the run")],
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["metrics.jsonl", "MODEL_CARD.md"])
def test_a_run_is_resumed_when_there_is_room_again(dump: Path, tmp_path: Path, name: str) -> None:
    """A folder in place of a file cannot be written to, like a full disk."""
    run = tmp_path / "run"
    done = train(dump, run, obstacle=run / name / "in the way")
    assert done.returncode == 1, done.stderr
    assert name in done.stderr
    assert done.stderr.count("\n") == 1
    assert "fault of tweetprofile" not in done.stderr
    (run / name / "in the way").rmdir()
    (run / name).rmdir()
    done = train(dump, run, "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    assert (run / "model.safetensors").exists()
    assert not (run / STATE).exists()
