"""Pictures of an evaluation, as PNG, drawn by matplotlib (the extra `report`)."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tweetprofile.errors import OptionError
from tweetprofile.evaluation.evaluate import Evaluation
from tweetprofile.evaluation.matching import NO_GUESS, MatchedTrait
from tweetprofile.evaluation.metrics import TraitMetrics
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

_NAME_SHOWN = 40
_MOST_NAMED = 64
"""Classes in a confusion matrix; one of more is drawn without names and counts."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture: its file's name, what it shows for those who do not see it, and its PNG."""

    name: str
    caption: str
    png: bytes


def require_matplotlib() -> None:
    """Raise OptionError, with the mend, where matplotlib is not installed."""
    try:
        import matplotlib as _  # noqa: F401, PLC0415 - heavy, and in an extra
    except ImportError:
        raise OptionError(
            "the report's pictures need matplotlib, which is in the extra 'report'; install "
            "tweetprofile[report] or leave -o away."
        ) from None


def trait_plots(evaluation: Evaluation, trait: str) -> list[Plot]:
    """Confusion, reliability, confidence, coverage and frames of a trait."""
    metrics = evaluation.traits[trait]
    matched = next(each for each in evaluation.matched.traits if each.trait.name == trait)
    classes = [shorten(printable(name), _NAME_SHOWN) for name in matched.trait.classes]
    return [
        _plot(
            f"{trait}-confusion",
            f"Confusion matrix of {trait}: a row a label, a column a prediction.",
            lambda axes: _draw_confusion(axes, metrics, classes),
            _confusion_size(len(classes)),
        ),
        _plot(
            f"{trait}-reliability",
            f"Reliability of {trait}: how often predictions of a confidence are right.",
            lambda axes: _draw_reliability(axes, metrics),
        ),
        _plot(
            f"{trait}-confidence",
            f"Confidences of {trait}, of right and of wrong predictions.",
            lambda axes: _draw_confidence(axes, matched),
        ),
        _plot(
            f"{trait}-coverage",
            f"Accuracy of {trait} when users below a confidence are left out.",
            lambda axes: _draw_coverage(axes, metrics),
        ),
        _plot(
            f"{trait}-frames",
            f"Accuracy of {trait} by number of usable images.",
            lambda axes: _draw_frames(axes, metrics),
        ),
    ]


def training_plots(epochs: Sequence[Mapping[str, Any]]) -> list[Plot]:
    """Loss and macro-F1 by epoch, from the lines of a run's metrics.jsonl."""
    return [
        _plot("training-loss", "Loss by epoch.", lambda axes: _draw_loss(axes, epochs)),
        _plot(
            "training-macro-f1",
            "Macro-F1 by epoch on the users set aside in training.",
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
    # Without the version of matplotlib in it, equal pictures are equal files.
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()


def _confusion_size(classes: int) -> tuple[float, float]:
    shown = min(classes, _MOST_NAMED)
    return 2.6 + 0.5 * shown, 2.2 + 0.42 * shown


def _draw_confusion(axes: "Axes", metrics: TraitMetrics, classes: Sequence[str]) -> None:
    counts = np.array(metrics.confusion, dtype=np.int64)
    names = [*classes, "none"]
    if not counts[:, -1].any():
        counts, names = counts[:, :-1], names[:-1]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.grid(False)
    axes.set(xlabel="predicted", ylabel="label", title="Confusion")
    if len(classes) > _MOST_NAMED:
        return
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.55 else _INK
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)


def _draw_reliability(axes: "Axes", metrics: TraitMetrics) -> None:
    axes.plot([0, 1], [0, 1], color=_PALE, linestyle="--", label="as it should be")
    bins = metrics.calibration.bins
    most = max((each.users for each in bins), default=1)
    axes.plot([e.confidence for e in bins], [e.accuracy for e in bins], color=_ACCENT, linewidth=1)
    axes.scatter(
        [each.confidence for each in bins],
        [each.accuracy for each in bins],
        s=[12 + 110 * each.users / most for each in bins],
        color=_ACCENT,
        label="users of like confidence",
    )
    title = f"Reliability (calibration error {metrics.calibration.ece:.3f})"
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02), title=title)
    axes.legend(fontsize=8, loc="upper left")


def _draw_confidence(axes: "Axes", matched: MatchedTrait) -> None:
    known = matched.guess_N != NO_GUESS
    right = matched.right
    parts = [matched.confidence[known & right], matched.confidence[known & ~right]]
    bins = np.linspace(0, 1, 21).tolist()
    axes.hist(parts, bins=bins, stacked=True, color=[_ACCENT, _WARM], label=["right", "wrong"])
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
    axes.axhline(metrics.majority.accuracy, color=_WARM, linestyle="--", label="majority class")
    axes.set(
        xlabel="share of users kept", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02),
        title="Leaving unsure users out",
    )  # fmt: skip
    axes.legend(fontsize=8, loc="lower left")


def _draw_frames(axes: "Axes", metrics: TraitMetrics) -> None:
    bands = metrics.by_frames
    names = [f"{each.frames}\n{each.users:,} users" for each in bands]
    axes.bar(range(len(bands)), [each.accuracy for each in bands], color=_ACCENT, width=0.6)
    axes.axhline(metrics.majority.accuracy, color=_WARM, linestyle="--", label="majority class")
    axes.set_xticks(range(len(bands)), names, fontsize=8)
    axes.set(xlabel="usable images", ylabel="accuracy", ylim=(0, 1.02), title="Images of a user")
    axes.legend(fontsize=8)


def _draw_loss(axes: "Axes", epochs: Sequence[Mapping[str, Any]]) -> None:
    numbers = [epoch["epoch"] for epoch in epochs]
    axes.plot(numbers, [epoch["loss"] for epoch in epochs], color=_ACCENT, label="training")
    held_out = [
        (each["epoch"], each["val_loss"]) for each in epochs if each["val_loss"] is not None
    ]
    if held_out:
        axes.plot(*zip(*held_out, strict=True), color=_WARM, label="users set aside")
    axes.set(xlabel="epoch", ylabel="loss", title="Loss")
    axes.legend(fontsize=8)


def _draw_macro_f1(axes: "Axes", epochs: Sequence[Mapping[str, Any]]) -> None:
    for trait, points in _curves(epochs):
        axes.plot(*zip(*points, strict=True), label=trait)
    axes.set(xlabel="epoch", ylabel="macro-F1", ylim=(0, 1.02), title="Users set aside")
    if axes.lines:
        axes.legend(fontsize=8)


def _curves(
    epochs: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    for trait in epochs[-1]["scores"]:
        known = [each for each in epochs if trait in each["scores"]]
        yield trait, [(each["epoch"], each["scores"][trait]["macro_f1"]) for each in known]
