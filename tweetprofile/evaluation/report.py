"""The report: one HTML file that needs nothing else, and the pictures beside it as PNG."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tweetprofile.errors import OptionError
from tweetprofile.evaluation.evaluate import Evaluation
from tweetprofile.evaluation.plots import Plot, training_plots, trait_plots
from tweetprofile.evaluation.tables import Cell, Table, classes_table, scores_table
from tweetprofile.version import __version__

REPORT = "report.html"

LARGEST_METRICS = 64 << 20
"""Bytes of a run's metrics.jsonl: an epoch has some 500."""


@dataclass(frozen=True, slots=True)
class Published:
    """What the paper gives for a trait, on its own data set (MEX-A3T 2019), rounded."""

    accuracy: float | None = None
    f1: float | None = None


PUBLISHED = {
    "gender": Published(accuracy=0.52),
    "location": Published(f1=0.15),
    "occupation": Published(f1=0.12),
}
"""By Valdez-Rodriguez, Calvo, Felipe-Riveron 2019, from images alone."""


@dataclass(frozen=True, slots=True)
class Section:
    """A trait in the report."""

    trait: str
    scores: Table
    intervals: Mapping[str, str]
    classes: Table
    published: Published | None
    selection: str
    plots: Sequence[Plot]


def read_epochs(run: Path) -> list[dict[str, Any]]:
    """The epochs of a training run, from its metrics.jsonl.

    Raises:
        OptionError: there is none, or it is damaged.
    """
    path = run / "metrics.jsonl"
    try:
        epochs = [_epoch(line) for line in _read_bounded(path).splitlines()]
        if not epochs:
            raise ValueError("no epoch in it")
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(
            f"--run {run}: {path} cannot be read ({error}); give the folder that "
            "`tweetprofile train` wrote."
        ) from None
    return epochs


def _read_bounded(path: Path) -> str:
    if not path.is_file() and path.exists():
        raise ValueError("it is no regular file")
    with path.open("rb") as file:
        data = file.read(LARGEST_METRICS + 1)
    if len(data) > LARGEST_METRICS:
        raise ValueError(f"it has more than {LARGEST_METRICS >> 20} MiB")
    return data.decode("utf-8")


def _epoch(line: str) -> dict[str, Any]:
    """An epoch, as far as the report shows it.

    Raises:
        ValueError: the line is none.
    """
    record = json.loads(line)
    record = record if isinstance(record, dict) else {}
    val_loss, scores = record.get("val_loss"), record.get("scores")
    figures = [record.get("epoch"), record.get("loss"), *([] if val_loss is None else [val_loss])]
    if not all(map(_is_figure, figures)) or not isinstance(scores, dict):
        raise ValueError("a line of it is no epoch")
    f1 = {
        trait: {"macro_f1": each["macro_f1"]}
        for trait, each in scores.items()
        if isinstance(each, dict) and _is_figure(each.get("macro_f1"))
    }
    if len(f1) < len(scores):
        raise ValueError("the scores of an epoch are none")
    return {**record, "val_loss": val_loss, "scores": f1}


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def write_report(
    evaluation: Evaluation, folder: Path, epochs: Sequence[Mapping[str, Any]] = ()
) -> Path:
    """Write `report.html` and `plots/*.png`.

    Args:
        evaluation: what to show.
        folder: that is there.
        epochs: of the training run, if it is at hand.
    """
    sections = [_section(evaluation, trait) for trait in evaluation.traits]
    training = training_plots(epochs) if epochs else []
    (folder / "plots").mkdir(exist_ok=True)
    for plot in [*training, *(plot for section in sections for plot in section.plots)]:
        (folder / "plots" / f"{plot.name}.png").write_bytes(plot.png)
    page = (
        _environment()
        .get_template("report.html.jinja")
        .render(
            evaluation=evaluation,
            sections=sections,
            training=training,
            today=date.today().isoformat(),
            version=__version__,
        )
    )
    path = folder / REPORT
    path.write_text(page, encoding="utf-8", errors="backslashreplace")  # of paths that are no text
    return path


def _section(evaluation: Evaluation, trait: str) -> Section:
    intervals = {
        name: f"{each.low:.3f} to {each.high:.3f}"
        for name, each in evaluation.intervals[trait].items()
    }
    return Section(
        trait,
        scores_table(trait, [evaluation]),
        intervals,
        classes_table(trait, evaluation),
        PUBLISHED.get(trait),
        _selection(evaluation, trait),
        trait_plots(evaluation, trait),
    )


def _selection(evaluation: Evaluation, trait: str) -> str:
    chosen = evaluation.selections.get(trait)
    if chosen is None:
        return ""
    if chosen.accuracy is None:
        return f"Nobody has a confidence of {chosen.min_confidence:g} or more."
    return (
        f"With a confidence of {chosen.min_confidence:g} or more: {chosen.coverage:.1%} of the "
        f"users, of whom {chosen.accuracy:.1%} are right."
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tweetprofile.evaluation", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    environment.filters["data_uri"] = lambda png: (
        f"data:image/png;base64,{base64.b64encode(png).decode()}"
    )
    return environment


def _figure(value: Cell) -> str:
    """Shares with three digits, counts with commas, names as they are."""
    if isinstance(value, str):
        return value
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
