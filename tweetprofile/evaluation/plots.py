"""Draw the plots of an evaluation as PNG images with matplotlib (the extra `report`)."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tweetprofile.errors import OptionError
from tweetprofile.evaluation.evaluate import Evaluation
from tweetprofile.evaluation.matching import NO_GUESS, MatchedTrait
from tweetprofile.evaluation.metrics import ReliabilityCurve, TraitMetrics
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

_MAX_NAMED = 64
"""A confusion matrix of more classes is drawn without names and counts."""


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
    """Draw confusion matrix, reliability, confidences, coverage and image counts of a trait."""
    metrics = evaluation.traits[trait]
    matched = next(each for each in evaluation.matched.traits if each.trait.name == trait)
    classes = [shorten(printable(name), _MAX_NAME) for name in matched.trait.classes]
    plots = [
        _plot(
            f"{trait}-confusion",
            f"Confusion matrix of {trait}: one row per label, one column per predicted class.",
            lambda axes: _draw_confusion(axes, metrics, classes),
            _confusion_size(len(classes)),
        ),
        *_confidence_plots(trait, metrics, matched),
    ]
    if metrics.by_frames:
        caption = f"Accuracy of {trait} by number of usable images per user."
        plots.append(_plot(f"{trait}-frames", caption, lambda axes: _draw_frames(axes, metrics)))
    return plots


def _confidence_plots(trait: str, metrics: TraitMetrics, matched: MatchedTrait) -> list[Plot]:
    """Draw what needs confidences: nothing if the predictions give none, or if there are none."""
    curve = metrics.calibration
    if curve is None or not curve.bins:
        return []
    return [
        _plot(
            f"{trait}-reliability",
            f"Reliability curve of {trait}: accuracy of the predictions by their confidence.",
            lambda axes: _draw_reliability(axes, curve),
        ),
        _plot(
            f"{trait}-confidence",
            f"Confidence of correct and of wrong predictions of {trait}.",
            lambda axes: _draw_confidence(axes, matched),
        ),
        _plot(
            f"{trait}-coverage",
            f"Accuracy of {trait} when users below a confidence are set aside.",
            lambda axes: _draw_coverage(axes, metrics),
        ),
    ]


def training_plots(epochs: Sequence[Mapping[str, Any]]) -> list[Plot]:
    """Draw loss and macro-F1 by epoch, from the lines of a run's `metrics.jsonl`."""
    return [
        _plot("training-loss", "Loss by epoch.", lambda axes: _draw_loss(axes, epochs)),
        _plot(
            "training-macro-f1",
            "Macro-F1 on the held-out users by epoch.",
            lambda axes: _draw_macro_f1(axes, epochs),
        ),
    ]


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


def _confusion_size(classes: int) -> tuple[float, float]:
    shown = min(classes, _MAX_NAMED)
    return 2.6 + 0.5 * shown, 2.2 + 0.42 * shown


def _draw_confusion(axes: "Axes", metrics: TraitMetrics, classes: Sequence[str]) -> None:
    counts = np.array(metrics.confusion, dtype=np.int64)
    names = [*classes, "none"]
    if not counts[:, -1].any():
        counts, names = counts[:, :-1], names[:-1]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.grid(False)
    axes.set(xlabel="predicted", ylabel="label", title="Confusion matrix")
    if len(classes) > _MAX_NAMED:
        return
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.55 else _INK
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)


def _draw_reliability(axes: "Axes", curve: ReliabilityCurve) -> None:
    axes.plot([0, 1], [0, 1], color=_PALE, linestyle="--", label="perfect calibration")
    bins = curve.bins
    most = max((each.users for each in bins), default=1)
    axes.plot([e.confidence for e in bins], [e.accuracy for e in bins], color=_ACCENT, linewidth=1)
    axes.scatter(
        [each.confidence for each in bins],
        [each.accuracy for each in bins],
        s=[12 + 110 * each.users / most for each in bins],
        color=_ACCENT,
        label="users, by confidence",
    )
    title = f"Reliability curve (ECE {curve.ece:.3f})"
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02), title=title)
    axes.legend(fontsize=8, loc="upper left")


def _draw_confidence(axes: "Axes", matched: MatchedTrait) -> None:
    known = matched.guess_N != NO_GUESS
    right = matched.right
    parts = [matched.confidence[known & right], matched.confidence[known & ~right]]
    bins = np.linspace(0, 1, 21).tolist()
    axes.hist(parts, bins=bins, stacked=True, color=[_ACCENT, _WARM], label=["correct", "wrong"])
    axes.set(xlabel="confidence", ylabel="users", xlim=(0, 1), title="Confidence")
    axes.legend(fontsize=8)


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
    names = [f"{each.frames}\n{each.users:,} users" for each in bands]
    axes.bar(range(len(bands)), [each.accuracy for each in bands], color=_ACCENT, width=0.6)
    axes.axhline(metrics.majority.accuracy, color=_WARM, linestyle="--", label="majority baseline")
    axes.set_xticks(range(len(bands)), names, fontsize=8)
    axes.set(
        xlabel="usable images per user",
        ylabel="accuracy",
        ylim=(0, 1.02),
        title="Accuracy by images per user",
    )
    axes.legend(fontsize=8)


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


def _draw_macro_f1(axes: "Axes", epochs: Sequence[Mapping[str, Any]]) -> None:
    for trait, points in _curves(epochs):
        axes.plot(*zip(*points, strict=True), label=trait)
    axes.set(xlabel="epoch", ylabel="macro-F1", ylim=(0, 1.02), title="Macro-F1, held-out users")
    if axes.lines:
        axes.legend(fontsize=8)


def _curves(
    epochs: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    for trait in epochs[-1]["scores"]:
        known = [each for each in epochs if trait in each["scores"]]
        yield trait, [(each["epoch"], each["scores"][trait]["macro_f1"]) for each in known]
