"""What a predictor asks of a GPU, found without one: every network, precision, view and order."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import interpolate

from tests.fake_cuda import FakeCuda, fake_cuda
from tests.workers.backbones import make_backbone, save_model
from tweetprofile.checkpoints.checkpoint import Checkpoint
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.job import Precision, PredictorOptions
from tweetprofile.networks import PRESETS, build_network, network_spec
from tweetprofile.traits import PRESETS as SCHEMAS
from tweetprofile.volumes.spec import Fill, VolumeSpec
from tweetprofile.workers.predictor import Predictor

MEX_A3T = SCHEMAS["mex-a3t-2019"]


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


# --- predicting --------------------------------------------------------------------------------


@cache
def untrained(network: str, fill: Fill = "repeat") -> Checkpoint:
    """Return the checkpoint of a network whose weights nobody reads."""
    spec = network_spec(network)
    volume = VolumeSpec(height=32, width=32, fill=fill)
    checkpoint = Checkpoint(
        path=Path("model.safetensors"),
        sha256="0" * 64,
        network_spec=spec,
        members=1,
        volume_spec=volume,
        schema=MEX_A3T,
        training={},
        temperatures=dict.fromkeys(MEX_A3T.names, 1.0),
        state=build_network(spec, volume, MEX_A3T).state_dict(),
    )
    assert checkpoint.network  # built now, with real weights
    return checkpoint


def frames_of(cuda: FakeCuda, *counts: int) -> list[torch.Tensor]:
    """Return users with so many frames each, as DALI gives them."""
    return [
        torch.zeros((count, 32, 32, 3), dtype=torch.uint8, device=cuda.device) for count in counts
    ]


def on_cuda(precision: Precision, **options: Any) -> PredictorOptions:
    # DALI needs the real device to start; its frames are given to the predictor by `frames_of`.
    return PredictorOptions(device="cuda", decoder="pillow", precision=precision, **options)


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("network", list(PRESETS))
def test_every_network_in_every_precision_asks_only_for_kernels_that_exist(
    network: str, precision: Precision
) -> None:
    """Users with a full volume, a short one and none, in every view and in two orders."""
    checkpoint = untrained(network)
    orders = 1 if network.startswith("deepset") else 2
    with fake_cuda() as cuda:
        predictor = Predictor(checkpoint, on_cuda(precision, orders=orders, views=4))
        with cuda.recording() as record:
            rows = predictor._images.predict(frames_of(cuda, 11, 3, 0)).probabilities
    assert not record.faults
    assert not record.unchecked
    assert record.launches["convolution"] > 0
    assert {trait: row.shape for trait, row in rows.items()} == {
        trait.name: (3, len(trait.classes)) for trait in MEX_A3T
    }


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
def test_a_network_over_embeddings_asks_only_for_kernels_that_exist(
    precision: Precision, tmp_path: Path
) -> None:
    checkpoint = save_model(tmp_path / "model.safetensors", make_backbone(), members=2)
    with fake_cuda() as cuda:
        options = on_cuda(precision, views=2, embedding_cache=tmp_path)
        predictor = Predictor(checkpoint, options)
        with cuda.recording() as record:
            rows = predictor._images.predict(frames_of(cuda, 11, 3, 0)).probabilities
    assert not record.faults
    assert not record.unchecked
    assert rows["gender"].shape == (3, 2)


@pytest.mark.parametrize("fill", ["repeat", "zeros"])
@pytest.mark.parametrize("counts", [(11, 3, 0), (0, 11), (3,), (0, 25)])
def test_a_user_without_frames_is_blank_on_the_device_of_the_others(
    counts: tuple[int, ...], fill: Fill
) -> None:
    checkpoint = untrained("deepset", fill)
    with fake_cuda() as cuda:
        predictor = Predictor(checkpoint, on_cuda("bf16", clips=3))
        with cuda.recording() as record:
            rows = predictor._images.predict(frames_of(cuda, *counts)).probabilities
    assert not record.faults
    assert rows["gender"].shape == (len(counts), 2)


@pytest.mark.parametrize("fill", ["repeat", "zeros"])
def test_frames_that_pillow_decodes_reach_the_device(
    good_images: dict[str, bytes], fill: Fill
) -> None:
    images = [ImageRef(data=image) for image in good_images.values()]
    users = [UserImages("few", tuple(images[:3])), UserImages("many", tuple(images))]
    nobody = UserImages("nobody", (ImageRef(data=b""),))
    checkpoint = untrained("deepset", fill)
    with fake_cuda() as cuda:
        predictor = Predictor(checkpoint, on_cuda("bf16", threads=1))
        with cuda.recording() as record:
            profiles = predictor([*users, nobody])
    assert profiles["frames_used"].to_pylist() == [3, 11, 0]
    assert not record.faults


def test_a_batch_goes_to_the_device_and_back_without_another_wait() -> None:
    checkpoint = untrained("deepset")
    with fake_cuda() as cuda:
        predictor = Predictor(checkpoint, on_cuda("bf16"))
        frames = frames_of(cuda, *[11] * 64)
        with cuda.recording() as record:
            predictor._images.predict(frames)
    assert not record.waits
    assert record.to_host.total() <= len(MEX_A3T.names)
    assert record.to_device.total() <= 2
    assert record.launches.total() < 100
