"""Precision, recall and F1 are what scikit-learn computes."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from tweetprofile.scoring.classes import ClassCounts


def test_macro_f1_is_the_mean_over_classes_that_occur() -> None:
    counts = ClassCounts.of(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 3)
    # Class 0: precision 1, recall 1/2; class 1: precision 2/3, recall 1; class 2 does not occur.
    assert counts.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_a_class_that_is_only_predicted_has_an_f1_of_0() -> None:
    counts = ClassCounts.of(np.array([0, 0]), np.array([0, 2]), 3)
    assert counts.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_a_thousand_random_cases_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    for _ in range(1000):
        classes, users = int(random.integers(2, 12)), int(random.integers(1, 60))
        truth = random.choice(random.choice(classes, random.integers(1, classes + 1)), users)
        guess = random.choice(random.choice(classes, random.integers(1, classes + 1)), users)
        counts = ClassCounts.of(truth, guess, classes)
        expected = sklearn.precision_recall_fscore_support(
            truth, guess, average="macro", zero_division=0
        )
        found = (counts.macro_precision, counts.macro_recall, counts.macro_f1)
        assert found == pytest.approx(expected[:3], abs=1e-12)
        assert counts.accuracy == sklearn.accuracy_score(truth, guess)


def test_many_resamples_are_scored_as_each_one_is_alone() -> None:
    random = np.random.default_rng(1)
    drawn = [(random.integers(0, 9, 20), random.integers(0, 9, 20)) for _ in range(50)]
    alone = [ClassCounts.of(truth, guess, 12) for truth, guess in drawn]
    together = ClassCounts(
        correct=np.stack([each.correct for each in alone]).astype(np.float64),
        labelled=np.stack([each.labelled for each in alone]).astype(np.float64),
        predicted=np.stack([each.predicted for each in alone]).astype(np.float64),
    )
    for name in ("accuracy", "macro_precision", "macro_recall", "macro_f1"):
        expected = [float(getattr(each, name)) for each in alone]
        assert getattr(together, name) == pytest.approx(expected, abs=1e-12)


def test_a_user_without_a_prediction_counts_as_wrong() -> None:
    counts = ClassCounts.of(np.array([0, 0, 1, 1]), np.array([0, 0, 1, -1]), 2)
    assert counts.accuracy == 0.75
    assert counts.recall.tolist() == [1.0, 0.5]
    assert counts.precision.tolist() == [1.0, 1.0]
