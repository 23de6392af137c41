"""Processes that train together: none waits for one that has died, and they may share a GPU."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tweetprofile.training.distributed import choose_backend

CPU, FIRST, SECOND = torch.device("cpu"), torch.device("cuda", 0), torch.device("cuda", 1)


def test_processes_on_one_gpu_use_gloo_because_nccl_refuses_them() -> None:
    assert choose_backend([FIRST, SECOND]) == "nccl"
    assert choose_backend([FIRST, FIRST]) == "gloo"
    assert choose_backend([FIRST, SECOND, FIRST]) == "gloo"
    assert choose_backend([CPU, CPU]) == "gloo"


TRAIN = """
import os, sys, time, torch
from tweetprofile.errors import TrainingError
from tweetprofile.training.distributed import all_ranks

def learn(rank, how):
    rank.totals(torch.ones(1))
    print(os.getpid(), flush=True)
    if how == "dies":
        os._exit(3)
    if how == "dies silently":
        if os.fork():
            os._exit(3)  # its child keeps the connections open: as with NCCL, nobody is told
        time.sleep(40)
        os._exit(0)
    if how == "fails":
        raise TrainingError("the loss became nan")
    time.sleep(600)

if __name__ == "__main__":
    cpu = torch.device("cpu")
    with all_ranks([cpu, cpu], learn, sys.argv[1]) as rank:
        rank.totals(torch.ones(1))
        if sys.argv[1] == "fails":
            time.sleep(3)  # writes the state of the last epoch
            raise TrainingError("the loss became nan")
        rank.totals(torch.ones(1))
"""


@contextmanager
def training(folder: Path, how: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Start two processes; yield the first, and the number of the second after an exchange."""
    (folder / "train.py").write_text(TRAIN)
    with subprocess.Popen(
        [sys.executable, str(folder / "train.py"), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())


@pytest.mark.slow
@pytest.mark.parametrize("how", ["dies", "dies silently"])
def test_the_death_of_a_process_ends_the_training_within_seconds_with_a_sentence(
    tmp_path: Path, how: str
) -> None:
    with training(tmp_path, how) as (process, _):
        began = time.monotonic()
        assert process.stderr is not None
        sentence = next(line for line in process.stderr if "WorkerError: " in line)
        assert "training process 1 of `devices` exited with code 3; see its output" in sentence
        assert process.wait(10) == 1
        assert time.monotonic() - began < 20


@pytest.mark.slow
def test_an_error_that_all_processes_have_is_reported_once(tmp_path: Path) -> None:
    with training(tmp_path, "fails") as (process, _):
        assert process.stderr is not None
        errors = process.stderr.read()
    assert errors.count("Error: ") == 1
    assert "TrainingError: the loss became nan" in errors


@pytest.mark.slow
def test_the_death_of_the_first_process_ends_the_others(tmp_path: Path) -> None:
    with training(tmp_path, "lives") as (process, second):
        process.kill()
        deadline = time.monotonic() + 10
        while lives(second) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not lives(second)


def lives(process: int) -> bool:
    """Return whether a process has not ended; one whose parent is gone may remain as a zombie."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
