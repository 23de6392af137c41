"""Several processes train as one does, a killed run resumes to the same result, time is limited."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import polars as pl
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.errors import OptionError, OutputError
from tweetprofile.scoring.epochs import METRICS, EpochMetrics
from tweetprofile.training.folder import FolderOptions
from tweetprofile.training.metrics_file import append_metrics, cut_metrics
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.plan import plan_training
from tweetprofile.training.recipes import RECIPES, Recipe
from tweetprofile.training.run import train_manifest
from tweetprofile.training.same_settings import ADDED
from tweetprofile.training.settings import TrainOptions
from tweetprofile.training.state import STATE

QUICK = TrainOptions(epochs=4, frame_size=16, batch_size=4, devices="cpu", decoder="pillow")


class Recorder(TrainObserver):
    """Records the events it receives, and calls a function at the end of each epoch."""

    def __init__(self, at_epoch: Callable[[int], None] = lambda epoch: None) -> None:
        self.epochs: list[EpochMetrics] = []
        self.warnings: list[str] = []
        self._at_epoch = at_epoch

    def on_warning(self, sentence: str) -> None:
        self.warnings.append(sentence)

    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        self.epochs.append(metrics)
        self._at_epoch(metrics.epoch)


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / METRICS).read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["deepset", "model1"])
def test_two_processes_have_the_same_loss_as_one(
    dump: Path, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = replace(RECIPES["default"], mixed_precision=False)
    monkeypatch.setitem(cast(dict[str, Recipe], RECIPES), "default", exact)
    options = replace(QUICK, model=model, members=2)
    for devices in ("cpu", "cpu,cpu"):
        train_manifest(
            dump / "train.parquet", tmp_path / devices, replace(options, devices=devices)
        )
    assert losses(tmp_path / "cpu,cpu") == pytest.approx(losses(tmp_path / "cpu"), rel=1e-3)


NORMALISE = """
import sys, torch
from torch import nn
from tweetprofile.training.distributed import Rank, SyncedNorm, all_ranks

def normalise(rank, batches):
    norm, x = SyncedNorm(nn.BatchNorm2d(3)), batches[rank.number].requires_grad_()
    (norm(x) ** 3).sum().backward()
    return norm.get_buffer("running_var"), x.grad

if __name__ == "__main__":
    whole = torch.load(sys.argv[1])
    cpu = torch.device("cpu")
    batches = [whole[:2].clone(), whole[2:].clone()]
    with all_ranks([cpu, cpu], normalise, batches) as rank:
        torch.save(normalise(rank, batches), sys.argv[1])
"""


@pytest.mark.slow
def test_two_processes_normalise_as_one_does_the_whole_batch(tmp_path: Path) -> None:
    whole = torch.randn(5, 3, 4, 4) * 3 + 100
    (tmp_path / "check.py").write_text(NORMALISE)
    torch.save(whole, tmp_path / "batch")
    command = [sys.executable, str(tmp_path / "check.py"), str(tmp_path / "batch")]
    subprocess.run(command, check=True, timeout=120)
    var, gradient = torch.load(tmp_path / "batch")
    norm, x = nn.BatchNorm2d(3), whole.requires_grad_()
    (norm(x) ** 3).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(var, norm.running_var)
    torch.testing.assert_close(gradient, x.grad[:2], atol=1e-3, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["deepset", "model2"])
def test_a_killed_run_resumes_to_the_same_result(dump: Path, tmp_path: Path, model: str) -> None:
    options = ["--frame-size", "16", "--batch-size", "4", "--devices", "cpu", "--model", model]
    options += ["--members", "2"]
    command = [sys.executable, "-m", "tweetprofile", "train", str(dump / "train.parquet")]
    command += [*options, "--epochs", "30", "--quiet", "-o"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    run = tmp_path / "killed"
    for epochs in (3, 18):  # while the first and the second member learn
        process = subprocess.Popen([*command, str(run), "--resume"])
        while process.poll() is None and epochs_done(run) < epochs:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert (run / STATE).exists()
        assert not (run / "model.safetensors").exists()
    subprocess.run([*command, str(run), "--resume"], check=True)
    assert losses(run) == pytest.approx(losses(tmp_path / "whole"), rel=1e-4)
    whole, resumed = (
        load_checkpoint(folder / "model.safetensors").state for folder in (tmp_path / "whole", run)
    )
    for name, tensor in whole.items():
        torch.testing.assert_close(resumed[name], tensor, atol=1e-4, rtol=1e-3)
    assert not (run / STATE).exists()


def epochs_done(run: Path) -> int:
    path = run / METRICS
    return len(path.read_text().splitlines()) if path.exists() else 0


def interrupted(dump: Path, run: Path, options: TrainOptions = QUICK) -> None:
    """Train, and stop after the first epoch."""

    def stop(epoch: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_manifest(dump / "train.parquet", run, options, Recorder(stop))


def test_an_unfinished_run_is_neither_replaced_nor_resumed_by_default(
    dump: Path, tmp_path: Path
) -> None:
    interrupted(dump, tmp_path / "run")
    with pytest.raises(OutputError, match="holds an unfinished run; pass `resume=True`"):
        train_manifest(dump / "train.parquet", tmp_path / "run", QUICK)


def test_a_run_with_other_settings_is_not_resumed(dump: Path, tmp_path: Path) -> None:
    interrupted(dump, tmp_path / "run")
    other = replace(QUICK, learning_rate=1e-3, seed=4)
    with pytest.raises(OutputError, match="holds a run with another learning_rate, seed; give"):
        train_manifest(dump / "train.parquet", tmp_path / "run", other, resume=True)


def test_a_run_that_recorded_no_detail_is_resumed_with_that_of_frames_and_no_other(
    dump: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    interrupted(dump, run)
    with safe_open(run / STATE, "pt") as file:
        header = json.loads(file.metadata()["state"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name in ADDED:  # version 0.1.0 did not write these
        header["settings"].pop(name, None)
    save_file(tensors, run / STATE, {"state": json.dumps(header)})
    resume, full = FolderOptions(resume=True), replace(QUICK, detail="full")
    with pytest.raises(OutputError, match="holds a run with another detail; give the same"):
        plan_training(dump / "train.parquet", run, full, resume)
    assert plan_training(dump / "train.parquet", run, QUICK, resume).options.detail == "frame"


def test_a_damaged_state_is_refused_with_a_fix(dump: Path, tmp_path: Path) -> None:
    interrupted(dump, tmp_path / "run")
    state = tmp_path / "run" / STATE
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(OutputError, match=r"cannot be resumed from .* pass `overwrite=True`"):
        train_manifest(dump / "train.parquet", tmp_path / "run", QUICK, resume=True)


def test_resuming_removes_damaged_lines_of_the_metrics(dump: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupted(dump, run)
    with (run / METRICS).open("ab") as lines:
        lines.write(b"[]\n{\xff}\n" + b"[" * 5000 + b"\n")
    train_manifest(dump / "train.parquet", run, QUICK, resume=True)
    epochs = [json.loads(line)["epoch"] for line in (run / METRICS).read_text().splitlines()]
    assert epochs == [1, 2, 3, 4]


def test_resuming_a_finished_run_returns_its_summary(dump: Path, tmp_path: Path) -> None:
    first = train_manifest(dump / "train.parquet", tmp_path / "run", QUICK)
    recorder = Recorder()
    again = train_manifest(dump / "train.parquet", tmp_path / "run", QUICK, recorder, resume=True)
    assert not recorder.epochs
    assert again.best == first.best
    assert again.calibration == first.calibration
    other = replace(QUICK, epochs=9)
    with pytest.raises(OutputError, match="holds a run with another epochs; give the same"):
        train_manifest(dump / "train.parquet", tmp_path / "run", other, resume=True)


def test_a_member_without_improvement_stops_and_the_next_begins(dump: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    slow = replace(QUICK, epochs=200, members=2, patience=4, learning_rate=1e-12)
    summary = train_manifest(dump / "train.parquet", tmp_path / "run", slow, recorder)
    first = [each for each in recorder.epochs if each.epoch <= 100]
    second = [each for each in recorder.epochs if each.epoch > 100]
    for epochs, kept in zip((first, second), summary.kept_epochs, strict=True):
        assert 1 < len(epochs) < 100
        assert kept == max(epochs, key=lambda metrics: metrics.mean_macro_f1).epoch


def test_training_ends_when_patience_is_over(dump: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    slow = replace(QUICK, epochs=200, patience=3, learning_rate=1e-12)
    summary = train_manifest(dump / "train.parquet", tmp_path / "run", slow, recorder)
    assert len(recorder.epochs) - summary.kept_epochs[0] == 3


@pytest.mark.slow
def test_minutes_limit_the_number_of_epochs(dump: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    hasty = replace(QUICK, epochs=10_000, minutes=0.1, val_fraction=0.0)
    train_manifest(dump / "train.parquet", tmp_path / "run", hasty, recorder)
    assert 1 <= len(recorder.epochs) < 1_000
    # On a busy machine only the first epoch may fit in, and the rate cannot fall.
    rates = [each.learning_rate for each in recorder.epochs]
    assert len(rates) == 1 or rates[-1] < max(rates)


def test_an_image_on_both_sides_of_the_split_leads_to_a_warning(dump: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(dump / "test.parquet").filter(pl.col("images").list.len() > 0)
    frame.head(2).write_parquet(dump / "val.parquet")
    recorder = Recorder()
    options = replace(QUICK, epochs=1, val=str(dump / "val.parquet"))
    train_manifest(dump / "test.parquet", tmp_path / "run", options, recorder)
    shared, few = recorder.warnings
    assert "images in common with training users: their scores are flattered" in shared
    assert few.startswith("few held-out users have a label")


def test_more_processes_than_users_per_step_are_refused(dump: Path, tmp_path: Path) -> None:
    many = replace(QUICK, devices=",".join(["cpu"] * 5))
    with pytest.raises(OptionError, match="5 processes cannot share batches of 4"):
        train_manifest(dump / "train.parquet", tmp_path / "run", many)


@pytest.mark.gpu
@pytest.mark.parametrize("model", ["deepset", "model1"])
def test_training_on_a_gpu_starts_as_on_a_cpu(dump: Path, tmp_path: Path, model: str) -> None:
    options = replace(QUICK, model=model, epochs=1)
    for devices in ("cpu", "cuda:0"):
        chosen = replace(options, devices=devices, learning_rate=1e-9)
        train_manifest(dump / "train.parquet", tmp_path / devices, chosen)
    assert losses(tmp_path / "cuda:0") == pytest.approx(losses(tmp_path / "cpu"), rel=0.02)


@pytest.mark.gpu
def test_all_gpus_train_together(dump: Path, tmp_path: Path) -> None:
    summary = train_manifest(
        dump / "train.parquet", tmp_path / "run", replace(QUICK, devices="cuda", batch_size=8)
    )
    assert summary.checkpoint.exists()


@pytest.mark.gpu
def test_two_processes_share_a_gpu(dump: Path, tmp_path: Path) -> None:
    for devices in ("cuda:0", "cuda:0,cuda:0"):
        chosen = replace(QUICK, devices=devices, epochs=1, learning_rate=1e-9)
        train_manifest(dump / "train.parquet", tmp_path / devices, chosen)
    assert losses(tmp_path / "cuda:0,cuda:0") == pytest.approx(
        losses(tmp_path / "cuda:0"), rel=0.02
    )


@pytest.mark.gpu
@pytest.mark.parametrize("model", ["deepset", "model1"])
def test_a_training_on_a_gpu_repeats_to_the_bit(dump: Path, tmp_path: Path, model: str) -> None:
    states = [
        load_checkpoint(
            train_manifest(
                dump / "train.parquet",
                tmp_path / run,
                replace(QUICK, model=model, devices="cuda:0"),
            ).checkpoint
        ).state
        for run in ("one", "two")
    ]
    for name, tensor in states[0].items():
        assert torch.equal(states[1][name], tensor), name


def test_a_hard_link_to_the_metrics_of_a_run_is_not_written_to(tmp_path: Path) -> None:
    metrics = EpochMetrics(
        epoch=1,
        loss=1.0,
        val_loss=None,
        scores={},
        mean_macro_f1=0.0,
        learning_rate=0.1,
        seconds=1.0,
    )
    append_metrics(tmp_path, metrics)
    append_metrics(tmp_path, replace(metrics, epoch=2))
    (tmp_path / "backup").hardlink_to(tmp_path / METRICS)
    before = (tmp_path / "backup").read_text()
    for done in (1, 0):
        cut_metrics(tmp_path, done)
        append_metrics(tmp_path, metrics)
        assert (tmp_path / "backup").read_text() == before
