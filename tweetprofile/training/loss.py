"""The loss: cross-entropy summed over the traits (the paper, Eq. 1), of users who may be mixed.

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
    """One process's part of the loss of a batch.

    Args:
        users: to learn from.
        schema: their traits.
        recipe: says how classes are balanced and labels smoothed.
        rank: the process.
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
        """The loss, to be added up over all processes.

        Each trait's is a mean over the labels of all processes, by the weight of their classes. A
        user who is mixed has two labels, by the share of the frames.

        Args:
            logits: by trait, of this process's users.
            users: positions of all users of the batch (N,).
            choices: what these show.
        """
        partners = np.array([choice.partner for choice in choices])
        shares = torch.tensor([choice.share for choice in choices])
        total = torch.zeros((), device=self._rank.device)
        for column, (name, weights) in enumerate(self._weights.items()):
            own, lent = (torch.from_numpy(self._labels[each, column]) for each in (users, partners))
            of_own, of_lent = shares * _weigh(own, weights), (1 - shares) * _weigh(lent, weights)
            whole = (of_own.sum() + of_lent.sum()).clamp(min=1e-6)
            for targets, factors in ((own, of_own), (lent, of_lent)):
                total = total + self._part(logits[name], targets, factors / whole)
        return total

    def _part(
        self, logits: torch.Tensor, labels: torch.Tensor, factors: torch.Tensor
    ) -> torch.Tensor:
        """Cross-entropy of this process's users, each by a factor."""
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
    """By trait, a weight a class; over the labels their mean is 1."""
    weights = {}
    for column, trait in enumerate(schema):
        labels = users.labels[:, column]
        counts = np.bincount(labels[labels != UNKNOWN], minlength=len(trait.classes))
        each = np.maximum(counts, 1.0) ** -balance
        mean = (each * counts).sum() / max(1, counts.sum())
        weights[trait.name] = torch.tensor(each / (mean or 1.0), dtype=torch.float32)
    return weights


def _weigh(labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The weight of each label's class; none where there is no label."""
    return weights[labels.clamp(min=0)] * (labels != UNKNOWN)
