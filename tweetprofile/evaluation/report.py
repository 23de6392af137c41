"""Write the report: one self-contained HTML file, and its plots as PNG files."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment

from tweetprofile.errors import OptionError
from tweetprofile.evaluation.confusion import MOST_NAMED, Confusion, confusion_of
from tweetprofile.evaluation.evaluate import Evaluation
from tweetprofile.evaluation.plots import Plot, training_plots, trait_plots
from tweetprofile.evaluation.published import CLASSES_NOTE, NOT_COMPARABLE, SOURCES, has_mex_a3t
from tweetprofile.evaluation.summary import ARTIFICIAL, TraitSummary, summarise
from tweetprofile.evaluation.tables import (
    Cell,
    Table,
    baselines_table,
    classes_table,
    fused_name,
    parts_table,
    published_classes_table,
    published_table,
    rounded,
    scores_table,
)
from tweetprofile.evaluation.templates import page_environment
from tweetprofile.scoring.calibration import BINS
from tweetprofile.scoring.epochs import METRICS as METRICS_OF_RUN
from tweetprofile.scoring.epochs import read_metrics
from tweetprofile.untrusted.fields import parse_json
from tweetprofile.version import __version__
from tweetprofile.workers.profiles import IMAGES, TEXTS

REPORT = "report.html"

_EVIDENCE = {
    (IMAGES,): "a usable image",
    (TEXTS,): "a text",
    (IMAGES, TEXTS): "a usable image and without a text",
    (): "a class in the predictions",
}
"""What users without a prediction are without, by what the model looks at."""

LARGEST_METRICS = 64 << 20
"""Largest size of a run's `metrics.jsonl` in bytes; an epoch takes about 500."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The section of the report about one trait.

    Attributes:
        trait: The name of the trait.
        scores: The scores of the predictions and of the baselines.
        intervals: The 95% bootstrap interval of each score, as text.
        summary: What the figures mean, in sentences.
        confusion: The confusion matrix; None if it has too many classes to be shown as a table.
        classes: The scores per class.
        published: Published results for the trait; None if there are none.
        published_classes: Published figures per class; None if there are none.
        confidence_cut: A sentence on coverage and accuracy at the requested confidence; empty
            without one.
        plots: The plots of the trait.
        has_confidence: Whether the predictions say how sure they are.
    """

    trait: str
    summary: TraitSummary
    confusion: Confusion | None
    scores: Table
    intervals: Mapping[str, str]
    classes: Table
    published: Table | None
    published_classes: Table | None
    confidence_cut: str
    plots: Sequence[Plot]
    has_confidence: bool


def read_epochs(run: Path) -> list[dict[str, Any]]:
    """Read the epochs of a training run from its `metrics.jsonl`.

    Raises:
        OptionError: The file is missing or damaged.
    """
    path = run / METRICS_OF_RUN
    try:
        lines = _read_bounded(path).splitlines()
        epochs = [parse_json(line, f"line {number}") for number, line in enumerate(lines, 1)]
        for number, epoch in enumerate(epochs, 1):
            read_metrics(epoch, f"line {number}")
        if not epochs:
            raise ValueError("it contains no epoch")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(
            f"{path} cannot be read ({reason}); `run` must be a folder that 'tweetprofile train' "
            "wrote."
        ) from None
    return epochs


def _read_bounded(path: Path) -> str:
    if not path.is_file() and path.exists():
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        data = file.read(LARGEST_METRICS + 1)
    if len(data) > LARGEST_METRICS:
        raise ValueError(f"it has more than {LARGEST_METRICS >> 20} MiB")
    return data.decode("utf-8")


def make_report(
    evaluation: Evaluation, epochs: Sequence[Mapping[str, Any]] = ()
) -> dict[str, bytes]:
    """Return `report.html` and `plots/*.png` by these names.

    Args:
        evaluation: The evaluation to report.
        epochs: The epochs of the training run, for its curves; none to omit them.
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
            shown=_shown,
            training=training,
            artificial=ARTIFICIAL if evaluation.is_artificial else None,
            ranks_as_mex_a3t=has_mex_a3t(evaluation.matched.predictions.schema),
            baselines=baselines_table(evaluation),
            parts=parts_table(evaluation),
            fused_name=fused_name(evaluation),
            evidence=_EVIDENCE[evaluation.matched.predictions.sees],
            not_comparable=NOT_COMPARABLE,
            classes_note=CLASSES_NOTE,
            sources=_sources(sections),
            bins=BINS,
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
    metrics = evaluation.traits[trait]
    is_readable = len(metrics.per_class) <= MOST_NAMED
    return Section(
        trait=trait,
        summary=summarise(evaluation, trait),
        confusion=confusion_of(metrics) if is_readable else None,
        scores=scores_table(trait, [evaluation]),
        intervals=intervals,
        classes=classes_table(trait, evaluation),
        published=published_table(trait, [evaluation]),
        published_classes=published_classes_table(trait, [evaluation]),
        confidence_cut=_confidence_cut(evaluation, trait),
        plots=trait_plots(evaluation, trait),
        has_confidence=metrics.calibration is not None,
    )


def _shown(section: Section) -> list[Plot]:
    """Return the plots that the page shows: a table stands for the confusion matrix, if it can."""
    left_out = f"{section.trait}-confusion" if section.confusion is not None else ""
    return [plot for plot in section.plots if plot.name != left_out]


def _sources(sections: Sequence[Section]) -> list[str]:
    """Return the publications of the results that the report shows."""
    tables = [each.published for each in sections if each.published is not None]
    shown = {row[-1] for table in tables for row in table.rows}
    return [source for measured_on, source in SOURCES.items() if measured_on in shown]


def _confidence_cut(evaluation: Evaluation, trait: str) -> str:
    cut = evaluation.confidence_cuts.get(trait)
    if cut is None:
        return ""
    if cut.accuracy is None:
        return f"No user has a confidence of {cut.min_confidence:g} or more."
    return (
        f"Predictions with a confidence of {cut.min_confidence:g} or more cover {cut.coverage:.1%} "
        f"of the users; {cut.accuracy:.1%} of them are correct."
    )


def _environment() -> Environment:
    environment = page_environment("tweetprofile.evaluation")
    environment.filters["figure"] = _figure
    environment.filters["data_uri"] = lambda png: (
        f"data:image/png;base64,{base64.b64encode(png).decode()}"
    )
    return environment


def _figure(value: Cell) -> str:
    """Format a cell: shares with three decimals, counts with commas, names unchanged."""
    return f"{value:,}" if isinstance(value, int) else str(rounded(value))
