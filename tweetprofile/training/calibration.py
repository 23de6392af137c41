"""Honest probabilities: a temperature a trait, fitted on the users set aside.

Logits are divided by it before the softmax (Guo et al. 2017, "On TemperatureFit of Modern Neural
Networks", section 4.2): the most probable class stays the same, how sure it is said to be does not.

Shapes: N users, K classes.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from tweetprofile.scoring.calibration import calibration_error, reliability_bins
from tweetprofile.untrusted.fields import build, number, whole

_RANGE = (0.05, 20.0)
"""Temperatures beyond stand for a network that knows nothing, or all, of a few users."""

_FEWEST_USERS = 20
"""From fewer labels a temperature is chance."""


@dataclass(frozen=True, slots=True)
class TemperatureFit:
    """What fitting a trait's temperature came to.

    Attributes:
        temperature: that logits are to be divided by; 1 where there were too few labels.
        ece_before: expected calibration error as the network is.
        ece_after: and with the temperature, on the same users, which flatters it a little.
        users: labelled users that it was fitted on.
    """

    temperature: float
    ece_before: float
    ece_after: float
    users: int


def read_temperature_fit(value: object, what: str) -> TemperatureFit:
    """The inverse of `dataclasses.asdict`, from untrusted JSON.

    Raises:
        FieldError: a field is missing, unknown or of another type.
    """
    readers = dict.fromkeys(("temperature", "ece_before", "ece_after"), number)
    return build(TemperatureFit, value, what, {**readers, "users": whole})


def calibrate(logits_NK: torch.Tensor, labels_N: torch.Tensor) -> TemperatureFit:
    """Fit the temperature under which the labels are most probable.

    Args:
        logits_NK: of labelled users.
        labels_N: their class numbers.
    """
    temperature = 1.0
    if len(labels_N) >= _FEWEST_USERS:
        temperature = _best_temperature(logits_NK.double(), labels_N)
    before = _error_of(logits_NK.softmax(1), labels_N)
    after = _error_of((logits_NK / temperature).softmax(1), labels_N)
    return TemperatureFit(temperature, before, after, len(labels_N))


def _error_of(probabilities_NK: torch.Tensor, labels_N: torch.Tensor) -> float:
    """The calibration error of probabilities."""
    confidence_N, guess_N = probabilities_NK.double().max(dim=1)
    right_N = guess_N == labels_N
    return calibration_error(reliability_bins(confidence_N.numpy(), right_N.numpy()))


def _best_temperature(logits_NK: torch.Tensor, labels_N: torch.Tensor) -> float:
    """By golden section on a logarithmic scale: the loss has one valley."""
    shrink = (5**0.5 - 1) / 2
    low, high = (torch.tensor(bound).log().item() for bound in _RANGE)

    def loss(log_temperature: float) -> float:
        scale = torch.tensor(-log_temperature, dtype=torch.float64).exp()
        return float(cross_entropy(logits_NK * scale, labels_N))

    while high - low > 1e-4:
        left, right = high - shrink * (high - low), low + shrink * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(torch.tensor((low + high) / 2).exp())
