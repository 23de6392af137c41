"""Temperatures that make confidences match accuracies, one per trait, fitted on held-out users.

Logits are divided by the temperature before the softmax (Guo et al. 2017, "On Calibration of Modern
Neural Networks", section 4.2): the most probable class stays the same, only its probability
changes.

Shapes: N users, K classes.
"""

from dataclasses import dataclass, replace

import torch
from torch.nn.functional import cross_entropy

from tweetprofile.scoring.calibration import calibration_error, reliability_bins
from tweetprofile.untrusted.fields import build, number, whole

_RANGE = (0.05, 20.0)
"""The lowest and the highest temperature."""

_SPREAD = 1.0
"""The deviation of the logarithm of temperatures before any label is known, around a temperature of
1. Without it, a few users who are all predicted rightly would have the lowest temperature, with
which the model is sure of everybody, and a few who are predicted wrongly the highest. It changes
the temperature of a thousand users by less than a hundredth."""

_FEWEST_USERS = 20
"""The number of labels below which a fitted temperature would be chance."""


@dataclass(frozen=True, slots=True)
class TemperatureFit:
    """The temperature of a trait, and its effect.

    Attributes:
        temperature: The divisor of the logits; 1 if there were too few labels.
        ece_before: The expected calibration error without the temperature.
        ece_after: The error with it, on the same users, which flatters it a little.
        users: The number of labelled users.
    """

    temperature: float
    ece_before: float
    ece_after: float
    users: int


def read_temperature_fit(value: object, what: str) -> TemperatureFit:
    """Read untrusted JSON: the inverse of `dataclasses.asdict`.

    Args:
        value: The parsed JSON.
        what: The name of the value in errors.

    Raises:
        FieldError: A field is missing, unknown or of another type.
    """
    readers = dict.fromkeys(("temperature", "ece_before", "ece_after"), number)
    return build(TemperatureFit, value, what, {**readers, "users": whole})


def calibrate(logits_NK: torch.Tensor, labels_N: torch.Tensor) -> TemperatureFit:
    """Fit the most probable temperature, given the labels and that it is likely to be near 1.

    Args:
        logits_NK: The logits of labelled users.
        labels_N: The class numbers of their labels.
    """
    temperature = 1.0
    if len(labels_N) >= _FEWEST_USERS:
        temperature = _best_temperature(logits_NK.double(), labels_N)
    before = _error_of(logits_NK.softmax(1), labels_N)
    after = _error_of((logits_NK / temperature).softmax(1), labels_N)
    return TemperatureFit(temperature, before, after, len(labels_N))


def calibrate_mean(
    singles: tuple[torch.Tensor, torch.Tensor],
    pairs: tuple[torch.Tensor, torch.Tensor],
    networks: int,
) -> TemperatureFit:
    """Fit the temperature of the mean of networks of which each has learned from most users.

    No user is held out by all networks, so the temperature of their mean cannot be fitted. The more
    networks, the surer their mean may be: in it, what the networks disagree on shrinks with their
    number, and the temperature falls along with it, in proportion. Temperatures of single networks
    and of pairs therefore tell that of any number (`benchmarks/results/2026-11-29-backbones.md`).

    Args:
        singles: The logits of users by single networks that held them out, and the labels.
        pairs: The mean logits of two such networks per user, and the labels; few of them, or none,
            if users are held out by one network each. The temperature is then that of `singles`.
        networks: The number of networks.
    """
    single = calibrate(*singles)
    if len(pairs[1]) < _FEWEST_USERS:
        return single
    pair = calibrate(*pairs)
    gain = 2 * (1 - 1 / networks) * (pair.temperature - single.temperature)
    temperature = min(max(single.temperature + gain, _RANGE[0]), _RANGE[1])
    return replace(pair, temperature=temperature)


def _error_of(probabilities_NK: torch.Tensor, labels_N: torch.Tensor) -> float:
    """Return the calibration error of probabilities."""
    confidence_N, guess_N = probabilities_NK.double().max(dim=1)
    right_N = guess_N == labels_N
    return calibration_error(reliability_bins(confidence_N.numpy(), right_N.numpy()))


def _best_temperature(logits_NK: torch.Tensor, labels_N: torch.Tensor) -> float:
    """Search by golden section on a logarithmic scale, for the minimum of the loss of all users."""
    shrink = (5**0.5 - 1) / 2
    low, high = (torch.tensor(bound).log().item() for bound in _RANGE)

    def loss(log_temperature: float) -> float:
        scale = torch.tensor(-log_temperature, dtype=torch.float64).exp()
        fit = float(cross_entropy(logits_NK * scale, labels_N, reduction="sum"))
        return fit + (log_temperature / _SPREAD) ** 2 / 2

    while high - low > 1e-4:
        left, right = high - shrink * (high - low), low + shrink * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(torch.tensor((low + high) / 2).exp())
