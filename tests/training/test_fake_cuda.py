"""What a training asks of a GPU, on a fake one: few operations, no waits, none that CUDA lacks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

from tests.fake_cuda import FakeCuda, Record, fake_cuda
from tests.operators import UNORDERED, Operators
from tests.training.setups import make_setup
from tweetprofile.training.batches import Batches, DeviceFrames
from tweetprofile.training.distributed import Rank, all_ranks
from tweetprofile.training.feed import Feed
from tweetprofile.training.inputs import make_inputs
from tweetprofile.training.learner import Learner
from tweetprofile.training.loop import Trainer
from tweetprofile.training.loss import EpochLoss
from tweetprofile.training.recipes import RECIPES, RecipeName
from tweetprofile.training.setup import TrainingSetup
from tweetprofile.training.validation import Validator


@pytest.fixture
def cuda() -> Iterator[FakeCuda]:
    with fake_cuda() as device:
        yield device


def record_step(cuda: FakeCuda, setup: TrainingSetup) -> Record:
    """Return what one step asks for, after a first one."""
    rank = Rank(0, 1, cuda.device)
    learner = Learner(setup, rank)
    frames = DeviceFrames([setup.train.cache], Feed.of(cuda.device))
    batches = Batches(setup, frames, make_inputs(setup, rank.device), rank).draw(
        np.random.default_rng(0)
    )
    losses = EpochLoss(1, 2, setup.recipe, rank)
    learner.start_epoch()
    losses.add(learner.step(next(batches), rate=1e-3, kept=0.9))
    with cuda.recording() as record:
        losses.add(learner.step(next(batches), rate=1e-3, kept=0.9))
    return record


@pytest.mark.parametrize(
    ("model", "recipe", "most"),
    [("deepset", "default", 300), ("model1", "default", 200), ("model1", "paper", 100)],
)
def test_a_step_asks_for_few_operations_and_one_copy_and_waits_for_nothing(
    cuda: FakeCuda, tmp_path: Path, model: str, recipe: RecipeName, most: int
) -> None:
    record = record_step(cuda, make_setup(tmp_path, model, recipe, users=64))
    assert record.launches.total() + record.to_device.total() <= most, record.launches
    assert record.to_device.total() == 1, record.to_device
    assert not record.to_host
    assert not record.waits
    assert not record.faults


@pytest.mark.parametrize("model", ["deepset", "deepset-resnet18", "deepset-vgg11", "model2"])
def test_a_step_of_any_network_runs_on_cuda_in_a_fixed_order(
    cuda: FakeCuda, tmp_path: Path, model: str
) -> None:
    record = record_step(cuda, make_setup(tmp_path, model, users=64))
    assert record.to_device.total() == 1, record.to_device
    assert not record.waits
    assert not record.faults
    assert not {name.rstrip("_") for name in record.launches} & UNORDERED


def test_frames_that_do_not_stay_on_the_gpu_are_a_second_copy(
    cuda: FakeCuda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (1 << 20, 80 << 30))
    record = record_step(cuda, make_setup(tmp_path, users=64))
    assert record.to_device.total() == 2, record.to_device
    assert not record.waits


def test_arrays_travel_from_pinned_memory_because_others_are_waited_for(cuda: FakeCuda) -> None:
    with Operators() as called:
        Feed.of(cuda.device).send([np.zeros(3), np.zeros(4, np.int64)])
    assert "_pin_memory" in called.names


def test_losses_are_read_once_in_many_steps(cuda: FakeCuda) -> None:
    losses = EpochLoss(1, 200, RECIPES["default"], Rank(0, 1, cuda.device))
    with cuda.recording() as record:
        for _ in range(200):
            losses.add(torch.ones((), device=cuda.device))
    assert record.to_host.total() == 3
    assert not record.waits


@pytest.mark.parametrize("model", ["deepset", "model1"])
def test_validation_runs_on_cuda_with_one_copy_per_batch(
    cuda: FakeCuda, tmp_path: Path, model: str
) -> None:
    setup = make_setup(tmp_path, model, users=64)
    network = Learner(setup, Rank(0, 1, cuda.device)).average.network
    frames = DeviceFrames([setup.val.cache], Feed.of(cuda.device))
    validator = Validator(setup, frames, make_inputs(setup, cuda.device), cuda.device)
    with cuda.recording() as record:
        validator.score(network)
    assert record.to_device.total() == 1, record.to_device
    assert record.to_host.total() == 3, "the logits of each trait, when all are computed"
    assert not record.waits
    assert not record.faults


class StopError(Exception):
    """Ends a training in its first forward pass."""


@pytest.mark.parametrize(("recipe", "precision"), [("paper", "ieee"), ("default", "tf32")])
def test_training_in_fp32_uses_no_tf32_and_repeats_its_results(
    cuda: FakeCuda, tmp_path: Path, recipe: RecipeName, precision: str
) -> None:
    found = []

    def note(*_: object) -> None:
        backend: Any = torch.backends.cudnn
        found.append((backend.deterministic, backend.conv.fp32_precision))
        raise StopError

    trainer = Trainer(make_setup(tmp_path, "model1", recipe), Rank(0, 1, cuda.device))
    with (
        register_module_forward_hook(note),
        pytest.raises(StopError),
    ):
        trainer.run()
    assert found == [(True, precision)]


def test_one_process_computes_on_the_gpu_it_was_given(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr("torch.cuda.set_device", chosen.append)
    second = torch.device("cuda", 1)
    with all_ranks([second], print, None) as rank:
        assert rank.device == second
    assert chosen == [second], "otherwise pinned memory is made by way of the first GPU"
