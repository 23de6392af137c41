"""A temperature makes confidences match accuracies."""

import pytest
import torch

from tweetprofile.training.calibration import calibrate, calibrate_mean


def drawn_users(users: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits, and labels drawn with the probabilities that the logits mean."""
    torch.manual_seed(0)
    logits = torch.randn(users, 4) * 2
    return logits, torch.multinomial(logits.softmax(1), 1)[:, 0]


@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0])
def test_logits_that_are_too_large_by_a_factor_get_it_as_temperature(factor: float) -> None:
    logits, labels = drawn_users()
    found = calibrate(logits * factor, labels)
    assert found.temperature == pytest.approx(factor, rel=0.1)
    assert found.ece_after < 0.03
    assert found.users == 4000


def test_few_labels_leave_the_temperature_at_1() -> None:
    logits, labels = drawn_users(10)
    assert calibrate(logits * 9, labels).temperature == 1.0
    assert calibrate(logits[:0], labels[:0]).ece_before == 0.0


@pytest.mark.parametrize("right", [True, False])
def test_few_users_who_are_all_right_or_all_wrong_are_no_reason_to_be_sure(right: bool) -> None:
    logits = torch.tensor([[3.0, 0.0]]).repeat(24, 1)
    labels = torch.zeros(24, dtype=torch.long) if right else torch.ones(24, dtype=torch.long)
    temperature = calibrate(logits, labels).temperature
    assert 0.5 < temperature < 1 if right else 1 < temperature < 20
    sure = (logits / temperature).softmax(1)[0, 0]
    assert sure < 0.999


def test_what_many_users_say_of_the_temperature_counts_alone() -> None:
    logits, labels = drawn_users(1000)
    many = calibrate(logits.repeat(50, 1) * 3, labels.repeat(50)).temperature
    assert calibrate(logits * 3, labels).temperature == pytest.approx(many, rel=0.01)


def test_the_mean_of_many_networks_is_calibrated_by_singles_and_pairs() -> None:
    """Each network adds noise of its own to the same evidence, as networks of other seeds do."""
    evidence, labels = drawn_users(20_000)
    networks = torch.stack([evidence + torch.randn_like(evidence) for _ in range(10)])
    wanted = calibrate(networks.mean(0), labels).temperature
    singles = networks[:2].flatten(0, 1), labels.repeat(2)
    found = calibrate_mean(singles, (networks[:2].mean(0), labels), 10)
    assert found.temperature == pytest.approx(wanted, rel=0.03)
    assert calibrate(*singles).temperature > 1.1 * wanted
    assert found.users == 20_000


def test_without_pairs_the_mean_has_the_temperature_of_single_networks() -> None:
    logits, labels = drawn_users()
    found = calibrate_mean((logits * 2, labels), (logits[:0], labels[:0]), 4)
    assert found == calibrate(logits * 2, labels)
