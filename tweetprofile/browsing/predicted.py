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
from tweetprofile.evaluation.table_files import probabilities_of
from tweetprofile.traits import Trait
from tweetprofile.workers.profiles import confidence_column, probabilities_column

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
    probabilities = tuple(_probabilities(table, trait) for trait in schema)
    confidences = tuple(
        _confidence(table, trait, classes[:, place], probabilities[place])
        for place, trait in enumerate(schema)
    )
    return Predicted(classes, confidences, probabilities)


def _probabilities(table: pa.Table, trait: Trait) -> NDArray[np.float64] | None:
    """Return the probabilities of all classes, (R, K); None if the profiles do not hold them."""
    if probabilities_column(trait.name) not in table.column_names:
        return None
    return probabilities_of(table, trait)


def _confidence(
    table: pa.Table,
    trait: Trait,
    classes_R: NDArray[np.int64],
    probabilities_RK: NDArray[np.float64] | None,
) -> NDArray[np.float64] | None:
    confidence: NDArray[np.float64]
    if probabilities_RK is not None:
        confidence = probabilities_RK[np.arange(len(classes_R)), classes_R.clip(0)]
        return confidence
    if confidence_column(trait.name) not in table.column_names:
        return None
    given = table[confidence_column(trait.name)].cast(pa.float64()).combine_chunks()
    confidence = np.nan_to_num(given.to_numpy(zero_copy_only=False))
    return confidence.clip(0.0, 1.0)
