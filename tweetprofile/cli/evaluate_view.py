"""Shows the scores of `evaluate` next to their baselines, and where the report was written."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tweetprofile.cli.console import CONSOLE, OUTPUT, make_bar, print_json
from tweetprofile.cli.flags import with_flags
from tweetprofile.cli.interruptions import interruptions
from tweetprofile.evaluation import submission
from tweetprofile.evaluation.evaluate import (
    Comparison,
    EvaluateOptions,
    Evaluation,
    compare_predictions,
    evaluate_predictions,
)
from tweetprofile.evaluation.metrics import Scores
from tweetprofile.evaluation.output_folder import write_comparison, write_evaluation
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.evaluation.resampling import Interval
from tweetprofile.evaluation.single_images import OnImages
from tweetprofile.evaluation.summary import ARTIFICIAL
from tweetprofile.evaluation.tables import Cell, baselines_table, fused_name, parts_table
from tweetprofile.evaluation.tables import Table as PlainTable
from tweetprofile.plurals import count_of, one_or_many
from tweetprofile.scoring.uncertainty import FEWEST_USERS

_NAMES_SHOWN = 5


def evaluate(
    manifest: str,
    predictions: str,
    options: EvaluateOptions,
    folder: Path | None,
    epochs: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Evaluate one set of predictions, write the report and show the scores."""
    with _baseline_progress(options, quiet=quiet) as on_images:
        evaluation = evaluate_predictions(manifest, predictions, options, on_images)
    report = write_evaluation(evaluation, folder, epochs) if folder else None
    if as_json:
        print_json(evaluation.to_dict(), indent=1)
    elif not quiet:
        _show_evaluation(evaluation)
        if report is not None:
            CONSOLE.print(f"report -> {report}")


def compare(
    manifest: str,
    predictions: Sequence[str],
    options: EvaluateOptions,
    folder: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare several sets of predictions, write the comparison and show it."""
    comparison = compare_predictions(manifest, predictions, options)
    if folder is not None:
        write_comparison(comparison, folder)
    if as_json:
        print_json(comparison.to_dict(), indent=1)
    elif not quiet:
        _show_comparison(comparison)


def write_submission(predictions: str, folder: Path, *, quiet: bool) -> None:
    """Write the submission files of MEX-A3T and show their paths."""
    read = Predictions.read(predictions, labels=submission.TRACK.to_dict())
    if not quiet:
        for remark in read.remarks:
            CONSOLE.print(remark)
    for path, left_out in submission.write_submission(read, folder):
        if not quiet:
            users = f"{count_of(left_out, 'user')} {one_or_many(left_out, 'has', 'have')}"
            without = f"; {users} no prediction and no line" if left_out else ""
            CONSOLE.print(f"{path}{without}")


def _show_evaluation(evaluation: Evaluation) -> None:
    table = _table(_title(evaluation))
    # Rich would cut figures, too, where names are too long.
    room = OUTPUT.width - sum(width + _GAP for width in _WIDTHS.values()) - _EDGES
    table.columns[0].max_width = max(_GAP, room)
    for head, width in _WIDTHS.items():
        table.add_column(head, justify="right", no_wrap=True, min_width=width)
    for name, metrics in evaluation.traits.items():
        error = f"{metrics.calibration.ece:.3f}" if metrics.calibration is not None else "-"
        users = f"{name}, {count_of(metrics.users, 'user')}"
        table.add_row(users, *_figures(metrics.scores), error, style="bold")
        spread = [f"{each.low:.2f}-{each.high:.2f}" for each in evaluation.intervals[name].values()]
        table.add_row("  95% interval", *spread, style="dim")
        majority = f"  majority: {metrics.majority_class}"
        table.add_row(majority, *_figures(metrics.majority), style="dim")
        table.add_row("  random", *_figures(metrics.random), style="dim", end_section=True)
    OUTPUT.print(table)
    OUTPUT.print(_LEGEND, style="dim")
    _show_parts(evaluation)
    _show_baselines(evaluation)
    for sentence in _sentences(evaluation):
        OUTPUT.print(sentence)


def _show_baselines(evaluation: Evaluation) -> None:
    found = baselines_table(evaluation)
    if found is None:
        return
    _show_compared(found, "baselines on the same users", evaluation.name, {})
    OUTPUT.print(evaluation.baselines.sentence, style="dim")


def _show_parts(evaluation: Evaluation) -> None:
    if evaluation.parts is None:
        return
    found = parts_table(evaluation)
    if found is not None:
        title = "images and texts, on users who have both"
        _show_compared(found, title, fused_name(evaluation), evaluation.parts.users)
    OUTPUT.print(evaluation.parts.sentence, style="dim")


def _show_compared(found: PlainTable, title: str, own: str, users: Mapping[str, int]) -> None:
    """Show accuracy and macro-F1 with their intervals; the row of the model itself in bold."""
    table = _table(title)
    for head in ("accuracy", "95% interval", "F1", "95% interval"):
        table.add_column(head, justify="right", no_wrap=True)
    before: Cell = ""
    for trait, name, _, *figures in found.rows:
        if trait != before:
            table.add_section()
            counted = f", {count_of(users[str(trait)], 'user')}" if users else ""
            table.add_row(f"{trait}{counted}", style="bold")
        before = trait
        accuracy, low, high, f1, f1_low, f1_high = map(float, figures[:6])
        table.add_row(
            f"  {name}", f"{accuracy:.3f}", f"{low:.2f}-{high:.2f}",
            f"{f1:.3f}", f"{f1_low:.2f}-{f1_high:.2f}",
            style="bold" if name == own else "dim",
        )  # fmt: skip
    OUTPUT.print(table)


@contextmanager
def _baseline_progress(options: EvaluateOptions, *, quiet: bool) -> Iterator[OnImages]:
    """Show on a terminal how many single images are predicted; handle interruptions."""
    if options.baselines is None:
        yield lambda done, total: None
        return
    with interruptions(lambda: "interrupted; run the command again."):
        if quiet or not CONSOLE.is_animated:
            yield lambda done, total: None
            return
        with make_bar() as bar:
            task = bar.add_task("single images", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _warn_of_few_users(evaluation: Evaluation) -> list[str]:
    """Return a sentence if a trait has too few labelled users for its scores to mean much."""
    few = [
        f"{name} {metrics.users}"
        for name, metrics in evaluation.traits.items()
        if metrics.users < FEWEST_USERS
    ]
    if not few:
        return []
    return [
        f"Few users have a label ({', '.join(few)}), so rely on the intervals. Measuring an "
        f"accuracy to within 0.16 takes {FEWEST_USERS} users, and to within 0.05, 400 users."
    ]


_WIDTHS = {"accuracy": 9, "precision": 9, "recall": 9, "F1": 9, "ECE": 5}
"""The columns of figures and what they need; the names of classes are cut before these are."""

_GAP, _EDGES = 3, 2
"""The spaces that a table has between its columns, and at its two edges."""

_LEGEND = (
    "Precision, recall and F1 are means over classes; ECE is the expected calibration error. 95% "
    "interval: over 1,000 resamplings of the users; majority: always the most frequent class; "
    "random: every class with equal probability."
)


def _table(title: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("", no_wrap=True, overflow="ellipsis")
    return table


def _title(evaluation: Evaluation) -> str:
    mean, interval = evaluation.mean_macro_f1, evaluation.mean_interval
    return f"{evaluation.name}: mean macro-F1 {mean:.3f} ({_range(interval)})"


def _sentences(evaluation: Evaluation) -> list[str]:
    matched = evaluation.matched
    leakage = "" if evaluation.says_missing_model else with_flags(evaluation.leakage.sentence)
    artificial = ARTIFICIAL if evaluation.is_artificial else ""
    said = [artificial, leakage, evaluation.missing or "", *matched.predictions.remarks]
    said = [*map(with_flags, filter(None, said)), *_warn_of_few_users(evaluation)]
    for name, chosen in evaluation.confidence_cuts.items():
        accuracy = "no users left" if chosen.accuracy is None else f"accuracy {chosen.accuracy:.3f}"
        said.append(
            f"{name}, confidence {chosen.min_confidence:g} or more: coverage "
            f"{chosen.coverage:.1%}, {accuracy}."
        )
    for users, (one, many), words in (
        (
            matched.only_in_manifest,
            ("has no prediction and counts", "have no prediction and count"),
            "as predicted wrongly",
        ),
        (
            matched.only_in_predictions,
            ("has a prediction but is", "have a prediction but are"),
            "not in the manifest",
        ),
    ):
        if users:
            names = ", ".join(users[:_NAMES_SHOWN])
            more = ", ..." if len(users) > _NAMES_SHOWN else ""
            verbs = one_or_many(len(users), one, many)
            said.append(f"{count_of(len(users), 'user')} {verbs} {words}: {names}{more}")
    return [*said, *map(with_flags, matched.label_notes)]


def _show_comparison(comparison: Comparison) -> None:
    best = comparison.evaluations[comparison.best]
    table = _table(f"best: {best.name}")
    for each in comparison.evaluations:
        table.add_column(each.name, justify="right", overflow="fold")
    for name in best.traits:
        for figure in ("accuracy", "macro_f1"):
            values = [getattr(each.traits[name].scores, figure) for each in comparison.evaluations]
            table.add_row(f"{name}, {_LABELS[figure]}", *_mark_best(values))
    means = [each.mean_macro_f1 for each in comparison.evaluations]
    table.add_row("mean macro-F1", *_mark_best(means), style="bold")
    OUTPUT.print(table)
    for position, traits in comparison.behind.items():
        difference = traits.mean_macro_f1
        name = comparison.evaluations[position].name
        OUTPUT.print(
            f"{best.name} is ahead of {name} by {difference.mean:.3f} in mean macro-F1 "
            f"(95% interval: {_range(difference.interval)}): {_verdict(difference.interval)}.",
        )
    for each in comparison.evaluations:
        for sentence in filter(None, (each.missing, *each.matched.predictions.remarks)):
            OUTPUT.print(f"{each.name}: {sentence}")


_LABELS = {"accuracy": "accuracy", "macro_f1": "macro-F1"}


def _mark_best(values: Sequence[float]) -> list[Text]:
    best = max(values)
    return [
        OUTPUT.text(f"{value:.3f} *", "bold green")
        if value == best
        else OUTPUT.text(f"{value:.3f}  ")
        for value in values
    ]


def _verdict(interval: Interval) -> str:
    return "more than chance" if interval.low > 0 else "possibly chance"


def _figures(scores: Scores) -> list[str]:
    each = (scores.accuracy, scores.macro_precision, scores.macro_recall, scores.macro_f1)
    return [f"{value:.3f}" for value in each]


def _range(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}"
