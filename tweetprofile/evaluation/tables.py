"""Make tables of the same form as the paper's: the scores per trait, and per class.

Tables 1, 2 and 4 of Valdez-Rodriguez et al. 2019 give accuracy and macro precision, recall and F1
of gender, location and occupation; Tables 3 and 5 give precision, recall and F1 of each location
and occupation.
"""

import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from tweetprofile.evaluation.evaluate import Evaluation
from tweetprofile.untrusted.spreadsheets import write_rows

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Table:
    """A table, to be shown or written as CSV.

    Attributes:
        name: The name of its file, without the ending.
        title: The title above it.
        columns: The column headings.
        rows: The rows; scores and counts are numbers.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def to_csv(self) -> bytes:
        """Return the table as CSV, with all digits of its numbers."""
        text = io.StringIO(newline="")
        write_rows(text, [self.columns, *self.rows])
        return text.getvalue().encode()


def tables(evaluations: Sequence[Evaluation]) -> list[Table]:
    """Make all tables: per trait its scores, then its classes for each set of predictions."""
    made = []
    for trait in evaluations[0].traits:
        made.append(scores_table(trait, evaluations))
        made += [classes_table(trait, each, alone=len(evaluations) == 1) for each in evaluations]
    return made


def scores_table(trait: str, evaluations: Sequence[Evaluation]) -> Table:
    """Make the table of a trait's scores: one row per set of predictions, then the baselines."""
    metrics = evaluations[0].traits[trait]
    rows = [
        *((each.name, *astuple(each.traits[trait].scores)) for each in evaluations),
        (f"majority class ({metrics.majority_class})", *astuple(metrics.majority)),
        ("random draw", *astuple(metrics.random)),
    ]
    title = f"{trait}: {metrics.users:,} users with a label"
    columns = ("Model", "Accuracy", "Precision", "Recall", "F1")
    return Table(trait, title, columns, tuple(rows))


def classes_table(trait: str, evaluation: Evaluation, *, alone: bool = True) -> Table:
    """Make the table of precision, recall, F1 and support per class, and the macro averages."""
    metrics = evaluation.traits[trait]
    scores = metrics.scores
    mean = (scores.macro_precision, scores.macro_recall, scores.macro_f1, metrics.users)
    rows = [(name, *astuple(each)) for name, each in metrics.per_class.items()]
    suffix = "" if alone else f"-{Path(evaluation.name).name}"
    title = f"{trait} by class" + ("" if alone else f": {evaluation.name}")
    return Table(
        f"{trait}-classes{suffix}",
        title,
        (trait.capitalize(), "Precision", "Recall", "F1", "Users"),
        (*rows, ("average", *mean)),
    )
