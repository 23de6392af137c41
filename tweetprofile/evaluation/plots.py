"""Draw the plots of an evaluation as PNG images with matplotlib (the extra `report`)."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tweetprofile.errors import OptionError
from tweetprofile.evaluation.confusion import MOST_NAMED, NONE, confusion_of
from tweetprofile.evaluation.evaluate import Evaluation
from tweetprofile.evaluation.matching import NO_GUESS, MatchedTrait
from tweetprofile.evaluation.metrics import ReliabilityCurve, ReliabilityPoint, TraitMetrics
from tweetprofile.plurals import count_of
from tweetprofile.untrusted.text import printable, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _ACCENT, _WARM, _PALE = "#22303c", "#1f6feb", "#d1603d", "#d7dee6"

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _PALE,
    "axes.labelcolor": _INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eef2f6",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "text.parse_math": False,  # a class may be called "$\\frac"
}

_DPI = 150

_MAX_NAME = 40
"""Characters of a class name in a plot."""

_CELL = 0.62
"""The side of a cell of a confusion matrix in inches: two lines of figures fit."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot.

    Attributes:
        name: The name of its file, without the ending.
        caption: What it shows; also the text for readers who cannot see it.
        png: The image, encoded as PNG.
    """

    name: str
    caption: str
    png: bytes


def require_matplotlib() -> None:
    """Raise OptionError, which says how to install it, if matplotlib is missing."""
    try:
        import matplotlib as _  # noqa: F401, PLC0415 - heavy, and in an extra
    except ImportError:
        raise OptionError(
            "the plots of the report need matplotlib, which the extra 'report' installs; install "
            "tweetprofile[report], or evaluate without an output folder."
        ) from None


def trait_plots(evaluation: Evaluation, trait: str) -> list[Plot]:
    """Draw confusion matrix, reliability, confidences, coverage and image counts of a trait.

    A plot that would be empty, or a single bar or point, is left out.
    """
    metrics = evaluation.traits[trait]
    matched = next(each for each in evaluation.matched.traits if each.trait.name == trait)
    classes = [shorten(printable(name), _MAX_NAME) for name in matched.trait.classes]
    plots = [
        _plot(
            f"{trait}-confusion",
            f"Confusion matrix of {trait}: one row per label, one column per predicted class.",
            lambda axes: _draw_confusion(axes, metrics, classes),
            _confusion_size(classes),
        ),
        *_confidence_plots(trait, metrics, matched),
    ]
    if len(metrics.by_frames) > 1:
        caption = f"Accuracy of {trait} by number of usable images per user."
        plots.append(_plot(f"{trait}-frames", caption, lambda axes: _draw_frames(axes, metrics)))
    return plots


def _confidence_plots(trait: str, metrics: TraitMetrics, matched: MatchedTrait) -> list[Plot]:
    """Draw what needs confidences: nothing if the predictions give none, or if there are none."""
    curve = metrics.calibration
    if curve is None or not curve.points:
        return []
    plots = [
        _plot(
            f"{trait}-reliability",
            f"Reliability of {trait}: each point is {users_of(curve.points)} of similar "
            "confidence, with the 95% interval of their accuracy.",
            lambda axes: _draw_reliability(axes, curve),
        ),
        _plot(
            f"{trait}-confidence",
            f"Confidence of correct and of wrong predictions of {trait}.",
            lambda axes: _draw_confidence(axes, matched),
        ),
    ]
    if len({each.coverage for each in metrics.selections if each.coverage}) > 1:
        caption = f"Accuracy of {trait} when users below a confidence are set aside."
        plots.append(
            _plot(f"{trait}-coverage", caption, lambda axes: _draw_coverage(axes, metrics))
        )
    return plots


def users_of(points: Sequence[ReliabilityPoint]) -> str:
    """Return how many users a point is; those of one confidence are never divided."""
    fewest, most = (each(point.users for point in points) for each in (min, max))
    return count_of(fewest, "user") if fewest == most else f"{fewest:,} to {most:,} users"


def training_plots(epochs: Sequence[Mapping[str, Any]]) -> list[Plot]:
    """Draw loss and macro-F1 by epoch, from the lines of a run's `metrics.jsonl`."""
    plots = [_plot("training-loss", "Loss by epoch.", lambda axes: _draw_loss(axes, epochs))]
    if curves := dict(_curves(epochs)):
        caption = "Macro-F1 on the held-out users by epoch."
        plots.append(_plot("training-macro-f1", caption, lambda axes: _draw_macro_f1(axes, curves)))
    return plots


def _plot(name: str, caption: str, draw: Any, size: tuple[float, float] = (4.6, 3.4)) -> Plot:
    from matplotlib import rc_context  # noqa: PLC0415 - heavy, and in an extra
    from matplotlib.figure import Figure  # noqa: PLC0415

    with rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        return Plot(name, caption, _as_png(figure))


def _as_png(figure: "Figure") -> bytes:
    file = io.BytesIO()
    # Without matplotlib's version in the metadata, equal plots are equal files.
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()


def _confusion_size(classes: Sequence[str]) -> tuple[float, float]:
    """Return width and height in inches: cells of one size, and room for the longest name."""
    shown = min(len(classes), MOST_NAMED) + 1
    names = 0.085 * max(map(len, classes)) if len(classes) <= MOST_NAMED else 0
    return 1.2 + names + _CELL * shown, 1.1 + 0.7 * names + _CELL * shown


def _draw_confusion(axes: "Axes", metrics: TraitMetrics, classes: Sequence[str]) -> None:
    confusion = confusion_of(metrics)
    shares = np.array([[cell.share for cell in row.cells] for row in confusion.rows])
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    axes.grid(False)
    axes.set(xlabel="predicted", ylabel="label", title="Confusion matrix (users, share of row)")
    if len(classes) > MOST_NAMED:
        return
    names = [*classes, NONE][: len(confusion.predicted)]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    labels = [f"{name} ({row.users:,})" for name, row in zip(classes, confusion.rows, strict=True)]
    axes.set_yticks(range(len(classes)), labels)
    for number, row in enumerate(confusion.rows):
        for column, cell in enumerate(row.cells):
            if cell.count:
                axes.text(
                    column, number, f"{cell.count:,}\n{cell.share:.0%}", ha="center", va="center",
                    color="white" if cell.share > 0.55 else _INK, fontsize=8, linespacing=1.3,
                )  # fmt: skip


def _draw_reliability(axes: "Axes", curve: ReliabilityCurve) -> None:
    axes.plot([0, 1], [0, 1], color=_PALE, linestyle="--", label="perfect calibration")
    points = curve.points
    # An interval of a share near 0 or 1 may not contain it, to the last bit.
    below = [max(0.0, each.accuracy - each.low) for each in points]
    above = [max(0.0, each.high - each.accuracy) for each in points]
    axes.errorbar(
        [each.confidence for each in points],
        [each.accuracy for each in points],
        yerr=[below, above],
        color=_ACCENT,
        ecolor="#9dc2f7",
        marker="o",
        markersize=5,
        linewidth=1,
        elinewidth=1.6,
        capsize=3,
        label=f"{users_of(points)} each, 95% interval",
    )
    title = f"Reliability curve (ECE {curve.ece:.3f})"
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02), title=title)
    axes.legend(fontsize=8, loc="upper left")


def _draw_confidence(axes: "Axes", matched: MatchedTrait) -> None:
    known = matched.guess_N != NO_GUESS
    right = matched.right
    parts = [matched.confidence[known & right], matched.confidence[known & ~right]]
    bins = np.linspace(0, 1, 21).tolist()
    axes.hist(parts, bins=bins, stacked=True, color=[_ACCENT, _WARM], label=["correct", "wrong"])
    axes.set(xlabel="confidence", ylabel="users", xlim=(0, 1), title="Confidence")
    _legend_below(axes)


def _draw_coverage(axes: "Axes", metrics: TraitMetrics) -> None:
    kept = [each for each in metrics.selections if each.accuracy is not None]
    axes.plot(
        [each.coverage for each in kept],
        [each.accuracy or 0.0 for each in kept],
        marker="o",
        markersize=3,
        color=_ACCENT,
    )
    axes.axhline(metrics.majority.accuracy, color=_WARM, linestyle="--", label="majority baseline")
    axes.set(
        xlabel="coverage (share of users)", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02),
        title="Accuracy and coverage",
    )  # fmt: skip
    axes.legend(fontsize=8, loc="lower left")


def _draw_frames(axes: "Axes", metrics: TraitMetrics) -> None:
    bands = metrics.by_frames
    names = [f"{each.frames}\n{count_of(each.users, 'user')}" for each in bands]
    axes.bar(range(len(bands)), [each.accuracy for each in bands], color=_ACCENT, width=0.6)
    axes.axhline(metrics.majority.accuracy, color=_WARM, linestyle="--", label="majority baseline")
    axes.set_xticks(range(len(bands)), names, fontsize=8)
    axes.set(
        xlabel="usable images per user",
        ylabel="accuracy",
        ylim=(0, 1.02),
        title="Accuracy by images per user",
    )
    _legend_below(axes)


def _legend_below(axes: "Axes") -> None:
    """Put the legend where it cannot lie over a bar."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)


def _draw_loss(axes: "Axes", epochs: Sequence[Mapping[str, Any]]) -> None:
    numbers = [epoch["epoch"] for epoch in epochs]
    axes.plot(numbers, [epoch["loss"] for epoch in epochs], color=_ACCENT, label="training")
    held_out = [
        (each["epoch"], each["val_loss"]) for each in epochs if each["val_loss"] is not None
    ]
    if held_out:
        axes.plot(*zip(*held_out, strict=True), color=_WARM, label="held-out users")
    axes.set(xlabel="epoch", ylabel="loss", title="Loss")
    axes.legend(fontsize=8)


def _draw_macro_f1(axes: "Axes", curves: Mapping[str, list[tuple[int, float]]]) -> None:
    for trait, points in curves.items():
        axes.plot(*zip(*points, strict=True), label=trait)
    axes.set(xlabel="epoch", ylabel="macro-F1", ylim=(0, 1.02), title="Macro-F1, held-out users")
    axes.legend(fontsize=8)


def _curves(
    epochs: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    for trait in epochs[-1]["scores"]:
        known = [each for each in epochs if trait in each["scores"]]
        yield trait, [(each["epoch"], each["scores"][trait]["macro_f1"]) for each in known]
