"""How far confidences are from accuracies: reliability bins and the calibration error.

Guo et al. 2017, "On Calibration of Modern Neural Networks", sections 2 and 3. The error is computed
from the bins that the reliability diagram shows, in double precision. torchmetrics computes it in
float32, where a confidence at the edge of a bin may fall on the other side than in the diagram;
the tests compare the two.

Shapes: N users.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""The number of equally wide bins of confidence from 0 to 1 (Guo et al. 2017)."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Predictions of similar confidence.

    Attributes:
        low: The lowest confidence of the bin.
        high: The confidence at which the next bin begins; for bins by equal counts, the highest.
        users: The number of users in the bin.
        confidence: Their mean confidence.
        accuracy: The share of them whose prediction is right.
    """

    low: float
    high: float
    users: int
    confidence: float
    accuracy: float


def reliability_bins(
    confidence_N: NDArray[np.float64], right_N: NDArray[np.bool_]
) -> tuple[ReliabilityBin, ...]:
    """Group users by confidence; bins without a user are left out.

    Args:
        confidence_N: The probability of each user's predicted class.
        right_N: Whether each user's prediction is right.
    """
    number_N = np.clip((confidence_N * BINS).astype(int), 0, BINS - 1)
    bins = []
    for number in np.unique(number_N).tolist():
        confidence, right = confidence_N[number_N == number], right_N[number_N == number]
        bins.append(
            ReliabilityBin(
                low=number / BINS,
                high=(number + 1) / BINS,
                users=len(confidence),
                confidence=float(confidence.mean()),
                accuracy=float(right.mean()),
            )
        )
    return tuple(bins)


def equal_count_bins(
    confidence_N: NDArray[np.float64], right_N: NDArray[np.bool_], most: int
) -> tuple[ReliabilityBin, ...]:
    """Group users by confidence into bins of about the same number of users.

    Users of equal confidence share a bin, so there may be fewer bins, of different sizes.

    Args:
        confidence_N: The probability of each user's predicted class.
        right_N: Whether each user's prediction is right.
        most: The largest number of bins.
    """
    order = np.argsort(confidence_N, kind="stable")
    confidence_N, right_N = confidence_N[order], right_N[order]
    if not len(order):
        return ()
    edges = confidence_N[[len(order) * number // most for number in range(1, most)]]
    begins = np.unique([0, *np.searchsorted(confidence_N, edges, "left")]).tolist()
    ends = [*begins[1:], len(order)]
    return tuple(
        ReliabilityBin(
            low=float(confidence_N[begin]),
            high=float(confidence_N[end - 1]),
            users=end - begin,
            confidence=float(confidence_N[begin:end].mean()),
            accuracy=float(right_N[begin:end].mean()),
        )
        for begin, end in zip(begins, ends, strict=True)
        if end > begin
    )


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the expected calibration error: the mean distance of confidence and accuracy.

    Args:
        bins: The bins of all users; without any, the error is 0.
    """
    users = sum(each.users for each in bins)
    gaps = sum(each.users * abs(each.confidence - each.accuracy) for each in bins)
    return gaps / users if users else 0.0
