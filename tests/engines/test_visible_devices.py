"""A worker sees the GPU that it computes on, and no other."""

from pathlib import Path

import pytest
import torch

from tweetprofile.engines.jobs import PredictJob
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.engines.process import WorkerProcess
from tweetprofile.engines.visible_devices import only_visible
from tweetprofile.errors import OptionError
from tweetprofile.job import PredictorOptions


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda"])
def test_nothing_is_hidden_from_a_worker_that_is_given_no_gpu_by_number(device: str) -> None:
    assert only_visible(device, {"CUDA_VISIBLE_DEVICES": "2,3"}) == {}


def test_a_worker_sees_the_gpu_of_its_number() -> None:
    assert only_visible("cuda:3", {}) == {"CUDA_VISIBLE_DEVICES": "3"}


@pytest.mark.parametrize(
    ("visible", "seen"), [("4,6", "6"), ("GPU-1a, GPU-2b", "GPU-2b"), ("4", ""), ("", "")]
)
def test_numbers_count_the_gpus_that_the_supervisor_sees(visible: str, seen: str) -> None:
    assert only_visible("cuda:1", {"CUDA_VISIBLE_DEVICES": visible}) == {
        "CUDA_VISIBLE_DEVICES": seen
    }


def test_the_engine_starts_each_worker_with_its_own_gpu(model: Path) -> None:
    job = PredictJob(model, options=PredictorOptions(decoder="pillow"))
    engine = LocalEngine(job, EngineOptions("cuda:1,cuda:2"))
    try:
        engine._start_workers(("cuda:1", "cuda:2"))
        seen = [visible_to(slot.process) for slot in engine._slots]
    finally:
        engine.close()
    assert seen == ["1", "2"]


def visible_to(process: WorkerProcess) -> str:
    """Return the GPUs that a process was told to see."""
    environment = Path(f"/proc/{process.number}/environ").read_text().split("\0")
    return dict(entry.partition("=")[::2] for entry in environment)["CUDA_VISIBLE_DEVICES"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_gpu_that_is_missing_is_named_by_its_own_number(model: Path) -> None:
    job = PredictJob(model, options=PredictorOptions(decoder="pillow"))
    with pytest.raises(OptionError, match=r"`devices` is 'cuda:5', but this machine has no usable"):
        LocalEngine(job, EngineOptions("cuda:5")).__enter__()


@pytest.mark.gpu
def test_a_worker_of_a_numbered_gpu_finds_only_that_one(model: Path) -> None:
    job = PredictJob(model, options=PredictorOptions())
    with LocalEngine(job, EngineOptions("cuda:0")) as engine:
        assert engine.facts.cuda_devices == 1
