"""The confusion matrix of a trait, as a page shows it: counts, and shares of each row."""

from dataclasses import dataclass

from tweetprofile.evaluation.metrics import TraitMetrics

MOST_NAMED = 64
"""A confusion matrix of more classes is drawn without names and counts."""

NONE = "none"
"""The column of users without a prediction."""


@dataclass(frozen=True, slots=True)
class ConfusionCell:
    """The users who have one class and are predicted as one.

    Attributes:
        count: The number of these users.
        share: Their share among the users who have that class; 0 if nobody has it.
        is_right: Whether the two classes are the same.
    """

    count: int
    share: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """The users who have one class.

    Attributes:
        label: The class.
        users: Their number.
        cells: How many of them are predicted as each class.
    """

    label: str
    users: int
    cells: tuple[ConfusionCell, ...]


@dataclass(frozen=True, slots=True)
class Confusion:
    """A confusion matrix.

    Attributes:
        predicted: The column headings: the classes, and `none` if some users have no prediction.
        rows: One row per class.
    """

    predicted: tuple[str, ...]
    rows: tuple[ConfusionRow, ...]


def confusion_of(metrics: TraitMetrics) -> Confusion:
    """Return the confusion matrix of a trait, with a last column if predictions are missing."""
    classes = tuple(metrics.per_class)
    some_missing = any(row[-1] for row in metrics.confusion)
    predicted = (*classes, NONE) if some_missing else classes
    rows = []
    for number, (label, counts) in enumerate(zip(classes, metrics.confusion, strict=True)):
        users = sum(counts)
        cells = (
            ConfusionCell(count, count / max(1, users), number == column)
            for column, count in enumerate(counts[: len(predicted)])
        )
        rows.append(ConfusionRow(label, users, tuple(cells)))
    return Confusion(predicted, tuple(rows))
