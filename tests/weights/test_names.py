"""Names of other libraries become timm's: the same vectors as the libraries' own networks."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from tweetprofile.networks.timm_backbones import (
    PACKAGED,
    backbone_facts,
    build_backbone,
    import_timm,
)
from tweetprofile.weights import load_backbone_weights
from tweetprofile.weights.files import read_weights_file
from tweetprofile.weights.names import timm_names
from tweetprofile.weights.sources import find_weights


def randomised(network: nn.Module) -> nn.Module:
    """Fill a network with numbers that tell each weight from every other one."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.is_floating_point():
            spread = 0.2 if tensor.ndim < 2 else 1 / tensor[0].numel() ** 0.5
            tensor.normal_(1.0 if "norm.weight" in name else 0.0, spread, generator=generator)
    return network.eval()


TORCHVISION: dict[str, tuple[str, dict[str, Any], Callable[[Any, torch.Tensor], torch.Tensor]]] = {
    "timm/resnet18": ("resnet18", {}, lambda net, x: without(net, "fc")(x)),
    "timm/efficientnet_b0": ("efficientnet_b0", {}, lambda net, x: without(net, "classifier")(x)),
    "timm/convnext_tiny": (
        "convnext_tiny",
        {},
        lambda net, x: without(net, "classifier.2")(x),
    ),
    "timm/vit_base_patch32_224": (
        "vit_b_32",
        {"image_size": 64},
        lambda net, x: without(net, "heads")(x),
    ),
    "timm/vgg11_bn": (
        "vgg11_bn",
        {},
        lambda net, x: without(net, "classifier.6")(x),
    ),
}
"""timm's names of torchvision's networks, how torchvision builds them, and their vectors."""


def without(network: nn.Module, name: str) -> nn.Module:
    network.set_submodule(name, nn.Identity())
    return network


@pytest.mark.parametrize(
    "name",
    [
        "timm/efficientnet_b0",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in TORCHVISION
            if each != "timm/efficientnet_b0"
        ),
    ],
)
def test_torchvisions_weights_give_torchvisions_vectors(name: str, tmp_path: Path) -> None:
    import_timm()  # which makes torchvision importable beside a torch for the CPU
    import torchvision

    side = 224 if "vgg" in name else 64  # vgg's fully connected layers see 7 x 7 pixels
    builder, options, vectors = TORCHVISION[name]
    original = randomised(getattr(torchvision.models, builder)(**options))
    save_file(original.state_dict(), tmp_path / "weights.safetensors")
    backbone = build_backbone(name, side, side).eval()
    load_backbone_weights(backbone, backbone_facts(name), str(tmp_path / "weights.safetensors"))
    frames = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        expected, found = vectors(original, frames), backbone(frames)
    spread = expected.abs().max()
    assert spread > 1e-3
    assert (found - expected).abs().max() <= 1e-4 * spread


@cache
def packaged(name: str) -> nn.Module:
    """A packaged backbone with the weights of its package."""
    facts = backbone_facts(name)
    backbone = build_backbone(name, facts.side, facts.side).eval()
    load_backbone_weights(backbone, facts, "package")
    return backbone


@cache
def original(name: str, side: int) -> nn.Module:
    """The same by the original code, which pads frames for one side; by default its own."""
    network: nn.Module = EfficientNet.from_name(name, image_size=side).eval()
    path = find_weights(backbone_facts(name), "package").path
    network.load_state_dict(torch.load(path, weights_only=True))
    return network


def assert_same_logits(name: str, images: list[Image.Image], side: int) -> torch.Tensor:
    network, backbone = original(name, side), packaged(name)
    pixels = np.stack([np.array(image.convert("RGB").resize((side, side))) for image in images])
    frames = (torch.from_numpy(pixels).permute(0, 3, 1, 2) - 127.0) / 128.0
    with torch.inference_mode():
        expected, found = network(frames), network.get_submodule("_fc")(backbone(frames))
    assert expected.abs().max() > 1
    assert (found - expected).abs().max() <= 1e-4
    shares: torch.Tensor = expected.softmax(1)
    return shares


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_backbone_gives_the_logits_of_its_original_code_on_drawn_images(
    name: str, draw: Callable[..., Image.Image]
) -> None:
    side = backbone_facts(name).side
    assert_same_logits(name, [draw(side, side, seed) for seed in range(4)], side)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("efficientnet-lite0", 128),
        ("efficientnet-lite2", 128),
        pytest.param("efficientnet-lite0", 224, marks=pytest.mark.slow),
        pytest.param("efficientnet-lite2", 260, marks=pytest.mark.slow),
    ],
)
def test_a_packaged_backbone_gives_the_logits_of_its_original_code_on_photographs(
    name: str, side: int, real_photos: list[Path]
) -> None:
    shares = assert_same_logits(name, [Image.open(path) for path in real_photos[:16]], side)
    # Frames of another normalisation, such as ImageNet's, are recognised with less confidence.
    assert shares.max(1).values.mean() > 0.5


@pytest.mark.parametrize("name", PACKAGED)
def test_every_weight_of_a_package_has_a_place_in_timms_network(name: str) -> None:
    whole = import_timm().create_model(PACKAGED[name], pretrained=False)
    given = read_weights_file(find_weights(backbone_facts(name), "package").path).tensors
    found = timm_names(given, whole)
    assert {key: each.shape for key, each in found.items()} == {
        key: each.shape for key, each in whole.state_dict().items()
    }


def clip(backbone: nn.Module, prefix: str = "") -> dict[str, torch.Tensor]:
    """The weights of a backbone by the names of OpenAI's CLIP, with a tower of text."""
    found = {
        f"{prefix}visual.proj": torch.randn(256, 512),
        f"{prefix}logit_scale": torch.tensor(4.6),
        f"{prefix}token_embedding.weight": torch.randn(10, 8),
        f"{prefix}transformer.resblocks.0.ln_1.weight": torch.ones(8),
    }
    renamed = [
        ("patch_embed.proj", "conv1"),
        ("pos_embed", "positional_embedding"),
        ("norm_pre", "ln_pre"),
        ("blocks.", "transformer.resblocks."),
        ("norm1", "ln_1"),
        ("norm2", "ln_2"),
        ("attn.qkv.", "attn.in_proj_"),
        ("attn.proj", "attn.out_proj"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
        ("cls_token", "class_embedding"),
    ]
    for name, tensor in backbone.state_dict().items():
        new = "ln_post" + name.removeprefix("norm") if name.startswith("norm.") else name
        for ours, theirs in renamed:
            new = new.replace(ours, theirs)
        flat = {"cls_token": (0, 0), "pos_embed": (0,)}.get(name, ())
        found[f"{prefix}visual.{new}"] = tensor[flat].half().contiguous()
    return found


CLIP = "timm/vit_xsmall_patch16_clip_224.tinyclip_yfcc15m"


@pytest.fixture(scope="module")
def clip_backbone() -> nn.Module:
    return randomised(build_backbone(CLIP, 64, 64))


@pytest.mark.parametrize("prefix", ["", pytest.param("module.", marks=pytest.mark.slow)])
def test_weights_of_openais_clip_fill_the_image_tower(
    prefix: str, clip_backbone: nn.Module, tmp_path: Path
) -> None:
    torch.save(clip(clip_backbone, prefix), tmp_path / "clip.pt")
    backbone = build_backbone(CLIP, 64, 64).eval()
    load_backbone_weights(backbone, backbone_facts(CLIP), str(tmp_path / "clip.pt"))
    expected = {name: each.half().float() for name, each in clip_backbone.state_dict().items()}
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_weights_of_open_clip_fill_a_tower_of_timm(tmp_path: Path) -> None:
    name = "timm/test_vit"
    tower = randomised(build_backbone(name, 64, 64))
    weights = {f"visual.trunk.{key}": tensor for key, tensor in tower.state_dict().items()}
    weights |= {"text.transformer.weight": torch.zeros(3), "logit_bias": torch.zeros(1)}
    save_file(weights, tmp_path / "open_clip_model.safetensors")
    backbone = build_backbone(name, 64, 64).eval()
    path = tmp_path / "open_clip_model.safetensors"
    load_backbone_weights(backbone, backbone_facts(name), os.fspath(path))
    for key, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, tower.state_dict()[key])
