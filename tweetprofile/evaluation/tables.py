"""Make tables of the same form as the paper's: the scores per trait, and per class.

Tables 1, 2 and 4 of Valdez-Rodriguez et al. 2019 give accuracy and macro precision, recall and F1
of gender, location and occupation; Tables 3 and 5 give a figure for each location and occupation.
Published results stand in tables of their own, beside the figures of the predictions.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from tweetprofile.evaluation.evaluate import Evaluation
from tweetprofile.evaluation.metrics import Scores
from tweetprofile.evaluation.published import published_results
from tweetprofile.evaluation.resampling import Interval
from tweetprofile.plurals import count_of
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
        """Return the table as CSV, with figures rounded as the report shows them."""
        text = io.StringIO(newline="")
        rows = ([rounded(cell) for cell in row] for row in self.rows)
        write_rows(text, [self.columns, *rows])
        return text.getvalue().encode()


def rounded(cell: Cell) -> Cell:
    """Return a share with three decimals, as text; counts and names unchanged.

    The figures of 10,000 users differ from the third decimal on by chance alone.
    """
    return f"{cell:.3f}" if isinstance(cell, float) else cell


def tables(evaluations: Sequence[Evaluation]) -> list[Table]:
    """Make all tables: per trait scores, classes, published results; then baselines and parts."""
    made: list[Table | None] = []
    for trait in evaluations[0].traits:
        made.append(scores_table(trait, evaluations))
        made += (classes_table(trait, each, alone=len(evaluations) == 1) for each in evaluations)
        made += [published_table(trait, evaluations), published_classes_table(trait, evaluations)]
    made += map(baselines_table, evaluations)
    made += map(parts_table, evaluations)
    return [table for table in made if table is not None]


def scores_table(trait: str, evaluations: Sequence[Evaluation]) -> Table:
    """Make the table of a trait's scores: one row per set of predictions, then the baselines."""
    metrics = evaluations[0].traits[trait]
    rows = [
        *((each.name, *astuple(each.traits[trait].scores)) for each in evaluations),
        (f"majority class ({metrics.majority_class})", *astuple(metrics.majority)),
        ("random draw", *astuple(metrics.random)),
    ]
    title = f"{trait}: {count_of(metrics.users, 'user')} with a label"
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


def published_table(trait: str, evaluations: Sequence[Evaluation]) -> Table | None:
    """Make the table of published results, after those of the predictions; None if there are none.

    Published figures have the digits that were published; those that were not are empty.
    """
    published = published_results(evaluations[0].matched.predictions.schema, trait)
    if not published:
        return None
    rows: list[tuple[Cell, ...]] = [
        (each.name, *astuple(each.traits[trait].scores), _OWN) for each in evaluations
    ]
    for one in published:
        scores = (one.accuracy, one.precision, one.recall, one.f1)
        rows.append((f"{one.system} ({one.uses})", *map(one.as_printed, scores), one.measured_on))
    columns = ("Model", "Accuracy", "Precision", "Recall", "F1", "Measured on")
    return Table(f"{trait}-published", f"{trait}: published results", columns, tuple(rows))


def published_classes_table(trait: str, evaluations: Sequence[Evaluation]) -> Table | None:
    """Make the table of published figures per class, after the F1 of the predictions."""
    published = [
        each
        for each in published_results(evaluations[0].matched.predictions.schema, trait)
        if each.per_class
    ]
    if not published:
        return None
    classes = tuple(evaluations[0].traits[trait].per_class)
    rows: list[tuple[Cell, ...]] = []
    for each in evaluations:
        own = [each.traits[trait].per_class[name].f1 for name in classes]
        rows.append((each.name, *own, _OWN))
    for one in published:
        figures = [one.as_printed(one.per_class[name]) for name in classes]
        rows.append((f"{one.system} ({one.uses})", *figures, one.measured_on))
    return Table(
        f"{trait}-published-classes",
        f"{trait} by class: published results",
        ("Model", *classes, "Measured on"),
        tuple(rows),
    )


def baselines_table(evaluation: Evaluation) -> Table | None:
    """Make the table of the baselines and the model, trait by trait; None without baselines."""
    rows: list[tuple[Cell, ...]] = []
    for trait, metrics in evaluation.traits.items() if evaluation.baselines else ():
        for each in evaluation.baselines.each:
            figures = _with_intervals(each.scores[trait], each.intervals[trait])
            rows.append((trait, each.name, each.after, *figures))
        own = _with_intervals(metrics.scores, evaluation.intervals[trait])
        rows.append((trait, evaluation.name, "", *own))
    if not rows:
        return None
    return Table("all-baselines", "Baselines on these users", _COLUMNS, tuple(rows))


def parts_table(evaluation: Evaluation) -> Table | None:
    """Make the table of images alone, texts alone and both, trait by trait; None without parts.

    The last row of each trait is the model's own.
    """
    parts, rows = evaluation.parts, list[tuple[Cell, ...]]()
    if not parts:
        return None
    for trait, users in parts.users.items():
        for each in parts.rows:
            figures = _with_intervals(each.scores[trait], each.intervals[trait])
            rows.append((trait, each.name, each.after, *figures, users))
        own = _with_intervals(parts.scores[trait], parts.intervals[trait])
        rows.append((trait, fused_name(evaluation), "", *own, users))
    title = "Images and texts, on users who have both"
    return Table("all-parts", title, (*_COLUMNS, "Users"), tuple(rows))


def fused_name(evaluation: Evaluation) -> str:
    """Return the name of the model in the table of its parts."""
    return f"{evaluation.name} (fused)"


_OWN = "your users"
_SHOWN = {"accuracy": "Accuracy", "macro_f1": "F1"}
_ENDS = ("", " low", " high")
_COLUMNS = (
    "Trait",
    "Model",
    "After",
    *(f"{head}{end}" for head in _SHOWN.values() for end in _ENDS),
)
"""The columns of tables that compare the model with others on the same users."""


def _with_intervals(scores: Scores, intervals: Mapping[str, Interval]) -> list[float]:
    """Return accuracy and macro-F1, each with the ends of its 95% interval."""
    return [
        value
        for metric in _SHOWN
        for value in (getattr(scores, metric), intervals[metric].low, intervals[metric].high)
    ]
