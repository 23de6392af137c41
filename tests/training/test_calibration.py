"""A temperature makes probabilities honest and leaves the most probable class alone."""

import pytest
import torch

from tweetprofile.training.calibration import calibrate


def drawn_users(users: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and labels drawn with just the probabilities that they mean."""
    torch.manual_seed(0)
    logits = torch.randn(users, 4) * 2
    return logits, torch.multinomial(logits.softmax(1), 1)[:, 0]


@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0])
def test_who_is_too_sure_by_a_factor_gets_that_factor_as_temperature(factor: float) -> None:
    logits, labels = drawn_users()
    found = calibrate(logits * factor, labels)
    assert found.temperature == pytest.approx(factor, rel=0.1)
    assert found.ece_after < 0.03
    assert found.users == 4000


def test_a_few_labels_are_no_ground_for_a_temperature() -> None:
    logits, labels = drawn_users(10)
    assert calibrate(logits * 9, labels).temperature == 1.0
    assert calibrate(logits[:0], labels[:0]).ece_before == 0.0
