"""Backbones with random weights, and models over them, for tests."""

from pathlib import Path

import torch

from tweetprofile.checkpoints.backbone import Backbone
from tweetprofile.checkpoints.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tweetprofile.networks import EmbeddingSet, EmbeddingSetSpec, build_backbone
from tweetprofile.networks.timm_backbones import backbone_facts
from tweetprofile.traits import PRESETS
from tweetprofile.volumes.spec import VolumeSpec

FAMILIES = (
    "timm/test_resnet",
    "timm/test_efficientnet",
    "timm/test_convnext",
    "timm/test_vit",
    "timm/test_byobnet",
    "timm/test_nfnet",
    "timm/test_mambaout",
    "timm/mobilenetv3_small_050",
    "timm/regnetx_002",
    "timm/swin_s3_tiny_224",
)
"""One small backbone of each of ten families."""

TINY = "timm/test_resnet"
"""The backbone that is built fastest."""

SCHEMA = PRESETS["mex-a3t-2019"]


def make_backbone(name: str = TINY, side: int | None = None) -> Backbone:
    """Return a backbone with random weights, the same in every call."""
    facts = backbone_facts(name)
    side = side or (32 if facts.any_side else facts.side)
    spec = VolumeSpec(height=side, width=side, mean=facts.mean, std=facts.std)
    torch.manual_seed(0)
    network = build_backbone(name, side, side)
    return Backbone(
        name=name, features=facts.features, volume_spec=spec, state=network.state_dict()
    )


def save_model(path: Path, backbone: Backbone, *, members: int = 1) -> Checkpoint:
    """Write a model over a backbone, with random heads, and return it as it is loaded."""
    spec = EmbeddingSetSpec("deepset-tiny", backbone=backbone.name, features=backbone.features)
    network = EmbeddingSet(spec, backbone.volume_spec, SCHEMA, members)
    network.backbone.load_state_dict(backbone.state)
    for parameter in network.head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_checkpoint(path, network, {})
    return load_checkpoint(path)
