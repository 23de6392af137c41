"""Images and texts are combined by what each adds to the prior."""

import numpy as np
import pytest

from tweetprofile.scoring.fusion import Fusion, fuse, fusion_from_dict
from tweetprofile.untrusted.fields import FieldError

EVEN = (0.5, 0.5)


def rows(*shares: float) -> np.ndarray:
    return np.array([[share, 1 - share] for share in shares], np.float32)


def test_independent_evidence_adds_up_on_a_logarithmic_scale() -> None:
    fused = Fusion(1.0, 1.0, EVEN).combine(rows(0.8), rows(0.8))
    assert fused[0, 0] == pytest.approx(0.64 / (0.64 + 0.04), abs=1e-6)


def test_the_prior_is_counted_once() -> None:
    prior = (0.9, 0.1)
    fused = Fusion(1.0, 1.0, prior).combine(rows(0.9), rows(0.9))
    assert fused[0, 0] == pytest.approx(0.9, abs=1e-6)


def test_a_weight_of_zero_ignores_a_part() -> None:
    fused = Fusion(1.0, 0.0, EVEN).combine(rows(0.3), rows(0.99))
    assert fused[0, 0] == pytest.approx(0.3, abs=1e-6)


def test_users_with_one_part_are_predicted_by_it_to_the_bit() -> None:
    images, texts = rows(0.3, 0.4, 0.6), rows(0.9, 0.8, 0.7)
    seen = np.array([True, False, True]), np.array([False, True, True])
    fused = fuse(images, texts, seen, Fusion(1.0, 1.0, EVEN))
    assert (fused[0] == images[0]).all()
    assert (fused[1] == texts[1]).all()
    assert fused[2, 0] == pytest.approx(0.42 / (0.42 + 0.12), abs=1e-6)


def test_probabilities_of_zero_stay_finite() -> None:
    fused = Fusion(5.0, 5.0, EVEN).combine(rows(0.0), rows(1.0))
    assert np.isfinite(fused).all()
    assert fused.sum() == pytest.approx(1.0)


def test_a_fusion_is_the_same_after_json() -> None:
    fusion = Fusion(0.5, 0.75, (0.25, 0.75))
    assert fusion_from_dict({**fusion.to_dict(), "prior": [0.25, 0.75]}, 2) == fusion


@pytest.mark.parametrize(
    "change",
    [
        {"images": -1.0},
        {"texts": 1e9},
        {"prior": [1.0]},
        {"prior": [0.0, 1.0]},
        {"prior": ["a", "b"]},
        {"more": 1},
    ],
)
def test_an_impossible_fusion_is_refused(change: dict[str, object]) -> None:
    value = {"images": 1.0, "texts": 1.0, "prior": [0.5, 0.5], **change}
    with pytest.raises(FieldError):
        fusion_from_dict(value, 2)
