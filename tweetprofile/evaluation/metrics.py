"""Metrics of the predictions of a trait, and of the majority and random baselines.

Precision, recall and F1 per class, and their means over the classes that occur in labels or
predictions ("macro"), agree with scikit-learn's. A missing prediction counts as an additional
class, which is never correct.

Shapes: N users, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.beside_torchvision import import_beside_torchvision
from tweetprofile.evaluation.matching import NO_GUESS, MatchedTrait
from tweetprofile.scoring.calibration import (
    ReliabilityBin,
    calibration_error,
    equal_count_bins,
    reliability_bins,
)
from tweetprofile.scoring.classes import ClassCounts
from tweetprofile.scoring.uncertainty import wilson_interval
from tweetprofile.traits import Trait

_classification = import_beside_torchvision("torchmetrics.functional.classification")

_FRAME_BANDS = ((0, 0), (1, 2), (3, 4), (5, 7), (8, 10), (11, 2**31))

_THRESHOLDS = tuple(step / 20 for step in range(20))
"""Confidences below which users may be set aside: 0 to 0.95."""

_MOST_POINTS, _USERS_PER_POINT = 10, 15
"""A reliability curve has fewer points than this if they stood for fewer users than that each."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The four columns of the paper's Tables 1, 2 and 4.

    Attributes:
        accuracy: The share of labelled users whose prediction is correct.
        macro_precision: The mean precision over the classes that occur.
        macro_recall: The mean recall over the classes that occur.
        macro_f1: The mean F1 over the classes that occur. MEX-A3T ranks by the mean of this over
            the traits.
    """

    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Metrics of one class: a row of the paper's Tables 3 and 5.

    Attributes:
        precision: The share of users predicted as this class who have it.
        recall: The share of users who have this class and are predicted as it.
        f1: The harmonic mean of precision and recall.
        support: The number of users who have this class.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class ReliabilityPoint:
    """Predictions of similar confidence, about as many as there are of any other.

    Attributes:
        users: The number of users.
        confidence: Their mean confidence.
        accuracy: The share of them whose prediction is right.
        low: The lower end of the 95% interval of that share (Wilson 1927).
        high: Its upper end.
    """

    users: int
    confidence: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ReliabilityCurve:
    """How well confidence matches accuracy.

    Attributes:
        ece: The expected calibration error: the mean difference between confidence and accuracy.
        bins: The equally wide bins that the error is computed from; those without users are
            omitted.
        points: The points of the reliability curve, each of about the same number of users.
    """

    ece: float
    bins: tuple[ReliabilityBin, ...]
    points: tuple[ReliabilityPoint, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """Users whose number of usable frames is within a range.

    Attributes:
        frames: The range, as in `3-4`.
        users: The number of these users.
        accuracy: The share of them whose prediction is correct.
    """

    frames: str
    users: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class ConfidenceCut:
    """Coverage and accuracy when users below a confidence are set aside.

    Attributes:
        min_confidence: The smallest confidence of the remaining users.
        coverage: The share of labelled users who remain.
        accuracy: The accuracy among them; None if no user remains.
        macro_f1: The macro-F1 among them; None if no user remains.
    """

    min_confidence: float
    coverage: float
    accuracy: float | None
    macro_f1: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitMetrics:
    """All metrics of one trait.

    Attributes:
        users: The number of users with a label.
        predicted: The number of these who also have a prediction.
        scores: The scores over all users with a label.
        majority_class: The most frequent label.
        majority: The scores of the majority baseline, which always predicts that class.
        random: The expected scores of the random baseline, which draws one of all classes with
            equal probability.
        per_class: The scores per class, by class name.
        confusion: The confusion matrix: one row per label, one column per predicted class, and a
            last column for missing predictions.
        calibration: The reliability curve of the users with a prediction; None if the predictions
            say nothing of confidence.
        by_frames: The accuracy by number of usable frames; empty if no user has any, as for a
            model that looks at no images, or if the predictions do not say so.
        selections: Coverage and accuracy at each of a range of confidences; empty without
            confidences.
    """

    users: int
    predicted: int
    scores: Scores
    majority_class: str
    majority: Scores
    random: Scores
    per_class: Mapping[str, ClassScores]
    confusion: tuple[tuple[int, ...], ...]
    calibration: ReliabilityCurve | None
    by_frames: tuple[Band, ...]
    selections: tuple[ConfidenceCut, ...]


def measure(matched: MatchedTrait) -> TraitMetrics:
    """Compute all metrics of a trait that has at least one label."""
    trait, classes = matched.trait, len(matched.trait.classes)
    confusion = confusion_matrix(matched.truth_N, matched.guess_N, classes)
    support = confusion.sum(axis=1)
    most = int(support.argmax())
    return TraitMetrics(
        users=len(matched.truth_N),
        predicted=int((matched.guess_N != NO_GUESS).sum()),
        scores=score(matched.truth_N, matched.guess_N, classes),
        majority_class=trait.classes[most],
        majority=score(matched.truth_N, np.full_like(matched.truth_N, most), classes),
        random=random_scores(support),
        per_class=_per_class(trait, matched.truth_N, matched.guess_N),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        calibration=reliability_curve(matched) if matched.knows_confidence else None,
        by_frames=tuple(_by_frames(matched)),
        selections=tuple(
            cut_at_confidence(matched, threshold)
            for threshold in (_THRESHOLDS if matched.knows_confidence else ())
        ),
    )


def score(truth_N: NDArray[np.int64], guess_N: NDArray[np.int64], classes: int) -> Scores:
    """Compute accuracy and macro averages; `NO_GUESS` is wrong for every class."""
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
    """(K, K + 1) counts: one row per label, one column per prediction, the last for none."""
    # The additional class is for users without a prediction.
    guess = torch.from_numpy(np.where(guess_N == NO_GUESS, classes, guess_N))
    matrix = _classification.multiclass_confusion_matrix(
        guess, torch.from_numpy(truth_N), classes + 1
    )
    counts: NDArray[np.int64] = matrix[:classes].numpy()
    return counts


def random_scores(support_K: NDArray[np.int64]) -> Scores:
    """Return the scores of the random baseline, from its expected confusion matrix."""
    users, classes = support_K.sum(), np.count_nonzero(support_K)
    share = support_K[support_K > 0] / users  # precision of each class
    chance = 1 / len(support_K)  # and its recall
    f1 = 2 * share * chance / (share + chance)
    # Classes without a label are drawn as well, and are never correct.
    scale = classes / len(support_K)
    return Scores(
        chance, float(share.mean() * scale), float(chance * scale), float(f1.mean() * scale)
    )


def reliability_curve(matched: MatchedTrait) -> ReliabilityCurve:
    """Bin the predictions by confidence, and compute their expected calibration error."""
    known = matched.guess_N != NO_GUESS
    confidence, right = matched.confidence[known], matched.right[known]
    bins = reliability_bins(confidence, right)
    most = min(_MOST_POINTS, max(1, len(right) // _USERS_PER_POINT))
    points = (
        ReliabilityPoint(
            each.users,
            each.confidence,
            each.accuracy,
            *wilson_interval(each.accuracy, each.users),
        )
        for each in equal_count_bins(confidence, right, most)
    )
    return ReliabilityCurve(calibration_error(bins), bins, tuple(points))


def cut_at_confidence(matched: MatchedTrait, min_confidence: float) -> ConfidenceCut:
    """Compute coverage and accuracy when users below a confidence are set aside."""
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
    bands: list[Band] = []
    if not matched.frames_N.any():
        return bands
    for low, high in _FRAME_BANDS:
        within = (matched.frames_N >= low) & (matched.frames_N <= high)
        if within.any():
            name = f"{low}-{high}" if low < high < 2**31 else f"{low}+" if high > low else f"{low}"
            accuracy = float(matched.right[within].mean())
            bands.append(Band(name, int(within.sum()), accuracy))
    return bands
