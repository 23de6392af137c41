"""The networks: volumes in, one vector of logits a trait out."""

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
"""That is trained; what predicts may be an ensemble of such."""

AnyNetwork = Network | Ensemble


def build_network(spec: NetworkSpec, volume_spec: VolumeSpec, schema: TraitSchema) -> Network:
    """The network of a spec, its weights not drawn yet."""
    if isinstance(spec, DeepSetSpec):
        return DeepSet(spec, volume_spec, schema)
    return Cnn3d(spec, volume_spec, schema)


def build_ensemble(
    spec: NetworkSpec, volume_spec: VolumeSpec, schema: TraitSchema, members: int
) -> AnyNetwork:
    """So many networks of a spec as one, their weights not drawn yet."""
    return ensemble_of([build_network(spec, volume_spec, schema) for _ in range(members)])


def ensemble_of(members: Sequence[Network]) -> AnyNetwork:
    """Networks as one, or the only one as it is."""
    return Ensemble(members) if len(members) > 1 else members[0]


def fold_normalisation(network: AnyNetwork) -> AnyNetwork:
    """A copy in eval mode whose batch normalisation is folded into its convolutions."""
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        if isinstance(module, Foldable):
            module.fold()
    return folded


def for_inference(network: AnyNetwork, device: torch.device, dtype: torch.dtype) -> AnyNetwork:
    """A copy on a device whose convolutions compute in `dtype`; it takes volumes of that type.

    Autocast would convert weights at every pass, and the result of every convolution.
    """
    copied: AnyNetwork = copy.deepcopy(network).to(device)
    copied.lower(dtype)
    return copied
