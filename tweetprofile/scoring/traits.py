"""How well each trait is predicted on held-out users, compared with the majority baseline."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.scoring.classes import ClassCounts
from tweetprofile.traits import TraitSchema
from tweetprofile.untrusted.fields import Reader, build, number, whole


@dataclass(frozen=True, slots=True)
class TraitScore:
    """How well one trait is predicted on the held-out users.

    Attributes:
        accuracy: The share of labelled users whose most probable class is right.
        macro_f1: The mean F1 of the classes that occur in labels or predictions.
        majority: The accuracy of always predicting the most frequent class of the training users.
        users: The number of labelled users.
    """

    accuracy: float
    macro_f1: float
    majority: float
    users: int


_SCORE: Mapping[str, Reader] = {
    "accuracy": number,
    "macro_f1": number,
    "majority": number,
    "users": whole,
}


def read_score(value: object, what: str) -> TraitScore:
    """Read untrusted JSON: the inverse of `dataclasses.asdict`.

    Args:
        value: The parsed JSON.
        what: The name of the value in errors.

    Raises:
        FieldError: A field is missing, unknown or of another type.
    """
    return build(TraitScore, value, what, _SCORE)


def score_traits(
    schema: TraitSchema,
    guesses: NDArray[np.int64],
    labels: NDArray[np.int64],
    train_labels: NDArray[np.int64],
) -> dict[str, TraitScore]:
    """Score each trait that has labels, both here and among the training users.

    Args:
        schema: The traits, in the order of the columns.
        guesses: The predicted class numbers (N, traits).
        labels: The true class numbers (N, traits); `UNKNOWN` where there is no label.
        train_labels: The class numbers of the training users (M, traits), which decide what the
            majority class is.
    """
    scores = {}
    for column, trait in enumerate(schema):
        known = labels[:, column] != UNKNOWN
        learnt = train_labels[train_labels[:, column] != UNKNOWN, column]
        if not known.any() or not len(learnt):
            continue
        majority = np.bincount(learnt, minlength=len(trait.classes)).argmax()
        truth, guess = labels[known, column], guesses[known, column]
        counts = ClassCounts.of(truth, guess, len(trait.classes))
        scores[trait.name] = TraitScore(
            accuracy=float(counts.accuracy),
            macro_f1=float(counts.macro_f1),
            majority=float((truth == majority).mean()),
            users=int(known.sum()),
        )
    return scores


def mean_macro_f1(scores: Mapping[str, TraitScore]) -> float:
    """Average over the traits that have a score; 0 where none has."""
    each = [score.macro_f1 for score in scores.values()]
    return sum(each) / len(each) if each else 0.0
