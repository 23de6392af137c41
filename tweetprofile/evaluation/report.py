"""The report: one HTML file that needs nothing else, and the pictures beside it as PNG."""

import base64
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
from tweetprofile.scoring.epochs import METRICS as METRICS_OF_RUN
from tweetprofile.scoring.epochs import read_metrics
from tweetprofile.untrusted.fields import parse_json
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
    confidence_cut: str
    plots: Sequence[Plot]


def read_epochs(run: Path) -> list[dict[str, Any]]:
    """The epochs of a training run, from its metrics.jsonl.

    Raises:
        OptionError: there is none, or it is damaged.
    """
    path = run / METRICS_OF_RUN
    try:
        lines = _read_bounded(path).splitlines()
        epochs = [parse_json(line, f"line {number}") for number, line in enumerate(lines, 1)]
        for number, epoch in enumerate(epochs, 1):
            read_metrics(epoch, f"line {number}")
        if not epochs:
            raise ValueError("no epoch in it")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(
            f"--run {run}: {path} cannot be read ({reason}); give the folder that "
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


def make_report(
    evaluation: Evaluation, epochs: Sequence[Mapping[str, Any]] = ()
) -> dict[str, bytes]:
    """`report.html` and `plots/*.png`, by these names.

    Args:
        evaluation: what to show.
        epochs: of the training run, if it is at hand.
    """
    sections = [_section(evaluation, trait) for trait in evaluation.traits]
    training = training_plots(epochs) if epochs else []
    plots = [*training, *(plot for section in sections for plot in section.plots)]
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
    return {
        **{f"plots/{plot.name}.png": plot.png for plot in plots},
        REPORT: page.encode(errors="backslashreplace"),
    }


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
        _confidence_cut(evaluation, trait),
        trait_plots(evaluation, trait),
    )


def _confidence_cut(evaluation: Evaluation, trait: str) -> str:
    chosen = evaluation.confidence_cuts.get(trait)
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
