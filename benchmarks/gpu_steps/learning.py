"""Training on a GPU: the time of an epoch, two processes on one GPU, and one that is killed."""

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from memory import tree
from training import COMMAND, epoch_seconds, run, write_labelled

from gpu_steps.inputs import read_images
from gpu_steps.work import Finding, Outcome, Work

_PAPER_EPOCHS, _PAPER_SECONDS = 100, 60.0

_MOST_DIFFERENCE = 0.02
"""Two processes add up gradients in another order than one, and bf16 has 8 binary digits."""

_MOST_SECONDS_TO_NOTICE = 60.0

_NONE_HELD_OUT = ("--val-fraction", "0")

_RECIPES = {"default": "deepset", "paper": "model1"}


def measure(work: Work) -> Outcome:
    """Train both recipes on as many users as the paper, from the cache."""
    folder, users = work.folder / "training", work.size(3_500, 20)
    manifest = _write_users(work, folder, users)
    options = [*_options(work, folder), "--epochs", str(work.size(11, 2)), *_NONE_HELD_OUT]
    findings: list[Finding] = []
    figures: dict[str, Any] = {"users": users}
    for recipe, network in _RECIPES.items():
        whole = run(folder, manifest, [*options, "--recipe", recipe])
        seconds = epoch_seconds(folder)
        figures[recipe] = {"whole": whole, "epochs": seconds}
        job = _PAPER_EPOCHS * median(seconds[1:])
        findings.append(
            Finding(
                f"{recipe} ({network}), an epoch of {users:,} users",
                f"{job / _PAPER_EPOCHS:.2f} s; {_PAPER_EPOCHS} of them take {job:.0f} s; "
                f"{whole - sum(seconds):.1f} s besides epochs",
                f"{_PAPER_EPOCHS} in {_PAPER_SECONDS:.0f} s",
                work.speed_goal(job <= _PAPER_SECONDS),
            )
        )
    held_out = _write_held_out(work, folder, work.size(350, 8))
    validated = ["--epochs", str(work.size(2, 1)), "--val", str(held_out)]
    run(folder, manifest, [*_options(work, folder), *validated])
    figures["validated"] = epoch_seconds(folder)
    last = f"{figures['validated'][-1]:.2f} s"
    findings.append(Finding("default, an epoch with validation", last))
    return Outcome(findings, figures)


def compare_ranks(work: Work) -> Outcome:
    """Train with one process, and with two on the same device."""
    folder = work.folder / "ranks"
    manifest = _write_users(work, folder, _users_of_ranks(work))
    options = [*_options(work, folder), "--epochs", "2", *_NONE_HELD_OUT]
    losses, seconds = [], []
    for devices in (work.device, f"{work.device},{work.device}"):
        run(folder, manifest, [*options, "--devices", devices])
        losses.append(_metrics(folder / "run")[-1]["loss"])
        seconds.append(epoch_seconds(folder)[-1])
    difference = abs(losses[1] / losses[0] - 1)
    finding = Finding(
        f"loss with --devices {work.device},{work.device} against one",
        f"{losses[1]:.4f} against {losses[0]:.4f}; an epoch takes {seconds[1]:.2f} s against "
        f"{seconds[0]:.2f} s",
        f"within {_MOST_DIFFERENCE:.0%}",
        difference <= _MOST_DIFFERENCE,
    )
    return Outcome([finding], {"losses": losses, "seconds": seconds})


def kill_rank(work: Work) -> Outcome:
    """Kill one of two training processes, see how the other ends, and resume."""
    folder, epochs = work.folder / "ranks", work.size(40, 8)
    manifest, out = _write_users(work, folder, _users_of_ranks(work)), folder / "killed"
    devices = ("--devices", f"{work.device},{work.device}")
    options = [*_options(work, folder), "--epochs", str(epochs), *_NONE_HELD_OUT, *devices]
    command = [*COMMAND, str(manifest), "-o", str(out), "-q", *options]
    shutil.rmtree(out, ignore_errors=True)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        _wait_for_epoch(process, out)
        (rank,) = _other_ranks(process.pid)
        os.kill(rank, signal.SIGKILL)
        began = time.monotonic()
        _, message = process.communicate(timeout=2 * _MOST_SECONDS_TO_NOTICE)
        seconds = time.monotonic() - began
    ended = subprocess.run([*command, "--resume"], check=False)
    complete = ended.returncode == 0 and len(_metrics(out)) == epochs
    noticed = seconds <= _MOST_SECONDS_TO_NOTICE and process.returncode == 1
    findings = [
        Finding(
            "a killed rank is noticed",
            f"after {seconds:.1f} s, exit code {process.returncode}",
            f"within {_MOST_SECONDS_TO_NOTICE:.0f} s, exit code 1",
            noticed,
        ),
        Finding("its last line on stderr", message.strip().rpartition("\n")[2]),
        Finding("resumed to the last epoch", "yes" if complete else "no", "yes", complete),
    ]
    figures = {"seconds": seconds, "message": message, "resumed": ended.returncode}
    return Outcome(findings, figures)


def _users_of_ranks(work: Work) -> int:
    return work.size(512, 20)


def _write_users(work: Work, folder: Path, users: int, kind: str = "baseline") -> Path:
    """Write a manifest of labelled users, unless it exists; its cache depends on its time."""
    manifest = folder / "manifest.parquet"
    if not manifest.exists():
        write_labelled(folder, read_images(work, kind), users)
    return manifest


def _write_held_out(work: Work, folder: Path, users: int) -> Path:
    """Write held-out users, who share no image with those to learn from."""
    return _write_users(work, folder / "held-out", users, "progressive")


def _options(work: Work, folder: Path) -> list[str]:
    options = ["--devices", work.device, "--decoder", "dali", "--cache", str(folder / "cache")]
    return [*options, *work.size((), ("--frame-size", "32"))]


def _metrics(run_folder: Path) -> list[dict[str, Any]]:
    lines = (run_folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _wait_for_epoch(process: subprocess.Popen[str], out: Path) -> None:
    """Wait until the first epoch of a training is complete."""
    while process.poll() is None:
        with suppress(FileNotFoundError):
            if _metrics(out):
                return
        time.sleep(0.02)
    raise RuntimeError(f"the training ended by itself: {process.communicate()[1]}")


def _other_ranks(process: int) -> list[int]:
    """Return the training processes besides the first."""
    return [each for each in tree(process)[1:] if b"spawn_main" in _command_of(each)]


def _command_of(process: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""
