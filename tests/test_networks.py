"""The networks against the words of the paper, and against each other."""

import pytest
import torch
from torch import nn

from tweetprofile.errors import OptionError
from tweetprofile.networks import (
    Network,
    VolumeNetwork,
    build_network,
    fold_normalisation,
    for_inference,
    network_spec,
    spec_from_dict,
    spec_to_dict,
)
from tweetprofile.traits import PRESETS, Trait, TraitSchema
from tweetprofile.volumes import VolumeSpec

MEX_A3T = PRESETS["mex-a3t-2019"]
SMALL = VolumeSpec(height=32, width=32)


def layers(network: Network, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kind)]


def paper_network(name: str, volume: VolumeSpec = SMALL) -> Network:
    return build_network(network_spec(name), volume, MEX_A3T)


@pytest.mark.parametrize(("name", "convolutions"), [("model1", 4), ("model2", 7)])
def test_a_model_has_as_many_convolutions_as_the_paper_says(name: str, convolutions: int) -> None:
    assert len(layers(paper_network(name), nn.Conv3d)) == convolutions


@pytest.mark.parametrize("name", ["model1", "model2"])
def test_kernels_are_2_x_3_x_3_with_same_padding_and_stride_1(name: str) -> None:
    for convolution in layers(paper_network(name), nn.Conv3d):
        assert isinstance(convolution, nn.Conv3d)
        assert convolution.kernel_size == (2, 3, 3)
        assert convolution.padding == "same"
        assert convolution.stride == (1, 1, 1)


def pool_sizes(name: str) -> list[object]:
    pools = layers(paper_network(name), nn.MaxPool3d)
    return [pool.kernel_size for pool in pools if isinstance(pool, nn.MaxPool3d)]


def test_model1_pools_2_x_2_x_2_after_every_convolution() -> None:
    assert pool_sizes("model1") == [(2, 2, 2)] * 4


def test_the_last_pools_of_model2_leave_the_depth_alone() -> None:
    assert pool_sizes("model2") == [(2, 2, 2)] * 4 + [(1, 2, 2)] * 3


@pytest.mark.parametrize("name", ["model1", "model2"])
def test_pools_keep_what_is_left_over_so_11_frames_become_6_3_2_and_1(name: str) -> None:
    x = torch.zeros(1, 3, 11, 32, 32)
    depths = []
    network = paper_network(name)
    assert isinstance(network, VolumeNetwork)
    for block in network.blocks:
        x = block(x)
        depths.append(x.shape[2])
    assert depths[:4] == [6, 3, 2, 1]
    assert set(depths[4:]) <= {1}


@pytest.mark.parametrize("name", ["model1", "model2"])
def test_the_heads_have_2_6_and_8_classes(name: str) -> None:
    logits = paper_network(name)(torch.zeros(2, 3, 11, 32, 32))
    assert {trait: tuple(values.shape) for trait, values in logits.items()} == {
        "gender": (2, 2),
        "location": (2, 6),
        "occupation": (2, 8),
    }


@pytest.mark.parametrize("name", ["model1", "model2"])
def test_the_papers_network_has_no_normalisation(name: str) -> None:
    assert not layers(paper_network(name), nn.BatchNorm3d)


@pytest.mark.parametrize("name", ["model1", "model2"])
@pytest.mark.parametrize("side", [16, 33, 112])
def test_any_frame_size_and_number_of_frames_fits(name: str, side: int) -> None:
    volume = VolumeSpec(frames=5, height=side, width=side + 7)
    network = paper_network(name, volume).eval()
    assert network(torch.zeros(1, 3, *volume.shape))["gender"].shape == (1, 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["model1", "model2"])
def test_for_inference_only_the_convolutions_compute_in_lower_precision(
    name: str, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    network = paper_network(name).eval()
    network.initialise()
    lower = for_inference(network, torch.device("cpu"), dtype)
    volumes = torch.randint(0, 256, (3, *SMALL.shape, 3), dtype=torch.uint8)
    with torch.inference_mode():
        expected = network(SMALL.normalise(volumes))
        found = lower(SMALL.normalise(volumes, dtype))
    for trait, logits in found.items():
        assert logits.dtype == torch.float32
        assert torch.allclose(logits, expected[trait], atol=0.02)
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["model1", "model2"])
def test_folding_batch_normalisation_changes_no_prediction(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(network_spec(name, norm="batch"), SMALL, MEX_A3T)
    volumes = torch.randn(4, 3, *SMALL.shape)
    for _ in range(3):
        network(volumes * 2 + 1)  # gives the normalisation a mean and variance worth folding
    expected = network.eval()(volumes)
    folded = fold_normalisation(network)
    assert not layers(folded, nn.BatchNorm3d)
    assert layers(network, nn.BatchNorm3d), "the network itself stays as it was"
    for trait, logits in folded(volumes).items():
        torch.testing.assert_close(logits, expected[trait], atol=1e-4, rtol=1e-4)


def test_a_trait_may_be_named_as_a_method_of_a_module() -> None:
    schema = TraitSchema((Trait("type", ("a", "b")), Trait("train", ("c", "d"))))
    network = build_network(network_spec("model1"), SMALL, schema)
    assert list(network(torch.zeros(1, 3, *SMALL.shape))) == ["type", "train"]


def test_an_unknown_network_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(OptionError, match="'model3' is unknown; give one of deepset, .*, model2"):
        network_spec("model3")


@pytest.mark.parametrize(
    "changes",
    [
        {"widths": (16, 0, 64, 128)},
        {"widths": (16,)},
        {"pools": ((3, 2, 2),) * 4},
        {"hidden": 10**9},
        {"norm": "layer"},
        {"dropout": 1.0},
    ],
)
def test_a_spec_out_of_range_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        network_spec("model1", **changes)


def test_a_spec_survives_json() -> None:
    import json

    spec = network_spec("model2", norm="batch")
    assert spec_from_dict(json.loads(json.dumps(spec_to_dict(spec)))) == spec
