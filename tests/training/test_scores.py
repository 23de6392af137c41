"""A score stands beside its baseline, and is what the field calls by that name."""

import numpy as np
import pytest

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.training.scores import macro_f1, mean_macro_f1, score_traits
from tweetprofile.traits import Trait, TraitSchema


def test_a_score_stands_beside_what_the_majority_class_would_get() -> None:
    schema = TraitSchema((Trait("mood", ("calm", "cross")), Trait("age", ("old", "young"))))
    train = np.array([[0, UNKNOWN], [0, UNKNOWN], [1, UNKNOWN]])
    labels = np.array([[0, 1], [1, 1], [1, 0], [UNKNOWN, 0]])
    guesses = np.array([[0, 1], [1, 0], [0, 0], [0, 0]])
    scores = score_traits(schema, guesses, labels, train)
    assert list(scores) == ["mood"], "no label was trained on, so there is no majority to name"
    assert scores["mood"].accuracy == pytest.approx(2 / 3)
    assert scores["mood"].majority == pytest.approx(1 / 3)
    assert scores["mood"].users == 3
    assert mean_macro_f1(scores) == scores["mood"].macro_f1


def test_macro_f1_is_the_mean_over_classes_that_occur() -> None:
    truth, guess = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    # Class 0: precision 1, recall 1/2; class 1: precision 2/3, recall 1; class 2 is nowhere.
    assert macro_f1(truth, guess, 3) == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_a_class_that_is_only_guessed_counts_as_missed() -> None:
    assert macro_f1(np.array([0, 0]), np.array([0, 2]), 3) == pytest.approx((2 / 3 + 0) / 2)
