"""How well a network does, beside what naming the most frequent class would do."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.traits import TraitSchema
from tweetprofile.untrusted.fields import (
    FieldError,
    Reader,
    build,
    mapping_of,
    number,
    optional,
    parse_json,
    whole,
)


@dataclass(frozen=True, slots=True)
class TraitScore:
    """How well one trait is predicted on the users set aside.

    Attributes:
        accuracy: share of labelled users whose most probable class is right.
        macro_f1: mean F1 over the classes that occur among truths or guesses.
        majority: accuracy of naming the most frequent class of the training users.
        users: labelled users.
    """

    accuracy: float
    macro_f1: float
    majority: float
    users: int


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """One line of `metrics.jsonl`.

    Attributes:
        epoch: counted from 1.
        loss: mean training loss, summed over the traits.
        val_loss: cross-entropy summed over the traits on the users set aside; None without such.
        scores: by trait, on the users set aside.
        mean_macro_f1: over the traits that have a score; what the best epoch is chosen by.
        learning_rate: of the epoch's last step.
        seconds: the epoch took.
    """

    epoch: int
    loss: float
    val_loss: float | None
    scores: Mapping[str, TraitScore]
    mean_macro_f1: float
    learning_rate: float
    seconds: float

    def beats(self, best: "EpochMetrics | None") -> bool:
        """Whether this epoch is to be kept; without users set aside the later one is better."""
        return best is None or not self.scores or self.mean_macro_f1 > best.mean_macro_f1


def read_metrics(value: object, what: str) -> EpochMetrics:
    """The inverse of `dataclasses.asdict`, from untrusted JSON.

    Raises:
        FieldError: a field is missing, unknown or of another type.
    """
    return build(EpochMetrics, value, what, _METRICS)


def epoch_of(line: str) -> float:
    """The epoch that a line of `metrics.jsonl` is of; a damaged one is of none that was done."""
    try:
        return read_metrics(parse_json(line, "it"), "it").epoch
    except FieldError:
        return math.inf


def read_score(value: object, what: str) -> TraitScore:
    """The inverse of `dataclasses.asdict`, from untrusted JSON; see `read_metrics`."""
    return build(TraitScore, value, what, _SCORE)


_SCORE: Mapping[str, Reader] = {
    "accuracy": number,
    "macro_f1": number,
    "majority": number,
    "users": whole,
}

_METRICS: Mapping[str, Reader] = {
    "epoch": whole,
    "loss": number,
    "val_loss": optional(number),
    "scores": mapping_of(read_score),
    "mean_macro_f1": number,
    "learning_rate": number,
    "seconds": number,
}


def score_traits(
    schema: TraitSchema,
    guesses: NDArray[np.int64],
    labels: NDArray[np.int64],
    train_labels: NDArray[np.int64],
) -> dict[str, TraitScore]:
    """Scores of each trait beside that of the majority class; traits without labels have none.

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
        truth, guess = labels[known, column], guesses[known, column]
        scores[trait.name] = TraitScore(
            float((guess == truth).mean()),
            macro_f1(truth, guess, len(trait.classes)),
            float((truth == majority).mean()),
            int(known.sum()),
        )
    return scores


def macro_f1(truth: NDArray[np.int64], guess: NDArray[np.int64], classes: int) -> float:
    """Mean F1 over the classes that occur in either."""
    right = np.bincount(truth[truth == guess], minlength=classes)
    named = np.bincount(truth, minlength=classes) + np.bincount(guess, minlength=classes)
    return float((2 * right[named > 0] / named[named > 0]).mean())


def mean_macro_f1(scores: Mapping[str, TraitScore]) -> float:
    """Over the traits that have a score; 0 where none has."""
    each = [score.macro_f1 for score in scores.values()]
    return sum(each) / len(each) if each else 0.0
