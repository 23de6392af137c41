"""The networks: volumes in, one vector of logits per trait out.

`specs.py` describes every network that a checkpoint can hold, and names the presets. `cnn3d.py` is
the paper's 3D CNN and `deepset.py` the network over unordered frames. `embedding_set.py` is the
network over what a pretrained backbone of timm makes of frames (`timm_backbones.py`); its head
learns by itself. All of them end in `heads.py`. A model that reads texts alone has `no_images.py`.
"""

import copy
from collections.abc import Sequence
from typing import Literal

import torch

from tweetprofile.networks.cnn3d import Cnn3d
from tweetprofile.networks.deepset import DeepSet
from tweetprofile.networks.embedding_head import EmbeddingHead
from tweetprofile.networks.embedding_set import EmbeddingSet, Learned, build_head
from tweetprofile.networks.ensemble import Ensemble
from tweetprofile.networks.explained import Explained
from tweetprofile.networks.folding import Foldable, fold_batch_norms, fuse_activations
from tweetprofile.networks.no_images import NoImages
from tweetprofile.networks.specs import (
    PRESETS,
    WEIGHED_TOGETHER,
    Cnn3dSpec,
    DeepSetSpec,
    EmbeddingSetSpec,
    NetworkSpec,
    NoImagesSpec,
    Norm,
    network_spec,
    spec_from_dict,
    spec_to_dict,
)
from tweetprofile.networks.timm_backbones import build_backbone
from tweetprofile.networks.topics import MOST_PROFILES, Topics, check_profiles, count_profiles
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes.spec import VolumeSpec

__all__ = [
    "MOST_PROFILES",
    "PRESETS",
    "AnyNetwork",
    "Cnn3d",
    "Cnn3dSpec",
    "Contributions",
    "DeepSet",
    "DeepSetSpec",
    "EmbeddingHead",
    "EmbeddingSet",
    "EmbeddingSetSpec",
    "Ensemble",
    "Explained",
    "Learned",
    "Member",
    "Network",
    "NetworkSpec",
    "NoImages",
    "NoImagesSpec",
    "Norm",
    "Topics",
    "build_backbone",
    "build_ensemble",
    "build_head",
    "build_network",
    "check_profiles",
    "contributions_of",
    "count_members",
    "count_profiles",
    "ensemble_of",
    "fold_batch_norms",
    "fold_normalisation",
    "for_inference",
    "fuse_activations",
    "network_spec",
    "spec_from_dict",
    "spec_to_dict",
]

Member = Cnn3d | DeepSet | EmbeddingHead
"""A network of which several can be averaged."""

Network = Member | EmbeddingSet
"""A network that is trained by itself; a head is, if its backbone stays as it is."""

Contributions = Literal["exact", "leave_one_out"]
"""How it is known what images contribute: the network adds them up, or each is left out once."""

AnyNetwork = Network | Ensemble | NoImages
"""A network that predicts: a trained one, or an ensemble of trained ones."""


def build_network(spec: NetworkSpec, volume_spec: VolumeSpec, schema: TraitSchema) -> Network:
    """Build the network of a spec, with weights that are not initialised yet."""
    if isinstance(spec, DeepSetSpec):
        return DeepSet(spec, volume_spec, schema)
    if isinstance(spec, EmbeddingSetSpec):
        return EmbeddingSet(spec, volume_spec, schema)
    assert isinstance(spec, Cnn3dSpec)
    return Cnn3d(spec, volume_spec, schema)


def build_ensemble(
    spec: NetworkSpec, volume_spec: VolumeSpec, schema: TraitSchema, members: int
) -> AnyNetwork:
    """Build an ensemble of `members` networks of a spec, with weights not initialised yet.

    Members over embeddings are heads of one backbone.
    """
    if isinstance(spec, EmbeddingSetSpec):
        return EmbeddingSet(spec, volume_spec, schema, members)
    if isinstance(spec, NoImagesSpec):
        return NoImages(spec, volume_spec, schema)
    return ensemble_of([build_network(spec, volume_spec, schema) for _ in range(members)])


def count_members(network: AnyNetwork) -> int:
    """Return the number of networks whose mean a network is."""
    averaged = network.head if isinstance(network, EmbeddingSet) else network
    return len(averaged.members) if isinstance(averaged, Ensemble) else 1


def ensemble_of(members: Sequence[Network]) -> AnyNetwork:
    """Return an ensemble of networks, or the only one itself."""
    if len(members) == 1:
        return members[0]
    # A backbone is too large to be kept several times; members have one in common.
    return Ensemble([each for each in members if not isinstance(each, EmbeddingSet)])


def contributions_of(spec: NetworkSpec) -> Contributions:
    """Return how it is known what each image contributes to the logits of a network."""
    if isinstance(spec, Cnn3dSpec):
        return "leave_one_out"
    if isinstance(spec, EmbeddingSetSpec) and spec.pool in WEIGHED_TOGETHER:
        return "leave_one_out"
    return "exact"


def fold_normalisation(network: AnyNetwork) -> AnyNetwork:
    """Return a copy in eval mode with batch normalisation folded into the convolutions."""
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        if isinstance(module, Foldable):
            module.fold()
    return folded


def for_inference(network: AnyNetwork, device: torch.device, dtype: torch.dtype) -> AnyNetwork:
    """Return a copy on a device that computes its convolutions in `dtype` and takes such volumes.

    Autocast would instead convert the weights in every forward pass, and every intermediate result.
    """
    copied: AnyNetwork = copy.deepcopy(network).to(device)
    copied.compute_in(dtype)
    return copied
