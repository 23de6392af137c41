"""How good the predictions of a trait are, and what doing nothing clever would get.

Precision, recall and F1 of a class, and their means over the classes that occur in labels or
predictions ("macro"), are those of torchmetrics, which agree with scikit-learn's. A user without a
prediction counts as one more class that is never right.

Shapes: N users, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import (
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

from tweetprofile.evaluation.matching import NO_GUESS, MatchedTrait
from tweetprofile.training.calibration import BINS
from tweetprofile.traits import Trait

_FRAME_BANDS = ((0, 0), (1, 2), (3, 4), (5, 7), (8, 10), (11, 2**31))

_THRESHOLDS = tuple(step / 20 for step in range(20))
"""Confidences below which users could be left out: 0 to 0.95."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The four columns of the paper's Tables 1, 2 and 4.

    Attributes:
        accuracy: share of the labelled users whose prediction is right.
        macro_precision: mean over the classes that occur, as the next two.
        macro_recall: the same of recall.
        macro_f1: the same of F1; what MEX-A3T ranks by is its mean over the traits.
    """

    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class: a row of the paper's Tables 3 and 5; support is how many users have it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions of like confidence: `low` up to `high`, and what came of them."""

    low: float
    high: float
    users: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class ReliabilityCurve:
    """Whether confidence is what it says.

    Attributes:
        ece: expected calibration error, the mean distance of confidence and accuracy.
        bins: the reliability curve; bins without a user are left out.
    """

    ece: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """Users with like numbers of usable frames, as in `3-4`."""

    frames: str
    users: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class ConfidenceCut:
    """What is left when users below a confidence are left out.

    Attributes:
        min_confidence: of those that are kept.
        coverage: share of the labelled users who are kept.
        accuracy: among them; None where there is none.
        macro_f1: likewise.
    """

    min_confidence: float
    coverage: float
    accuracy: float | None
    macro_f1: float | None


@dataclass(frozen=True, slots=True)
class TraitMetrics:
    """Everything about one trait.

    Attributes:
        users: with a label.
        predicted: of these, with a prediction.
        scores: over all of them.
        majority_class: the most frequent label.
        majority: what naming it for everybody would get.
        random: what drawing a class for each by dice would get, all classes alike.
        per_class: by class name.
        confusion: a row a label, a column a prediction, the last for none.
        calibration: of those with a prediction.
        by_frames: accuracy by number of usable frames.
        selections: coverage against accuracy.
    """

    users: int
    predicted: int
    scores: Scores
    majority_class: str
    majority: Scores
    random: Scores
    per_class: Mapping[str, ClassScores]
    confusion: tuple[tuple[int, ...], ...]
    calibration: ReliabilityCurve
    by_frames: tuple[Band, ...]
    selections: tuple[ConfidenceCut, ...]


def measure(matched: MatchedTrait) -> TraitMetrics:
    """All metrics of a trait that has at least one label."""
    trait, classes = matched.trait, len(matched.trait.classes)
    confusion = confusion_matrix(matched.truth_N, matched.guess_N, classes)
    support = confusion.sum(axis=1)
    most = int(support.argmax())
    return TraitMetrics(
        len(matched.truth_N),
        int((matched.guess_N != NO_GUESS).sum()),
        score(matched.truth_N, matched.guess_N, classes),
        trait.classes[most],
        score(matched.truth_N, np.full_like(matched.truth_N, most), classes),
        random_scores(support),
        _per_class(trait, matched.truth_N, matched.guess_N),
        tuple(tuple(row) for row in confusion.tolist()),
        reliability_curve(matched),
        tuple(_by_frames(matched)),
        tuple(cut_at_confidence(matched, threshold) for threshold in _THRESHOLDS),
    )


def score(truth_N: NDArray[np.int64], guess_N: NDArray[np.int64], classes: int) -> Scores:
    """Accuracy and the macro means of some users; `NO_GUESS` is wrong for every class."""
    each = _each_class(truth_N, guess_N, classes)
    occurs = np.bincount(truth_N, minlength=classes) > 0
    occurs |= np.bincount(guess_N[guess_N != NO_GUESS], minlength=classes) > 0
    precision, recall, f1 = (values[occurs].mean() for values in each)
    return Scores(float((truth_N == guess_N).mean()), float(precision), float(recall), float(f1))


def confusion_matrix(
    truth_N: NDArray[np.int64], guess_N: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """(K, K + 1) counts: a row a label, a column a prediction, the last for none."""
    guess, truth = _tensors(truth_N, guess_N, classes)
    matrix = multiclass_confusion_matrix(guess, truth, classes + 1)
    counts: NDArray[np.int64] = matrix[:classes].numpy()
    return counts


def random_scores(support_K: NDArray[np.int64]) -> Scores:
    """What drawing classes by dice gets: the scores of the confusion matrix to be expected."""
    users, classes = support_K.sum(), np.count_nonzero(support_K)
    share = support_K[support_K > 0] / users  # precision of each class
    chance = 1 / len(support_K)  # and its recall
    f1 = 2 * share * chance / (share + chance)
    # Classes without a label are drawn, too, and are never right.
    scale = classes / len(support_K)
    return Scores(
        chance, float(share.mean() * scale), float(chance * scale), float(f1.mean() * scale)
    )


def reliability_curve(judged: MatchedTrait) -> ReliabilityCurve:
    """How well confidence says how often predictions are right."""
    known = judged.guess_N != NO_GUESS
    if not known.any():
        return ReliabilityCurve(0.0, ())
    probabilities = torch.from_numpy(judged.probabilities_NK[known])
    truth = torch.from_numpy(judged.truth_N[known])
    error = multiclass_calibration_error(probabilities, truth, len(judged.trait.classes), BINS)
    confidence, right = judged.confidence[known], judged.right[known]
    number = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    bins = (_bin(each, confidence[number == each], right[number == each]) for each in range(BINS))
    return ReliabilityCurve(float(error), tuple(each for each in bins if each.users))


def cut_at_confidence(matched: MatchedTrait, min_confidence: float) -> ConfidenceCut:
    """What is left of the users when the unsure ones are left out."""
    kept = (matched.guess_N != NO_GUESS) & (matched.confidence >= min_confidence)
    if not kept.any():
        return ConfidenceCut(min_confidence, 0.0, None, None)
    scores = score(matched.truth_N[kept], matched.guess_N[kept], len(matched.trait.classes))
    return ConfidenceCut(min_confidence, float(kept.mean()), scores.accuracy, scores.macro_f1)


def _per_class(
    trait: Trait, truth_N: NDArray[np.int64], guess_N: NDArray[np.int64]
) -> dict[str, ClassScores]:
    precision, recall, f1 = _each_class(truth_N, guess_N, len(trait.classes))
    support = np.bincount(truth_N, minlength=len(trait.classes))
    return {
        name: ClassScores(
            float(precision[number]), float(recall[number]), float(f1[number]), int(support[number])
        )
        for number, name in enumerate(trait.classes)
    }


def _each_class(
    truth_N: NDArray[np.int64], guess_N: NDArray[np.int64], classes: int
) -> list[NDArray[np.float64]]:
    """Precision, recall and F1 of each class; 0 where there is nothing to divide by."""
    guess, truth = _tensors(truth_N, guess_N, classes)
    return [
        metric(guess, truth, classes + 1, average="none")[:classes].double().numpy()
        for metric in (multiclass_precision, multiclass_recall, multiclass_f1_score)
    ]


def _tensors(
    truth_N: NDArray[np.int64], guess_N: NDArray[np.int64], classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """As torchmetrics takes them, with one class more for what was not predicted."""
    return torch.from_numpy(np.where(guess_N == NO_GUESS, classes, guess_N)), torch.from_numpy(
        truth_N
    )


def _bin(number: int, confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Bin:
    users = len(confidence)
    mean, accuracy = (float(each.mean()) if users else 0.0 for each in (confidence, right))
    return Bin(number / BINS, (number + 1) / BINS, users, mean, accuracy)


def _by_frames(matched: MatchedTrait) -> list[Band]:
    bands = []
    for low, high in _FRAME_BANDS:
        within = (matched.frames_N >= low) & (matched.frames_N <= high)
        if within.any():
            name = f"{low}-{high}" if low < high < 2**31 else f"{low}+" if high > low else f"{low}"
            accuracy = float(matched.right[within].mean())
            bands.append(Band(name, int(within.sum()), accuracy))
    return bands
