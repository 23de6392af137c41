"""Weights whose preprocessing is known and differs are refused, with a name that fits."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tweetprofile.errors import CheckpointError
from tweetprofile.networks.timm_backbones import backbone_facts, build_backbone
from tweetprofile.weights import WeightsRecord, load_backbone_weights
from tweetprofile.weights.preprocessing import check_preprocessing

HALF = [0.5, 0.5, 0.5]
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}

CONFIGS: dict[str, Any] = {
    "config.json": {"architecture": "test_resnet", "pretrained_cfg": IMAGENET},
    "open_clip_config.json": {"model_cfg": {"embed_dim": 4}, "preprocess_cfg": IMAGENET},
    "preprocessor_config.json": {
        "do_resize": True,
        "image_mean": IMAGENET["mean"],
        "image_std": IMAGENET["std"],
    },
}


def load(folder: Path) -> WeightsRecord:
    backbone = build_backbone("timm/test_resnet", 64, 64)
    save_file(backbone.state_dict(), folder / "model.safetensors")
    facts = backbone_facts("timm/test_resnet")
    assert facts.mean == (127.5, 127.5, 127.5)
    return load_backbone_weights(backbone, facts, str(folder / "model.safetensors"))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_with_another_normalisation_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(json.dumps(CONFIGS[name]))
    told = r"mean 123\.7/116\.3/103\.5 and deviation 58\.4/57\.12/57\.38 instead of 127\.5/"
    with pytest.raises(CheckpointError, match=rf"{name} has {told}.*use the backbone that it was"):
        load(tmp_path)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_with_the_same_normalisation_is_accepted(name: str, tmp_path: Path) -> None:
    text = json.dumps(CONFIGS[name])
    for values in IMAGENET.values():
        text = text.replace(json.dumps(values), json.dumps(HALF))
    (tmp_path / name).write_text(text)
    load(tmp_path)


def test_the_licence_in_timms_configuration_is_recorded(tmp_path: Path) -> None:
    config = {"pretrained_cfg": {"mean": HALF, "std": HALF, "license": "cc-by-nc-4.0"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load(tmp_path).license == "cc-by-nc-4.0"


@pytest.mark.parametrize(
    "config", [{}, [], "text", {"model_type": "vit"}, {"mean": None, "std": None}, {"mean": HALF}]
)
def test_a_configuration_without_a_normalisation_says_nothing(
    config: object, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    load(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        '{"mean": "grey", "std": [1, 1, 1]}',
        '{"mean": [0.5], "std": [0.5]}',
        '{"mean": [NaN, 0, 0], "std": [1, 1, 1]}',
        '{"mean": [1e999, 0, 0], "std": [1, 1, 1]}',
        '{"a": "' + "a" * (1 << 20) + '"}',
        "\udcff\udcfe",
    ],
)
def test_a_configuration_that_is_not_readable_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text, errors="surrogateescape")
    with pytest.raises(CheckpointError, match=r"config.json, which .* is not readable") as refused:
        load(tmp_path)
    assert len(str(refused.value)) < 1000


CLIP_NAMES = {"visual.class_embedding": torch.zeros(1)}


@pytest.mark.parametrize(
    "name", ["timm/vit_base_patch16_224", "timm/vit_base_patch16_siglip_224.webli"]
)
def test_weights_with_clips_names_are_refused_for_a_network_of_another_normalisation(
    name: str, tmp_path: Path
) -> None:
    refusal = r"CLIP, whose names .* mean 122\.8/.*use .* such as timm/vit_base_patch16_clip_224"
    with pytest.raises(CheckpointError, match=refusal):
        check_preprocessing(tmp_path / "clip.pt", CLIP_NAMES, backbone_facts(name))


def test_a_training_of_clip_with_another_normalisation_is_taken_at_its_name(
    tmp_path: Path,
) -> None:
    facts = backbone_facts("timm/vit_large_patch14_clip_224.laion2b")
    assert facts.mean == (127.5, 127.5, 127.5)
    check_preprocessing(tmp_path / "clip.pt", CLIP_NAMES, facts)


def test_the_refusal_names_a_training_with_the_right_normalisation(tmp_path: Path) -> None:
    config = {"preprocess_cfg": {"mean": HALF, "std": HALF}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    facts = backbone_facts("timm/vit_large_patch14_clip_224.openai")
    with pytest.raises(CheckpointError, match=r"use the backbone timm/.*_clip_224.laion2b"):
        check_preprocessing(tmp_path / "clip.safetensors", CLIP_NAMES, facts)
