"""A backbone gets all of its weights or none, and a record of where they came from."""

import hashlib
import json
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tweetprofile.checkpoints.weights_record import WeightsRecord, read_weights_record
from tweetprofile.errors import CheckpointError
from tweetprofile.networks.timm_backbones import backbone_facts, build_backbone, import_timm
from tweetprofile.untrusted.fields import FieldError
from tweetprofile.weights import load_backbone_weights

RESNET = "timm/test_resnet"
VIT = "timm/test_vit"


def built(name: str, seed: int = 0, side: int = 64) -> nn.Module:
    torch.manual_seed(seed)
    return build_backbone(name, side, side).eval()


@cache
def original(name: str, side: int) -> dict[str, torch.Tensor]:
    return built(name, 1, side).state_dict()


def weights(name: str = RESNET, side: int = 64) -> dict[str, torch.Tensor]:
    return {key: tensor.clone() for key, tensor in original(name, side).items()}


def load(path: Path, name: str = RESNET, side: int = 64) -> nn.Module:
    """Load weights into a new backbone, which a refusal must leave as it was."""
    backbone = built(name, side=side)
    before = {key: tensor.clone() for key, tensor in backbone.state_dict().items()}
    try:
        load_backbone_weights(backbone, backbone_facts(name), str(path))
    except CheckpointError:
        for key, tensor in backbone.state_dict().items():
            assert torch.equal(tensor, before[key])
        raise
    return backbone


def saved(tmp_path: Path, tensors: dict[str, torch.Tensor], name: str = "w.safetensors") -> Path:
    if name.endswith("safetensors"):
        save_file(tensors, tmp_path / name)
    else:
        torch.save(tensors, tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize("name", [RESNET, VIT, "timm/test_convnext", "timm/test_efficientnet"])
@pytest.mark.parametrize("file", ["w.safetensors", "w.pth"])
def test_a_backbone_with_loaded_weights_gives_the_same_vectors(
    name: str, file: str, tmp_path: Path
) -> None:
    loaded = load(saved(tmp_path, weights(name), file), name)
    frames = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(frames), built(name, 1)(frames))


def test_the_record_names_the_file_and_its_checksum(tmp_path: Path) -> None:
    path = saved(tmp_path, weights(), "resnet.safetensors")
    record = load_backbone_weights(built(RESNET), backbone_facts(RESNET), str(path))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = WeightsRecord(source="file resnet.safetensors", license=None, sha256=sha256)
    assert record == expected
    assert read_weights_record(json.loads(json.dumps(record.to_dict())), "weights") == record


@pytest.mark.parametrize(
    "value",
    [
        {"source": "file w", "license": None},
        {"source": "file w", "license": None, "sha256": "0" * 63},
        {"source": "file w", "license": 3, "sha256": "0" * 64},
        {"source": "w" * 501, "license": None, "sha256": "0" * 64},
        {"source": "file w", "license": None, "sha256": "0" * 64, "more": 1},
        "file w",
    ],
)
def test_a_record_that_nobody_wrote_is_refused(value: object) -> None:
    with pytest.raises(FieldError, match=r"^weights"):
        read_weights_record(value, "weights")


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module.model."])
def test_the_names_of_a_wrapped_network_are_understood(prefix: str, tmp_path: Path) -> None:
    wrapped = {f"{prefix}{name}": tensor for name, tensor in weights().items()}
    loaded = load(saved(tmp_path, wrapped))
    assert torch.equal(loaded.state_dict()["conv1.0.weight"], weights()["conv1.0.weight"])


@pytest.mark.parametrize(
    "name", [RESNET, VIT, "timm/test_efficientnet", "timm/test_mambaout", "timm/levit_128s"]
)
def test_the_weights_for_classes_are_not_missed(name: str, tmp_path: Path) -> None:
    whole = import_timm().create_model(name.removeprefix("timm/"), num_classes=7)
    side = backbone_facts(name).side
    assert len(whole.state_dict()) > len(weights(name, side))
    loaded = load(saved(tmp_path, whole.state_dict()), name, side).state_dict()
    assert all(torch.equal(each, whole.state_dict()[key]) for key, each in loaded.items())


def test_older_files_without_counts_of_batches_are_complete(tmp_path: Path) -> None:
    older = {name: each for name, each in weights().items() if "num_batches" not in name}
    loaded = load(saved(tmp_path, older)).state_dict()
    assert all(torch.equal(loaded[name], each) for name, each in older.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    expected = weights()
    given = {name: each.to(dtype) if each.ndim else each for name, each in expected.items()}
    for name, tensor in load(saved(tmp_path, given)).state_dict().items():
        assert tensor.dtype == expected[name].dtype
        assert torch.equal(tensor, given[name].to(tensor.dtype))


def test_missing_weights_are_listed_up_to_ten_and_the_rest_counted(tmp_path: Path) -> None:
    kept = {name: tensor for name, tensor in weights().items() if name.startswith("conv1")}
    with pytest.raises(CheckpointError, match=r"it lacks bn1.weight, .* and \d+ more; use") as told:
        load(saved(tmp_path, kept))
    assert str(told.value).count("layer") + str(told.value).count("bn1.") <= 20
    missing = [name for name in weights() if name not in kept and "num_batches" not in name]
    assert f"and {len(missing) - 10} more" in str(told.value)


def test_one_missing_weight_is_enough_to_refuse_all(tmp_path: Path) -> None:
    given = weights()
    del given["layer2.0.bn2.running_mean"]
    with pytest.raises(CheckpointError, match=r"it lacks layer2.0.bn2.running_mean; use"):
        load(saved(tmp_path, given))


def test_weights_that_the_backbone_lacks_are_refused(tmp_path: Path) -> None:
    given = weights() | {"layer5.0.conv1.weight": torch.zeros(1), "a\x1b[31m": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"in addition, .*layer5.0.conv1.weight") as refused:
        load(saved(tmp_path, given, "w.pth"))
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    "tensor", [torch.zeros(17), torch.zeros(1, 16), torch.zeros(16, dtype=torch.int64)]
)
def test_a_weight_of_another_shape_or_kind_is_refused(tensor: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"layer1.0.bn1.weight as .* instead of float32"):
        load(saved(tmp_path, weights() | {"layer1.0.bn1.weight": tensor}))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("file", ["w.safetensors", "w.pth"])
def test_weights_that_are_not_finite_are_refused(value: float, file: str, tmp_path: Path) -> None:
    given = weights()
    given["layer1.0.conv1.weight"].view(-1)[5] = value
    with pytest.raises(CheckpointError, match=r"'layer1.0.conv1.weight' contains infinite .*NaN"):
        load(saved(tmp_path, given, file))


def test_a_number_too_large_for_float32_is_refused(tmp_path: Path) -> None:
    given = {name: each.double() if each.ndim else each for name, each in weights().items()}
    given["layer1.0.conv1.weight"].view(-1)[5] = 1e300
    with pytest.raises(CheckpointError, match=r"contains infinite"):
        load(saved(tmp_path, given))


def test_a_negative_variance_is_refused(tmp_path: Path) -> None:
    given = weights()
    given["layer1.0.bn1.running_var"][3] = -1
    with pytest.raises(CheckpointError, match=r"running_var' contains negative variances"):
        load(saved(tmp_path, given))


def test_the_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"not those of 'timm/test_vit': it lacks cls_token"):
        load(saved(tmp_path, weights()), VIT)


def test_positional_embeddings_are_resampled_to_the_frames_of_the_backbone(tmp_path: Path) -> None:
    path = saved(tmp_path, weights(VIT, side=128))
    loaded = load(path, VIT, side=64).state_dict()
    given = weights(VIT, side=128)
    assert loaded["pos_embed"].shape != given["pos_embed"].shape
    assert torch.equal(loaded["blocks.0.attn.qkv.weight"], given["blocks.0.attn.qkv.weight"])
    # A smooth field stays what it is.
    given["pos_embed"] = torch.full_like(given["pos_embed"], 0.25)
    flat = load(saved(tmp_path, given), VIT, side=64).state_dict()["pos_embed"]
    torch.testing.assert_close(flat, torch.full_like(flat, 0.25))


def test_weights_that_timm_cannot_resample_are_refused_with_the_side_that_fits(
    tmp_path: Path,
) -> None:
    path = saved(tmp_path, weights("timm/levit_128s", side=224))
    with pytest.raises(CheckpointError, match=r"attention_biases as .*`frame_size` of 224\."):
        load(path, "timm/levit_128s", side=128)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("pos_embed", (3,)),
        ("pos_embed", (1, 0, 64)),
        ("pos_embed", (1, 7, 3)),
        ("patch_embed.proj.weight", (64, 3)),
        ("patch_embed.proj.weight", (0, 3, 16, 16)),
    ],
)
def test_embeddings_of_an_odd_shape_are_refused(
    name: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    given = weights(VIT) | {name: torch.zeros(shape)}
    with pytest.raises(CheckpointError, match=r"not those of 'timm/test_vit'"):
        load(saved(tmp_path, given), VIT)


def test_patches_that_would_take_all_memory_to_resample_are_refused(tmp_path: Path) -> None:
    given = weights(VIT) | {"patch_embed.proj.weight": torch.zeros(1, 1, 50, 200)}
    with pytest.raises(CheckpointError, match=r"'patch_embed.proj.weight' has an impossible"):
        load(saved(tmp_path, given), VIT)
