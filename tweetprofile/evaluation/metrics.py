"""How good the predictions of a trait are, and what doing nothing clever would get.

Precision, recall and F1 of a class, and their means over the classes that occur in labels or
predictions ("macro"), agree with scikit-learn's. A user without a prediction counts as one more
class that is never right.

Shapes: N users, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import multiclass_confusion_matrix

from tweetprofile.evaluation.matching import NO_GUESS, MatchedTrait
from tweetprofile.scoring.calibration import ReliabilityBin, calibration_error, reliability_bins
from tweetprofile.scoring.classes import ClassCounts
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
class ReliabilityCurve:
    """Whether confidence is what it says.

    Attributes:
        ece: expected calibration error, the mean distance of confidence and accuracy.
        bins: the reliability curve; bins without a user are left out.
    """

    ece: float
    bins: tuple[ReliabilityBin, ...]


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
    counts = ClassCounts.of(truth_N, guess_N, classes)
    return Scores(
        accuracy=float(counts.accuracy),
        macro_precision=float(counts.macro_precision),
        macro_recall=float(counts.macro_recall),
        macro_f1=float(counts.macro_f1),
    )


def confusion_matrix(
    truth_N: NDArray[np.int64], guess_N: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """(K, K + 1) counts: a row a label, a column a prediction, the last for none."""
    # The one class more is for users without a prediction.
    guess = torch.from_numpy(np.where(guess_N == NO_GUESS, classes, guess_N))
    matrix = multiclass_confusion_matrix(guess, torch.from_numpy(truth_N), classes + 1)
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
    bins = reliability_bins(judged.confidence[known], judged.right[known])
    return ReliabilityCurve(calibration_error(bins), bins)


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
    counts = ClassCounts.of(truth_N, guess_N, len(trait.classes))
    columns = (counts.precision, counts.recall, counts.f1, counts.labelled)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {name: ClassScores(*row) for name, row in zip(trait.classes, rows, strict=True)}


def _by_frames(matched: MatchedTrait) -> list[Band]:
    bands = []
    for low, high in _FRAME_BANDS:
        within = (matched.frames_N >= low) & (matched.frames_N <= high)
        if within.any():
            name = f"{low}-{high}" if low < high < 2**31 else f"{low}+" if high > low else f"{low}"
            accuracy = float(matched.right[within].mean())
            bands.append(Band(name, int(within.sum()), accuracy))
    return bands
