"""Topics: a mixture model of why a user posted an image, over all traits together.

Images are of K topics, which are clusters of similar images. Each image was chosen for one reason:
one of the user's traits, or none of them. The class of that trait says how likely each topic is, so
a profile (one class of every trait) makes a topic as likely as

    P(topic | profile) = share of no trait x P(topic) + sum over traits: share x P(topic | class).

An image that a user's occupation explains well says little about the user's gender then, whereas
heads that predict every trait by itself count it as evidence for both. The logits of a trait are
the logarithms of the probabilities of its classes, summed over the classes of the other traits.

It is labelled latent Dirichlet allocation (Ramage et al. 2009) with one topic distribution per
class, the same shares for all users, and weights that are also trained to tell classes apart.

Shapes: N users, K topics, P profiles: all combinations of classes, the last trait varying fastest.
"""

from collections.abc import Mapping
from math import prod

import torch
from torch import nn

from tweetprofile.errors import OptionError
from tweetprofile.traits import TraitSchema

MOST_PROFILES = 1_024
"""The largest number of combinations of classes, each of which is computed for every image."""

_STEP = 4.0
"""The factor of the weights, with which the learning rate of the other heads suits them, too."""

_SMALLEST = 1e-8
"""The smallest likelihood ratio, whose logarithm is finite."""


def count_profiles(schema: TraitSchema) -> int:
    """Return the number of combinations of classes of all traits."""
    return prod(len(trait.classes) for trait in schema)


def check_profiles(schema: TraitSchema) -> None:
    """Check that the head `topics` can compare all combinations of classes of these traits.

    Raises:
        OptionError: There are too many.
    """
    profiles = count_profiles(schema)
    if profiles > MOST_PROFILES:
        raise OptionError(
            f"the head 'topics' compares all combinations of classes, of which these traits have "
            f"{profiles:,}, more than {MOST_PROFILES:,}; use another head, or fewer traits."
        )


class Topics(nn.Module):
    """The mixture model.

    Args:
        topics: K, the number of topics.
        schema: The traits that are predicted.

    Attributes:
        frequency: How frequent each topic is among the images to learn from (K,).

    Raises:
        OptionError: The traits have too many combinations of classes.
    """

    def __init__(self, topics: int, schema: TraitSchema) -> None:
        super().__init__()
        check_profiles(schema)
        self._names = schema.names
        self._sizes = tuple(len(trait.classes) for trait in schema)
        self.register_buffer("frequency", torch.full((topics,), 1 / topics))
        self.reasons = nn.Parameter(torch.zeros(1 + len(schema.names)))
        self.common = nn.Parameter(torch.zeros(topics))
        # With a prefix, since a module cannot have a child with the name of a method ("type").
        self.chosen = nn.ParameterDict(
            {f"trait_{trait.name}": torch.zeros(len(trait.classes), topics) for trait in schema}
        )
        self.prior = nn.ParameterDict(
            {f"trait_{trait.name}": torch.zeros(len(trait.classes)) for trait in schema}
        )
        self.sharpness = nn.Parameter(torch.zeros(()))

    def initialise(self) -> None:
        """Start with topics that say nothing about traits."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    @torch.no_grad()
    def begin(
        self,
        frequency_K: torch.Tensor,
        reasons: torch.Tensor,
        common_K: torch.Tensor,
        chosen: Mapping[str, torch.Tensor],
    ) -> None:
        """Begin with these probabilities.

        Args:
            frequency_K: How frequent each topic is among all images.
            reasons: The share of the images that are chosen for no trait, and for each one.
            common_K: The probability of each topic if an image is chosen for no trait.
            chosen: The probability of each topic by class: (classes, K) by trait name.
        """
        self.get_buffer("frequency").copy_(frequency_K)
        self.reasons.copy_(_weights_of(reasons))
        self.common.copy_(_weights_of(common_K))
        for name, probabilities in chosen.items():
            self.chosen[f"trait_{name}"].copy_(_weights_of(probabilities))

    def evidence(self, shares: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of how much likelier each profile makes an image: (..., P).

        Args:
            shares: How much each image belongs to each topic (..., K).
        """
        with torch.autocast(shares.device.type, enabled=False):
            ratios = shares.float() / self.get_buffer("frequency").clamp(min=_SMALLEST)
            reasons = _probabilities(self.reasons)
            of_none = reasons[0] * (ratios @ _probabilities(self.common))
            found = of_none.view(*of_none.shape, *(1 for _ in self._sizes))
            for number, name in enumerate(self._names):
                by_class = _probabilities(self.chosen[f"trait_{name}"])
                found = found + self._along(number, reasons[1 + number] * (ratios @ by_class.T))
            return found.flatten(-len(self._sizes)).clamp(min=_SMALLEST).log()

    def forward(self, evidence_NP: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the logits of every trait: (N, classes) by trait name, in schema order.

        Args:
            evidence_NP: The sum of what `evidence` says of a user's images.
        """
        with torch.autocast(evidence_NP.device.type, enabled=False):
            users, profiles = evidence_NP.shape
            joint = evidence_NP.float() * self.sharpness.exp()
            joint = joint.view(users, *self._sizes)
            for number, name in enumerate(self._names):
                joint = joint + self._along(number, _STEP * self.prior[f"trait_{name}"])
            logits = {}
            for number, name in enumerate(self._names):
                size = self._sizes[number]
                each = joint.movedim(1 + number, 1).reshape(users, size, profiles // size)
                logits[name] = each.logsumexp(dim=2).log_softmax(dim=1)
            return logits

    def _along(self, trait: int, values: torch.Tensor) -> torch.Tensor:
        """Shape values of a trait's classes (..., classes) like profiles, a dimension per trait."""
        sizes = [1] * len(self._sizes)
        sizes[trait] = self._sizes[trait]
        return values.view(*values.shape[:-1], *sizes)


def _probabilities(weights: torch.Tensor) -> torch.Tensor:
    return (_STEP * weights).softmax(dim=-1)


def _weights_of(probabilities: torch.Tensor) -> torch.Tensor:
    """Return the weights of probabilities, none of which is taken as 0."""
    return probabilities.clamp(min=1e-4).log() / _STEP
