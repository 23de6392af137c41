"""How well a network does, beside what naming the most frequent class would do."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tweetprofile.training.labels import UNKNOWN
from tweetprofile.traits import TraitSchema


@dataclass(frozen=True, slots=True)
class TraitScore:
    """How well one trait is predicted on the users set aside.

    Attributes:
        accuracy: share of labelled users whose most probable class is right.
        majority: what naming the most frequent class of the training users would get.
        users: labelled users.
    """

    accuracy: float
    majority: float
    users: int


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One line of `metrics.jsonl`.

    Attributes:
        epoch: counted from 1.
        loss: mean training loss, summed over the traits.
        val_loss: the same on the users set aside; None where there are none.
        scores: by trait, on the users set aside.
        seconds: the epoch took.
    """

    epoch: int
    loss: float
    val_loss: float | None
    scores: Mapping[str, TraitScore]
    seconds: float

    @property
    def mean_accuracy(self) -> float:
        """Mean over the traits that have a score."""
        accuracies = [score.accuracy for score in self.scores.values()]
        return sum(accuracies) / len(accuracies) if accuracies else 0.0


def score_traits(
    schema: TraitSchema,
    guesses: NDArray[np.int64],
    labels: NDArray[np.int64],
    train_labels: NDArray[np.int64],
) -> dict[str, TraitScore]:
    """Accuracy of each trait beside that of the majority class; traits without labels have none.

    Args:
        schema: the traits, in the order of the columns.
        guesses: (N, traits) predicted class numbers.
        labels: (N, traits) true ones, `UNKNOWN` where there is no label.
        train_labels: (M, traits) of the training users, which say what the majority is.
    """
    scores = {}
    for column, trait in enumerate(schema):
        known = labels[:, column] != UNKNOWN
        seen = train_labels[train_labels[:, column] != UNKNOWN, column]
        if not known.any() or not len(seen):
            continue
        majority = np.bincount(seen, minlength=len(trait.classes)).argmax()
        truth = labels[known, column]
        scores[trait.name] = TraitScore(
            float((guesses[known, column] == truth).mean()),
            float((truth == majority).mean()),
            int(known.sum()),
        )
    return scores
