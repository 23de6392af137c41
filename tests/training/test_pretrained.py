"""Initial weights are taken as far as they fit, and the others are named."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.errors import CheckpointError
from tweetprofile.networks import Network, build_network, ensemble_of, network_spec
from tweetprofile.training.pretrained import load_weights
from tweetprofile.traits import PRESETS, Trait, TraitSchema
from tweetprofile.volumes.spec import VolumeSpec

SMALL = VolumeSpec(height=32, width=32)
MOODS = TraitSchema((Trait("mood", ("calm", "cross")),))


def network(name: str, schema: TraitSchema = MOODS, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    built = build_network(network_spec(name), SMALL, schema)
    built.initialise()
    return built


def resnet18_names() -> list[str]:
    """Return the names of torchvision's resnet18 without its classifier."""
    norms = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    names = ["conv1.weight", *(f"bn1.{name}" for name in norms)]
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            for number in (1, 2):
                names.append(f"layer{layer}.{block}.conv{number}.weight")
                names += [f"layer{layer}.{block}.bn{number}.{name}" for name in norms]
        if layer > 1:
            names.append(f"layer{layer}.0.downsample.0.weight")
            names += [f"layer{layer}.0.downsample.1.{name}" for name in norms]
    return names


def save_backbone(path: Path, name: str, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    state = network(name, seed=5).state_dict()
    backbone = {
        key.removeprefix("backbone."): value for key, value in state.items() if "heads" not in key
    }
    save_file({key: value.clone() for key, value in (backbone | more).items()}, path)
    return backbone


def test_a_resnet18_of_torchvision_fills_the_backbone(tmp_path: Path) -> None:
    classifier = {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    backbone = save_backbone(tmp_path / "r.safetensors", "deepset-resnet18", **classifier)
    assert sorted(backbone) == sorted(resnet18_names())
    fresh = network("deepset-resnet18")
    loaded = load_weights(fresh, tmp_path / "r.safetensors")
    assert loaded.loaded == len(backbone)
    assert loaded.missing == ("heads.head_mood.weight", "heads.head_mood.bias")
    assert loaded.unexpected == ("fc.bias", "fc.weight")
    torch.testing.assert_close(
        fresh.state_dict()["backbone.layer3.1.conv2.weight"], backbone["layer3.1.conv2.weight"]
    )


def test_a_vgg_of_torchvision_is_loaded_with_and_without_normalisation(tmp_path: Path) -> None:
    backbone = save_backbone(tmp_path / "v.safetensors", "deepset-vgg16")
    convolutions = [key for key, value in backbone.items() if value.ndim == 4]
    # The numbers in vgg16_bn: a pool follows 2, 2, 3, 3 and 3 of (convolution, norm, ReLU).
    numbers = [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40]
    assert convolutions == [f"features.{number}.weight" for number in numbers]
    assert load_weights(network("deepset-vgg16"), tmp_path / "v.safetensors").unexpected == ()


def test_weights_of_a_network_wrapped_for_several_gpus_are_found(tmp_path: Path) -> None:
    backbone = save_backbone(tmp_path / "r.safetensors", "deepset")
    wrapped = {f"module.{name}": value.clone() for name, value in backbone.items()}
    save_file(wrapped, tmp_path / "w.safetensors")
    assert load_weights(network("deepset"), tmp_path / "w.safetensors").unexpected == ()


@pytest.mark.parametrize("name", ["model1", "model2", "deepset"])
def test_a_checkpoint_with_other_heads_fills_everything_else(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    trained = network(name, PRESETS["mex-a3t-2019"], seed=5)
    save_checkpoint(path, trained, {})
    fresh = network(name)
    loaded = load_weights(fresh, path)
    assert loaded.missing == ("heads.head_mood.weight", "heads.head_mood.bias")
    assert all("head_" in each for each in loaded.unexpected)
    shared = [key for key in fresh.state_dict() if "heads" not in key]
    for key in shared:
        torch.testing.assert_close(fresh.state_dict()[key], trained.state_dict()[key])


def test_the_last_member_of_an_ensemble_is_taken(tmp_path: Path) -> None:
    members = [network("deepset", seed=seed) for seed in range(11)]
    save_checkpoint(tmp_path / "model.safetensors", ensemble_of(members), {})
    fresh = network("deepset", seed=99)
    assert load_weights(fresh, tmp_path / "model.safetensors").missing == ()
    name = "backbone.conv1.weight"
    assert torch.equal(fresh.state_dict()[name], members[10].state_dict()[name])


def test_a_weight_of_another_shape_is_named_and_left_out(tmp_path: Path) -> None:
    backbone = save_backbone(tmp_path / "r.safetensors", "deepset")
    wide = {"layer4.0.conv2.weight": torch.zeros(9, 9, 3, 3)}
    save_file({key: value.clone() for key, value in (backbone | wide).items()}, tmp_path / "w")
    loaded = load_weights(network("deepset"), tmp_path / "w")
    assert "backbone.layer4.0.conv2.weight" in loaded.missing
    assert loaded.unexpected == ("layer4.0.conv2.weight",)


def test_a_file_in_which_nothing_fits_is_refused(tmp_path: Path) -> None:
    save_file({"fc.weight": torch.zeros(3, 3)}, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=r"no weight of the `init` file .* fits"):
        load_weights(network("model1"), tmp_path / "w.safetensors")


def test_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"w.pt is not a readable safetensors .*save_file"):
        load_weights(network("deepset"), tmp_path / "w.pt")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
def test_a_weight_that_is_not_finite_is_refused_by_name(tmp_path: Path, dtype: torch.dtype) -> None:
    state = network("deepset").state_dict()
    name = "heads.head_mood.bias"
    state[name] = torch.full_like(state[name], torch.nan).to(dtype)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=rf"the weight '{name}' of the `init` file"):
        load_weights(network("deepset"), tmp_path / "w.safetensors")


def test_half_precision_and_unaligned_weights_are_read(tmp_path: Path) -> None:
    state = network("deepset", seed=5).state_dict()
    half = {name: value.half() for name, value in state.items()} | {"z": torch.ones(3).bool()}
    save_file(half, tmp_path / "w.safetensors")
    data = (tmp_path / "w.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    odd = (length + 1).to_bytes(8, "little") + b" " + data[8:]  # every value at an odd offset
    (tmp_path / "odd.safetensors").write_bytes(odd)
    fresh = network("deepset")
    load_weights(fresh, tmp_path / "odd.safetensors")
    name = "heads.head_mood.weight"
    torch.testing.assert_close(fresh.state_dict()[name], state[name], atol=1e-3, rtol=1e-2)
