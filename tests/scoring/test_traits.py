"""Each trait is scored together with the majority baseline."""

import numpy as np
import pytest

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.scoring.traits import mean_macro_f1, score_traits
from tweetprofile.traits import Trait, TraitSchema


def test_a_score_is_given_together_with_the_majority_baseline() -> None:
    schema = TraitSchema((Trait("mood", ("calm", "cross")), Trait("age", ("old", "young"))))
    train = np.array([[0, UNKNOWN], [0, UNKNOWN], [1, UNKNOWN]])
    labels = np.array([[0, 1], [1, 1], [1, 0], [UNKNOWN, 0]])
    guesses = np.array([[0, 1], [1, 0], [0, 0], [0, 0]])
    scores = score_traits(schema, guesses, labels, train)
    assert list(scores) == ["mood"], "no label was trained on, so there is no majority class"
    assert scores["mood"].accuracy == pytest.approx(2 / 3)
    assert scores["mood"].majority == pytest.approx(1 / 3)
    assert scores["mood"].users == 3
    assert mean_macro_f1(scores) == scores["mood"].macro_f1
