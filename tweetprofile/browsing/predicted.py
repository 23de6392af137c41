"""Read what was predicted, some rows at a time: classes and confidences.

Shapes: R rows; T traits; K classes of a trait.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tweetprofile.data.labels.reading import encode_labels
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.evaluation.table_files import confidences_if_given, probabilities_if_given
from tweetprofile.traits import Trait

_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class Predicted:
    """What was predicted of some users.

    Attributes:
        classes_RT: The class numbers; -1 without a prediction.
        confidences: By trait, the probability of the predicted class, (R,); None if the profiles do
            not say it.
        probabilities: By trait, the probabilities of all classes, (R, K); zeros without a
            prediction, None if the profiles do not hold them.
    """

    classes_RT: NDArray[np.int64]
    confidences: tuple[NDArray[np.float64] | None, ...]
    probabilities: tuple[NDArray[np.float64] | None, ...]


def predicted_of(predictions: Predictions, rows: NDArray[np.int64]) -> Predicted:
    """Return what was predicted in some rows."""
    return _predicted(predictions, predictions.table.take(pa.array(rows)))


def in_parts(predictions: Predictions) -> Iterator[tuple[int, Predicted]]:
    """Yield the number of a first row, and what was predicted in it and those that follow."""
    for first in range(0, len(predictions.table), _ROWS_AT_ONCE):
        part = predictions.table.slice(first, _ROWS_AT_ONCE)
        yield first, _predicted(predictions, part)


def _predicted(predictions: Predictions, table: pa.Table) -> Predicted:
    schema = predictions.schema
    classes = encode_labels(table, schema)
    probabilities = tuple(probabilities_if_given(table, trait) for trait in schema)
    confidences = tuple(
        _confidence(table, trait, classes[:, place], probabilities[place])
        for place, trait in enumerate(schema)
    )
    return Predicted(classes, confidences, probabilities)


def _confidence(
    table: pa.Table,
    trait: Trait,
    classes_R: NDArray[np.int64],
    probabilities_RK: NDArray[np.float64] | None,
) -> NDArray[np.float64] | None:
    if probabilities_RK is None:
        return confidences_if_given(table, trait)
    confidence: NDArray[np.float64] = probabilities_RK[np.arange(len(classes_R)), classes_R.clip(0)]
    return confidence
