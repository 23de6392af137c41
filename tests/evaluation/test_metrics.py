"""Metrics agree with scikit-learn, with small examples and with simulated random predictions."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics as sklearn

from tweetprofile.beside_torchvision import import_beside_torchvision
from tweetprofile.evaluation.matching import NO_GUESS, MatchedTrait
from tweetprofile.evaluation.metrics import confusion_matrix, measure, random_scores, score
from tweetprofile.scoring.calibration import BINS
from tweetprofile.traits import Trait

multiclass_calibration_error = import_beside_torchvision(
    "torchmetrics.functional.classification"
).multiclass_calibration_error


def sure(classes: list[int], of: int, confidence: float = 0.9) -> NDArray[np.float64]:
    """Probabilities that predict these classes, all with the same confidence."""
    rows = np.full((len(classes), of), (1 - confidence) / (of - 1))
    rows[np.arange(len(classes)), classes] = confidence
    return rows


def matched(
    truth: list[int],
    probabilities: NDArray[np.float64],
    frames: list[int] | None = None,
    unpredicted: tuple[int, ...] = (),
) -> MatchedTrait:
    classes = tuple("abcdefgh"[: probabilities.shape[1]])
    guess = probabilities.argmax(axis=1)
    guess[list(unpredicted)] = NO_GUESS
    return MatchedTrait(
        trait=Trait("place", classes),
        rows_N=np.arange(len(truth)),
        truth_N=np.array(truth),
        guess_N=guess,
        probabilities_NK=probabilities,
        frames_N=np.array(frames or [11] * len(truth)),
    )


def test_a_thousand_random_cases_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    for _ in range(1000):
        classes = int(random.integers(2, 9))
        users = int(random.integers(1, 60))
        # Some classes never occur; a missing prediction counts as an additional class.
        occurring = random.choice(classes, random.integers(1, classes + 1), replace=False)
        truth = random.choice(occurring, users)
        guess = random.choice([*random.choice(classes, 2), NO_GUESS], users)
        ours = score(truth, guess, classes)
        named = np.union1d(truth, guess[guess != NO_GUESS])
        theirs = sklearn.precision_recall_fscore_support(
            truth, guess, labels=named, average="macro", zero_division=0
        )
        assert ours.accuracy == pytest.approx(sklearn.accuracy_score(truth, guess), abs=1e-6)
        found = (ours.macro_precision, ours.macro_recall, ours.macro_f1)
        assert found == pytest.approx(theirs[:3], abs=1e-6)
        matrix = confusion_matrix(truth, guess, classes)
        labels = [*range(classes), NO_GUESS]
        np.testing.assert_array_equal(
            matrix, sklearn.confusion_matrix(truth, guess, labels=labels)[:classes]
        )


def test_each_class_agrees_with_scikit_learn() -> None:
    random = np.random.default_rng(1)
    truth, rows = random.integers(0, 4, 200), random.dirichlet(np.ones(5), 200)
    found = measure(matched(truth.tolist(), rows)).per_class
    precision, recall, f1, support = sklearn.precision_recall_fscore_support(
        truth, rows.argmax(axis=1), labels=range(5), zero_division=0
    )
    assert [each.precision for each in found.values()] == pytest.approx(precision, abs=1e-6)
    assert [each.recall for each in found.values()] == pytest.approx(recall, abs=1e-6)
    assert [each.f1 for each in found.values()] == pytest.approx(f1, abs=1e-6)
    assert [each.support for each in found.values()] == support.tolist()


def test_a_user_without_a_prediction_counts_as_wrong() -> None:
    found = measure(matched([0, 0, 1, 1], sure([0, 0, 1, 1], of=2), unpredicted=(3,)))
    assert (found.users, found.predicted, found.scores.accuracy) == (4, 3, 0.75)
    assert found.confusion == ((2, 0, 0), (0, 1, 1))


def test_the_majority_baseline_always_predicts_the_most_frequent_label() -> None:
    found = measure(matched([0, 1, 1, 1], sure([0, 0, 0, 0], of=2)))
    assert (found.majority_class, found.majority.accuracy) == ("b", 0.75)
    assert found.majority.macro_f1 == pytest.approx((0 + 2 * 0.75 / 1.75) / 2)


def test_the_random_baseline_is_the_mean_score_of_random_predictions() -> None:
    random = np.random.default_rng(2)
    truth = np.repeat([0, 1, 2], [600, 300, 100])
    drawn = [score(truth, random.integers(0, 3, 1000), 3) for _ in range(200)]
    expected = random_scores(np.array([600, 300, 100]))
    assert np.mean([each.accuracy for each in drawn]) == pytest.approx(expected.accuracy, abs=0.01)
    assert np.mean([each.macro_f1 for each in drawn]) == pytest.approx(expected.macro_f1, abs=0.01)
    precision = np.mean([each.macro_precision for each in drawn])
    assert precision == pytest.approx(expected.macro_precision, abs=0.01)


def test_calibration_error_agrees_with_torchmetrics() -> None:
    random = np.random.default_rng(3)
    truth, rows = random.integers(0, 3, 500), random.dirichlet(np.ones(3), 500)
    found = measure(matched(truth.tolist(), rows)).calibration
    expected = multiclass_calibration_error(
        torch.from_numpy(rows), torch.from_numpy(truth), 3, BINS
    )
    assert found is not None
    assert found.ece == pytest.approx(float(expected), abs=1e-6)
    by_bin = sum(each.users * abs(each.confidence - each.accuracy) for each in found.bins) / 500
    assert by_bin == pytest.approx(float(expected), abs=1e-6)


def test_a_confidence_of_0_9_with_an_accuracy_of_0_5_has_a_calibration_error_of_0_4() -> None:
    found = measure(matched([0, 1], sure([0, 0], of=2, confidence=0.9))).calibration
    assert found is not None
    assert found.ece == pytest.approx(0.4)
    (only,) = found.bins
    assert (only.users, only.accuracy) == (2, 0.5)
    assert only.confidence == pytest.approx(0.9)


def test_setting_unsure_users_aside_costs_coverage_and_gains_accuracy() -> None:
    rows = np.concatenate([sure([0, 1], of=2, confidence=0.9), sure([0, 1], of=2, confidence=0.6)])
    found = measure(matched([0, 1, 1, 0], rows)).selections
    assert [(each.coverage, each.accuracy) for each in found if each.min_confidence == 0.8] == [
        (0.5, 1.0)
    ]
    assert (found[0].coverage, found[0].accuracy) == (1.0, 0.5)
    assert (found[-1].coverage, found[-1].accuracy) == (0.0, None)


def test_accuracy_is_given_by_number_of_usable_frames() -> None:
    found = measure(matched([0, 0, 0, 0], sure([0, 1, 0, 0], of=2), frames=[1, 2, 11, 30]))
    assert [(each.frames, each.users, each.accuracy) for each in found.by_frames] == [
        ("1-2", 2, 0.5),
        ("11+", 2, 1.0),
    ]
