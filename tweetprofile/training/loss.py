"""The loss: cross-entropy summed over the traits (the paper, Eq. 1), for users who may be mixed.

Shapes: N users of a batch.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.training.augment import Choice
from tweetprofile.training.cache import Subset
from tweetprofile.training.distributed import Rank
from tweetprofile.training.recipes import Recipe
from tweetprofile.traits import TraitSchema


class UserLoss:
    """Computes one process's share of the loss of a batch.

    Args:
        users: The users to learn from.
        schema: Their traits.
        recipe: The recipe, which sets how classes are balanced and labels smoothed.
        rank: The process.
    """

    def __init__(self, users: Subset, schema: TraitSchema, recipe: Recipe, rank: Rank) -> None:
        self._labels, self._rank = users.labels, rank
        self._smoothing = recipe.label_smoothing
        self._weights = _class_weights(users, schema, recipe.balance)

    def __call__(
        self,
        logits: Mapping[str, torch.Tensor],
        users: NDArray[np.int64],
        choices: Sequence[Choice],
    ) -> torch.Tensor:
        """Return this process's share; the sum over all processes is the loss of the batch.

        The loss of a trait is the mean over the labels of the whole batch, weighted by class. A
        mixed user has two labels, weighted by their shares of the frames.

        Args:
            logits: The logits of this process's users, by trait.
            users: The positions of all users of the batch (N,).
            choices: The frames that each of them shows.
        """
        partners = np.array([choice.partner for choice in choices])
        shares = torch.tensor([choice.share for choice in choices])
        total = torch.zeros((), device=self._rank.device)
        for column, (name, weights) in enumerate(self._weights.items()):
            labels = self._labels[:, column]
            own, mixed = torch.from_numpy(labels[users]), torch.from_numpy(labels[partners])
            of_own, of_mixed = shares * _weigh(own, weights), (1 - shares) * _weigh(mixed, weights)
            weight = (of_own.sum() + of_mixed.sum()).clamp(min=1e-6)
            for targets, factors in ((own, of_own), (mixed, of_mixed)):
                total = total + self._part(logits[name], targets, factors / weight)
        return total

    def _part(
        self, logits: torch.Tensor, labels: torch.Tensor, factors: torch.Tensor
    ) -> torch.Tensor:
        """Return the weighted sum of the cross-entropies of this process's users."""
        part, device = self._rank.share(len(labels)), self._rank.device
        each = cross_entropy(
            logits,
            labels[part].to(device),
            ignore_index=UNKNOWN,
            reduction="none",
            label_smoothing=self._smoothing,
        )
        return (each * factors[part].to(device)).sum()


def _class_weights(users: Subset, schema: TraitSchema, balance: float) -> dict[str, torch.Tensor]:
    """Return the weights of the classes of each trait; their mean over the labels is 1."""
    weights = {}
    for column, trait in enumerate(schema):
        labels = users.labels[:, column]
        counts = np.bincount(labels[labels != UNKNOWN], minlength=len(trait.classes))
        each = np.maximum(counts, 1.0) ** -balance
        mean = (each * counts).sum() / max(1, counts.sum())
        weights[trait.name] = torch.tensor(each / (mean or 1.0), dtype=torch.float32)
    return weights


def _weigh(labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weight of each label's class; 0 where there is no label."""
    return weights[labels.clamp(min=0)] * (labels != UNKNOWN)
