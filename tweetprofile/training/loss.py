"""The loss: cross-entropy summed over the traits (the paper, Eq. 1), for users who may be mixed.

Shapes: N users of a batch, K classes of a trait, C classes of all traits.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import log_softmax

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.errors import TrainingError
from tweetprofile.training.augment import Choice
from tweetprofile.training.cache import Subset
from tweetprofile.training.distributed import Rank
from tweetprofile.training.recipes import Recipe
from tweetprofile.traits import TraitSchema


class Targets:
    """What a network should answer: a weight for each class of each user.

    The loss is linear in the logarithms of the probabilities. Everything that it depends on besides
    them is therefore computed on the host, and reaches the device as one array.

    Args:
        users: The users to learn from.
        schema: Their traits.
        recipe: The recipe, which sets how classes are balanced and labels smoothed.
    """

    def __init__(self, users: Subset, schema: TraitSchema, recipe: Recipe) -> None:
        self._labels = users.labels
        self._weights = _class_weights(users, schema, recipe.balance)
        smooth = recipe.label_smoothing
        self._answers_KK = [
            smooth / len(each) + (1 - smooth) * np.eye(len(each)) for each in self._weights
        ]

    def weigh(self, users: NDArray[np.int64], choices: Sequence[Choice]) -> NDArray[np.float32]:
        """Return the weights of the classes of all traits (N, C).

        The loss of a trait is the mean over the labels of the whole batch, weighted by class. A
        mixed user has two labels, weighted by their shares of the frames.

        Args:
            users: The positions of all users of the batch (N,).
            choices: The frames that each of them shows.
        """
        partners = np.array([choice.partner for choice in choices])
        shares = np.array([choice.share for choice in choices])
        columns = []
        for column, (weights, answers_KK) in enumerate(
            zip(self._weights, self._answers_KK, strict=True)
        ):
            own, mixed = self._labels[users, column], self._labels[partners, column]
            of_own, of_mixed = shares * _weigh(own, weights), (1 - shares) * _weigh(mixed, weights)
            total = max(1e-6, of_own.sum() + of_mixed.sum())
            answers = of_own[:, None] * answers_KK[own] + of_mixed[:, None] * answers_KK[mixed]
            columns.append(answers / total)
        return np.concatenate(columns, axis=1, dtype=np.float32, casting="same_kind")


def user_loss(logits: Mapping[str, torch.Tensor], weights_NC: torch.Tensor) -> torch.Tensor:
    """Return the weighted sum of the negative logarithms of the probabilities.

    The sum over all processes, each with its users and their weights, is the loss of the batch.

    Args:
        logits: The logits of this process's users, by trait.
        weights_NC: The weights of the same users by `Targets`.
    """
    logarithms_NC = torch.cat([log_softmax(each, dim=1) for each in logits.values()], dim=1)
    return -(logarithms_NC * weights_NC).sum()


class EpochLoss:
    """The losses of an epoch, which stay on the device until they are looked at.

    Args:
        epoch: The number of the epoch.
        steps: The number of its steps.
        recipe: The recipe, for the sentence about a loss that is not finite.
        rank: The process.
    """

    def __init__(self, epoch: int, steps: int, recipe: Recipe, rank: Rank) -> None:
        self._epoch, self._recipe, self._rank = epoch, recipe, rank
        self._each = torch.zeros(steps, device=rank.device)
        self._added = 0

    def add(self, loss: torch.Tensor) -> None:
        """Add this process's share of the next step's loss.

        Raises:
            TrainingError: One of the latest losses is not finite.
        """
        self._each[self._added] = loss
        self._added += 1
        if self._added % _LOOK_STEPS == 0:
            self.mean()

    def mean(self) -> float:
        """Return the mean loss of the steps so far over all processes.

        Raises:
            TrainingError: A loss is not finite.
        """
        totals = self._rank.totals(self._each[: self._added])
        for total in totals:
            if not math.isfinite(total):
                raise TrainingError(
                    f"epoch {self._epoch}: the loss became {total}; train with a `learning_rate` "
                    f"lower than {self._recipe.learning_rate:g}."
                )
        return sum(totals) / self._added


_LOOK_STEPS = 64
"""The steps between two looks at the loss, for each of which a GPU is waited for."""


def _class_weights(
    users: Subset, schema: TraitSchema, balance: float
) -> Sequence[NDArray[np.float64]]:
    """Return the weights of the classes of each trait; their mean over the labels is 1."""
    weights = []
    for column, trait in enumerate(schema):
        labels = users.labels[:, column]
        counts = np.bincount(labels[labels != UNKNOWN], minlength=len(trait.classes))
        each = np.maximum(counts, 1.0) ** -balance
        mean = (each * counts).sum() / max(1, counts.sum())
        weights.append(each / (mean or 1.0))
    return weights


def _weigh(labels: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of each label's class; 0 where there is no label."""
    weighed: NDArray[np.float64] = weights[np.maximum(labels, 0)] * (labels != UNKNOWN)
    return weighed
