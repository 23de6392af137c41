"""The network of a model that reads texts alone: it has no weights, and all classes are alike."""

import torch
from torch import nn

from tweetprofile.networks.specs import NoImagesSpec
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes.spec import VolumeSpec


class NoImages(nn.Module):
    """Stands where other models have a network over images.

    Args:
        spec: The spec of a model without images.
        volume_spec: Any volumes; none are looked at.
        schema: The traits of the model.
    """

    def __init__(self, spec: NoImagesSpec, volume_spec: VolumeSpec, schema: TraitSchema) -> None:
        super().__init__()
        self.spec = spec
        self.volume_spec = volume_spec
        self.schema = schema

    def forward(
        self, volumes_NCDHW: torch.Tensor, mask_ND: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Return logits of 0 for every class: (N, classes) by trait name."""
        return {
            trait.name: volumes_NCDHW.new_zeros(len(volumes_NCDHW), len(trait.classes))
            for trait in self.schema
        }

    def compute_in(self, dtype: torch.dtype) -> None:
        """Do nothing: there is nothing to compute."""
