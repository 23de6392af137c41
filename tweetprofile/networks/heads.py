"""One linear head a trait: features of a user in, logits out."""

import torch
from torch import nn

from tweetprofile.traits import TraitSchema


class Heads(nn.ModuleDict):
    """The heads of a schema.

    Args:
        features: width of what they take.
        schema: the traits.
    """

    def __init__(self, features: int, schema: TraitSchema) -> None:
        # Prefixed, since a module cannot hold a child named as one of its methods ("type").
        super().__init__(
            {f"head_{trait.name}": nn.Linear(features, len(trait.classes)) for trait in schema}
        )
        self._names = schema.names

    def initialise(self) -> None:
        """Near-zero logits: training begins at chance, not at a confident mistake."""
        for head in self.values():
            assert isinstance(head, nn.Linear)
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """(N, features) to trait name to (N, classes), in schema order."""
        return {name: self[f"head_{name}"](features) for name in self._names}
