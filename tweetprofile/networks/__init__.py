"""The networks: volumes in, one vector of logits a trait out."""

import copy

import torch

from tweetprofile.networks.deepset import DeepSet
from tweetprofile.networks.folding import Foldable
from tweetprofile.networks.specs import (
    PRESETS,
    DeepSetSpec,
    NetworkSpec,
    Norm,
    VolumeNetworkSpec,
    network_spec,
    spec_from_dict,
    spec_to_dict,
)
from tweetprofile.networks.volume import VolumeNetwork
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes import VolumeSpec

__all__ = [
    "PRESETS",
    "DeepSet",
    "DeepSetSpec",
    "Network",
    "NetworkSpec",
    "Norm",
    "VolumeNetwork",
    "VolumeNetworkSpec",
    "build_network",
    "fold_normalisation",
    "for_inference",
    "network_spec",
    "spec_from_dict",
    "spec_to_dict",
]

Network = VolumeNetwork | DeepSet


def build_network(spec: NetworkSpec, volume_spec: VolumeSpec, schema: TraitSchema) -> Network:
    """The network of a spec, its weights not drawn yet."""
    if isinstance(spec, DeepSetSpec):
        return DeepSet(spec, volume_spec, schema)
    return VolumeNetwork(spec, volume_spec, schema)


def fold_normalisation(network: Network) -> Network:
    """A copy in eval mode whose batch normalisation is folded into its convolutions."""
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        if isinstance(module, Foldable):
            module.fold()
    return folded


def for_inference(network: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """A copy on a device whose convolutions compute in `dtype`; it takes volumes of that type.

    Autocast would convert weights at every pass, and the result of every convolution.
    """
    copied: Network = copy.deepcopy(network).to(device)
    copied.lower(dtype)
    return copied
