"""Accuracy, precision, recall and F1, from how often each class was right.

There is one implementation for one set of predictions and for thousands of resampled ones alike, so
it starts from counts. It computes in double precision: torchmetrics returns float32, in which two
epochs with the same F1 could differ, and takes seconds to import. The tests compare it with
scikit-learn.

Shapes: N users, K classes; `...` stands for any number of resamples.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """The number of users per class.

    Attributes:
        correct: Users whose label and prediction are the class (..., K).
        labelled: Users whose label is the class (..., K).
        predicted: Users whose prediction is the class (..., K).
    """

    correct: Counts
    labelled: Counts
    predicted: Counts

    @classmethod
    def of(cls, truth_N: NDArray[np.int64], guess_N: NDArray[np.int64], classes: int) -> Self:
        """Count labels and predictions.

        Args:
            truth_N: Class numbers of the labels.
            guess_N: Class numbers of the predictions; negative for users without a prediction.
            classes: The number of classes.
        """
        return cls(
            np.bincount(truth_N[truth_N == guess_N], minlength=classes),
            np.bincount(truth_N, minlength=classes),
            np.bincount(guess_N[guess_N >= 0], minlength=classes),
        )

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """The share of labelled users whose prediction is right (...)."""
        return _divide(self.correct.sum(-1), self.labelled.sum(-1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """The share of each class's predictions that are right (..., K)."""
        return _divide(self.correct, self.predicted)

    @property
    def recall(self) -> NDArray[np.float64]:
        """The share of each class's users whose prediction is right (..., K)."""
        return _divide(self.correct, self.labelled)

    @property
    def f1(self) -> NDArray[np.float64]:
        """The harmonic mean of each class's precision and recall (..., K)."""
        return _divide(2 * self.correct, self.labelled + self.predicted)

    @property
    def macro_precision(self) -> NDArray[np.float64]:
        """The mean precision of the classes that occur in labels or predictions (...)."""
        return self._mean(self.precision)

    @property
    def macro_recall(self) -> NDArray[np.float64]:
        """The mean recall of the classes that occur in labels or predictions (...)."""
        return self._mean(self.recall)

    @property
    def macro_f1(self) -> NDArray[np.float64]:
        """The mean F1 of the classes that occur in labels or predictions (...)."""
        return self._mean(self.f1)

    def _mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average over the classes that occur; the values of all others are 0."""
        return _divide(values.sum(-1), np.count_nonzero(self.labelled + self.predicted, axis=-1))


def _divide(part: Counts, whole: Counts) -> NDArray[np.float64]:
    """Divide; the result is 0 where the divisor is."""
    quotient = np.zeros(np.shape(part))
    return np.divide(part, whole, out=quotient, where=np.asarray(whole) > 0)
