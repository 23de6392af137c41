"""The networks: volumes in, one vector of logits per trait out.

`specs.py` describes every network that a checkpoint can hold, and names the presets. `cnn3d.py` is
the paper's 3D CNN and `deepset.py` the network over unordered frames; both end in `heads.py`. A new
2D CNN, and so a layout for which pretrained weights exist, is added to `backbones.py`
(`training/pretrained.py` loads such weights). Features of another kind, for example of text, are
concatenated to the features of a user just before the heads.
"""

import copy
from collections.abc import Sequence

import torch

from tweetprofile.networks.cnn3d import Cnn3d
from tweetprofile.networks.deepset import DeepSet
from tweetprofile.networks.ensemble import Ensemble
from tweetprofile.networks.folding import Foldable
from tweetprofile.networks.specs import (
    PRESETS,
    Cnn3dSpec,
    DeepSetSpec,
    NetworkSpec,
    Norm,
    network_spec,
    spec_from_dict,
    spec_to_dict,
)
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes.spec import VolumeSpec

__all__ = [
    "PRESETS",
    "AnyNetwork",
    "Cnn3d",
    "Cnn3dSpec",
    "DeepSet",
    "DeepSetSpec",
    "Ensemble",
    "Network",
    "NetworkSpec",
    "Norm",
    "build_ensemble",
    "build_network",
    "ensemble_of",
    "fold_normalisation",
    "for_inference",
    "network_spec",
    "spec_from_dict",
    "spec_to_dict",
]

Network = Cnn3d | DeepSet
"""A network that is trained by itself."""

AnyNetwork = Network | Ensemble
"""A network that predicts: a trained one, or an ensemble of trained ones."""


def build_network(spec: NetworkSpec, volume_spec: VolumeSpec, schema: TraitSchema) -> Network:
    """Build the network of a spec, with weights that are not initialised yet."""
    if isinstance(spec, DeepSetSpec):
        return DeepSet(spec, volume_spec, schema)
    return Cnn3d(spec, volume_spec, schema)


def build_ensemble(
    spec: NetworkSpec, volume_spec: VolumeSpec, schema: TraitSchema, members: int
) -> AnyNetwork:
    """Build an ensemble of `members` networks of a spec, with weights not initialised yet."""
    return ensemble_of([build_network(spec, volume_spec, schema) for _ in range(members)])


def ensemble_of(members: Sequence[Network]) -> AnyNetwork:
    """Return an ensemble of networks, or the only one itself."""
    return Ensemble(members) if len(members) > 1 else members[0]


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
