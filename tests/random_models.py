"""Small models with random weights, one of each kind of network, for tests."""

from pathlib import Path
from typing import cast

import torch

from tests.workers.backbones import SCHEMA, make_backbone
from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.networks import EmbeddingSet, EmbeddingSetSpec, build_ensemble, network_spec
from tweetprofile.networks.specs import HeadPool
from tweetprofile.volumes.spec import VolumeSpec

VOLUME = VolumeSpec(height=32, width=32)


def save_network(path: Path, name: str, members: int = 1) -> Path:
    """Write a network over volumes with random weights and a temperature."""
    torch.manual_seed(0)
    small = {"widths": (4, 8), "layers": (1, 1)} if name == "deepset" else {}
    spec = network_spec(name, **small)
    network = build_ensemble(spec, VOLUME, SCHEMA, members)
    for key, parameter in network.named_parameters():
        if "head_" in key:
            torch.nn.init.normal_(parameter, std=0.5)
    save_checkpoint(path, network.eval(), dict.fromkeys(SCHEMA.names, 1.7))
    return path


def save_head(path: Path, pool: str, members: int = 1) -> Path:
    """Write a model over a backbone with random heads."""
    backbone = make_backbone()
    spec = EmbeddingSetSpec(
        "deepset-tiny",
        backbone.name,
        features=backbone.features,
        hidden=6,
        pool=cast("HeadPool", pool),
    )
    network = EmbeddingSet(spec, backbone.volume_spec, SCHEMA, members)
    network.backbone.load_state_dict(backbone.state)
    for parameter in network.head.parameters():
        # Counts of clusters are large numbers, and no probability is to become 0.
        torch.nn.init.normal_(parameter, std=0.03 if pool == "clusters" else 0.3)
    save_checkpoint(path, network, dict.fromkeys(SCHEMA.names, 0.8))
    return path
