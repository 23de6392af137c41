"""One linear head per trait: the features of a user in, logits out.

Whatever describes a user besides images, for example features of their text, joins the image
features here, before the linear layers.
"""

import torch
from torch import nn
from torch.nn import functional

from tweetprofile.traits import TraitSchema


class Heads(nn.ModuleDict):
    """The heads of a schema.

    Args:
        features: The number of features per user.
        schema: The traits, one head for each.
    """

    def __init__(self, features: int, schema: TraitSchema) -> None:
        # With a prefix, since a module cannot have a child with the name of a method ("type").
        super().__init__(
            {f"head_{trait.name}": nn.Linear(features, len(trait.classes)) for trait in schema}
        )
        self._names = schema.names

    def initialise(self) -> None:
        """Start with near-zero logits: training begins at chance, not at a confident error."""
        for head in self.values():
            assert isinstance(head, nn.Linear)
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map (N, features) to (N, classes) by trait name, in schema order.

        The heads compute in float32 even if training computes in lower precision, as in prediction:
        a GPU would take longer to convert their weights than to multiply by them.
        """
        features = features.float()
        with torch.autocast(features.device.type, enabled=False):
            return {name: self[f"head_{name}"](features) for name in self._names}

    def contributions(self, terms: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return what each of several terms, whose sum is the features, adds to the logits.

        Args:
            terms: (..., features).

        Returns:
            (..., classes) by trait name. The biases of the heads belong to no term.
        """
        return {
            name: functional.linear(terms.float(), self.get_parameter(f"head_{name}.weight"))
            for name in self._names
        }
