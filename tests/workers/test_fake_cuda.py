"""What a predictor asks of a GPU, found without one: every network, precision, view and order."""

from collections.abc import Iterator

import pytest
import torch
from torch.nn.functional import interpolate

from tests.fake_cuda import FakeCuda, fake_cuda


@pytest.fixture
def cuda() -> Iterator[FakeCuda]:
    with fake_cuda() as device:
        yield device


# --- the fake device itself --------------------------------------------------------------------


def test_an_operator_that_mixes_devices_fails(cuda: FakeCuda) -> None:
    with pytest.raises(Exception, match="two devices, cuda:0 and cpu"):
        torch.stack([torch.ones(3, device=cuda.device), torch.ones(3)])


def test_a_type_without_a_kernel_is_a_fault(cuda: FakeCuda) -> None:
    frames = torch.ones(1, 3, 8, 8, device=cuda.device)
    with cuda.recording() as record:
        interpolate(frames, (4, 4), mode="bilinear", antialias=True)
    assert not record.faults
    with cuda.recording() as record:
        interpolate(frames.to(torch.uint8), (4, 4), mode="bilinear", antialias=True)
    assert list(record.faults) == ["_upsample_bilinear2d_aa of torch.uint8, outside tweetprofile"]


def test_launches_views_copies_and_waits_are_counted_apart(cuda: FakeCuda) -> None:
    with cuda.recording() as record:
        there = torch.zeros(2, 3).to(cuda.device)
        there.view(3, 2).t().add(1).cpu()
        there.sum().item()
        there[there > 0]
        there[torch.tensor([0])]
    assert record.launches == {"add": 1, "sum": 1, "gt": 1, "index": 2}
    assert record.views == {"view": 1, "t": 1}
    assert record.to_device.total() == 2, "the zeros, and the numbers of the rows"
    assert record.to_host.total() == 1
    assert [wait.split()[0] for wait in record.waits] == ["local_scalar_dense", "index"]


def test_gradients_reach_the_weights_and_an_optimiser_moves_them(cuda: FakeCuda) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    network.to(cuda.device)
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.ones(5, 3, device=cuda.device)).sum().backward()
    gradients = [each.grad for each in network.parameters()]
    assert [each.shape for each in gradients if each is not None] == [
        each.shape for each in network.parameters()
    ]
    with cuda.recording() as record:
        optimiser.step()
    assert not record.faults
    assert record.launches.total() < 20, "the optimiser moves all weights at once"
