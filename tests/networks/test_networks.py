"""The networks agree with the paper, and their variants with each other."""

import json

import pytest
import torch
from torch import nn

from tests.operators import UNORDERED, Operators
from tweetprofile.errors import OptionError
from tweetprofile.networks import (
    PRESETS,
    Cnn3d,
    DeepSet,
    Network,
    build_network,
    fold_normalisation,
    for_inference,
    network_spec,
    spec_from_dict,
    spec_to_dict,
)
from tweetprofile.traits import PRESETS as SCHEMAS
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.volumes.stacking import frame_mask

MEX_A3T = SCHEMAS["mex-a3t-2019"]
SMALL = VolumeSpec(height=32, width=32)


def layers(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, kind)]


def paper_network(name: str, volume: VolumeSpec = SMALL) -> Network:
    return build_network(network_spec(name), volume, MEX_A3T)


@pytest.mark.parametrize(("name", "convolutions"), [("model1", 4), ("model2", 7)])
def test_a_model_has_as_many_convolutions_as_the_paper_says(name: str, convolutions: int) -> None:
    assert len(layers(paper_network(name), nn.Conv3d)) == convolutions


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", ["model1", "model2"])
def test_kernels_are_2_x_3_x_3_with_same_padding_and_stride_1(name: str) -> None:
    torch.manual_seed(0)
    network = paper_network(name)
    assert isinstance(network, Cnn3d)
    for block in network.blocks:
        (convolution,) = layers(block, nn.Conv3d)
        assert isinstance(convolution, nn.Conv3d)
        assert convolution.kernel_size == (2, 3, 3)
        assert convolution.stride == (1, 1, 1)
        inputs, outputs = convolution.in_channels, convolution.out_channels
        same = nn.Conv3d(inputs, outputs, (2, 3, 3), padding="same")
        same.load_state_dict(convolution.state_dict())
        x = torch.randn(1, inputs, 11, 16, 16)
        (pool,) = layers(block, nn.MaxPool3d)
        assert torch.equal(block(x), pool(same(x)).relu())


def pool_sizes(name: str) -> list[object]:
    pools = layers(paper_network(name), nn.MaxPool3d)
    return [pool.kernel_size for pool in pools if isinstance(pool, nn.MaxPool3d)]


def test_model1_pools_2_x_2_x_2_after_every_convolution() -> None:
    assert pool_sizes("model1") == [(2, 2, 2)] * 4


def test_the_last_pools_of_model2_keep_the_depth() -> None:
    assert pool_sizes("model2") == [(2, 2, 2)] * 4 + [(1, 2, 2)] * 3


@pytest.mark.parametrize("name", ["model1", "model2"])
def test_pools_keep_the_remainder_so_11_frames_become_6_3_2_and_1(name: str) -> None:
    x = torch.zeros(1, 3, 11, 32, 32)
    depths = []
    network = paper_network(name)
    assert isinstance(network, Cnn3d)
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
def test_any_frame_size_and_number_of_frames_works(name: str, side: int) -> None:
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
        network(volumes * 2 + 1)  # gives the normalisation a mean and a variance to fold
    expected = network.eval()(volumes)
    folded = fold_normalisation(network)
    assert not layers(folded, nn.BatchNorm3d)
    assert layers(network, nn.BatchNorm3d), "the network itself is unchanged"
    for trait, logits in folded(volumes).items():
        torch.testing.assert_close(logits, expected[trait], atol=1e-4, rtol=1e-4)


def test_kernels_start_almost_2d_with_the_variance_of_he() -> None:
    network = paper_network("model1")
    network.initialise()
    weight = network.state_dict()["blocks.3.conv.weight"]  # (128, 64, 2, 3, 3)
    frame, next_frame = weight.std(dim=(0, 1, 3, 4), unbiased=False).tolist()
    assert next_frame == pytest.approx(0.1 * frame, rel=0.05)
    assert weight.square().mean().item() == pytest.approx(2 / (64 * 2 * 3 * 3), rel=0.05)


def test_a_trait_may_have_the_name_of_a_method_of_a_module() -> None:
    schema = TraitSchema((Trait("type", ("a", "b")), Trait("train", ("c", "d"))))
    network = build_network(network_spec("model1"), SMALL, schema)
    assert list(network(torch.zeros(1, 3, *SMALL.shape))) == ["type", "train"]


def test_an_unknown_network_is_refused_with_all_known_names() -> None:
    with pytest.raises(
        OptionError, match=r"'model3' is unknown; choose one of deepset, .*, model2"
    ):
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


def deepset(name: str = "deepset", volume: VolumeSpec = SMALL) -> DeepSet:
    torch.manual_seed(0)
    network = build_network(network_spec(name), volume, MEX_A3T)
    network.initialise()
    assert isinstance(network, DeepSet)
    for buffer, value in network.named_buffers():
        if buffer.endswith("running_mean"):
            torch.nn.init.normal_(value, std=0.1)  # as after training
    for parameter in network.heads.parameters():
        torch.nn.init.normal_(parameter)
    return network.eval()


DEEPSETS = ["deepset", "deepset-resnet18", "deepset-vgg11", "deepset-vgg16"]


@pytest.mark.parametrize("name", DEEPSETS)
def test_a_deepset_gives_the_same_result_in_any_order(name: str) -> None:
    network, volumes = deepset(name), torch.randn(2, 3, 5, 32, 32)
    shuffled = network(volumes[:, :, torch.randperm(5)])
    for trait, logits in network(volumes).items():
        torch.testing.assert_close(shuffled[trait], logits, atol=1e-4, rtol=1e-4)


def test_frames_that_fill_a_volume_do_not_count_for_a_deepset() -> None:
    network, volumes = deepset(), torch.randn(2, 3, 11, 32, 32)
    mask = frame_mask([4, 11], 11)
    filled = network(volumes, mask)
    short = network(volumes[:1, :, :4])
    for trait, logits in short.items():
        torch.testing.assert_close(filled[trait][:1], logits, atol=1e-5, rtol=1e-4)


def test_every_frame_adds_its_evidence_to_the_logits_of_a_deepset() -> None:
    network, volumes = deepset(), torch.randn(1, 3, 11, 32, 32)
    nothing = network(volumes[:, :, :0])
    first, rest = network(volumes[:, :, :4]), network(volumes[:, :, 4:])
    for trait, logits in network(volumes).items():
        added = (first[trait] - nothing[trait]) + (rest[trait] - nothing[trait])
        torch.testing.assert_close(logits - nothing[trait], added, atol=1e-4, rtol=1e-4)


def test_a_deepset_whose_checkpoint_names_no_pool_uses_the_mean() -> None:
    data = spec_to_dict(network_spec("deepset"))
    del data["pool"]
    network = build_network(spec_from_dict(data), SMALL, MEX_A3T).eval()
    volumes = torch.randn(1, 3, 4, 32, 32)
    for trait, logits in network(volumes.repeat(1, 1, 2, 1, 1)).items():
        torch.testing.assert_close(logits, network(volumes)[trait], atol=1e-5, rtol=1e-4)


def test_in_training_frames_that_fill_a_volume_do_not_enter_the_normalisation() -> None:
    network, volumes = deepset().train(), torch.randn(2, 3, 11, 32, 32)
    mask = frame_mask([4, 11], 11)
    expected = network(volumes, mask)
    volumes[0, :, 4:] = 1e6
    for trait, logits in network(volumes, mask).items():
        torch.testing.assert_close(logits, expected[trait])


@pytest.mark.parametrize("training", [False, True])
def test_a_deepset_sums_frames_in_a_fixed_order(training: bool) -> None:
    network, volumes = deepset().train(training), torch.randn(2, 3, 11, 32, 32)
    with Operators() as called:
        logits = network(volumes, frame_mask([4, 11], 11))
        torch.cat([*logits.values()], 1).sum().backward()  # type: ignore[no-untyped-call]
    assert not called.names & UNORDERED


def test_no_bit_of_a_users_logits_depends_on_other_users_frames() -> None:
    network, volumes = deepset(), torch.randn(5, 3, 11, 32, 32)
    mask = frame_mask([4, 11, 1, 7, 9], 11)
    expected = network(volumes, mask)
    others = torch.cat([volumes[:1], torch.randn(4, 3, 11, 32, 32) * 100])
    for trait, logits in network(others, mask).items():
        assert torch.equal(logits[0], expected[trait][0])


def test_a_deepset_learns_from_given_frames_without_looking_for_them() -> None:
    network, volumes = deepset().train(), torch.randn(2, 3, 11, 32, 32)
    mask = frame_mask([4, 11], 11)
    expected, own = network(volumes, mask), mask.flatten().nonzero()[:, 0]
    with Operators() as called:
        found = network(volumes, mask, own)
    assert "nonzero" not in called.names
    for trait, logits in found.items():
        assert torch.equal(logits, expected[trait])


@pytest.mark.parametrize("frames", [1, 3, 40])
def test_a_deepset_takes_any_number_of_frames(frames: int) -> None:
    assert deepset()(torch.zeros(2, 3, frames, 32, 32))["gender"].shape == (2, 2)


@pytest.mark.parametrize("name", DEEPSETS)
def test_folding_and_lower_precision_hardly_change_a_deepset(name: str) -> None:
    network, volumes = deepset(name), torch.randint(0, 256, (3, 11, 32, 32, 3), dtype=torch.uint8)
    folded = fold_normalisation(network)
    assert not [each for each in folded.modules() if isinstance(each, nn.BatchNorm2d)]
    lower = for_inference(folded, torch.device("cpu"), torch.bfloat16)
    with torch.inference_mode():
        expected = network(SMALL.normalise(volumes))
        found = folded(SMALL.normalise(volumes))
        rough = lower(SMALL.normalise(volumes, torch.bfloat16))
    for trait, logits in expected.items():
        spread = logits.abs().max()
        assert (found[trait] - logits).abs().max() < 1e-4 * spread
        assert (rough[trait] - logits).abs().max() < 0.05 * spread


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": (1,)},
        {"layers": (0, 1, 1, 1)},
        {"stem": "tiny"},
        {"norm": "none"},
        {"pool": "max"},
    ],
)
def test_a_deepset_out_of_range_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        network_spec("deepset", **changes)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_json(name: str) -> None:
    spec = network_spec(name)
    assert spec_from_dict(json.loads(json.dumps(spec_to_dict(spec)))) == spec


def test_a_kind_of_network_from_the_future_is_refused() -> None:
    with pytest.raises(OptionError, match="a network of kind 'graph' is unknown"):
        spec_from_dict({"kind": "graph"})
