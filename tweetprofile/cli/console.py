"""What the commands show: plans, progress, summaries. Everything but data goes to stderr."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bar,
)
from rich.table import Table

from tweetprofile.checkpoint import Checkpoint
from tweetprofile.predict import PredictPlan, PredictSummary, Progress
from tweetprofile.profiles import Status
from tweetprofile.training.labels import FoundSchema
from tweetprofile.training.loop import TrainObserver
from tweetprofile.training.run import TrainSummary
from tweetprofile.training.scores import EpochMetrics

_LINE_EVERY = 30.0
"""Seconds between progress lines where there is no terminal to draw a bar on."""

_console = Console(stderr=True, highlight=False, soft_wrap=True)
_output = Console(highlight=False)


# --- predict -----------------------------------------------------------------------------------


def show_plan(plan: PredictPlan) -> None:
    """Say what will be done, in two lines."""
    manifest, checkpoint, predictor = plan.manifest, plan.checkpoint, plan.predictor
    _console.print(
        f"{plan.users:,} users of {manifest.source} (form: {manifest.form}; images under "
        f"{plan.image_root}) -> {plan.out}",
        markup=False,
    )
    _console.print(
        f"{checkpoint.network_spec.name} from {checkpoint.path}: "
        f"{', '.join(checkpoint.schema.names)}; on {predictor.device}, {predictor.precision}, "
        f"decoder {predictor.decoder}",
        markup=False,
    )


@contextmanager
def predict_progress(users: int, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal, a line every 30 s elsewhere, nothing where quiet."""
    if quiet:
        yield lambda progress: None
    elif _console.is_terminal:
        with _bar("{task.fields[rates]}") as bar:
            task = bar.add_task("users", total=users, rates="")
            yield lambda progress: bar.update(
                task, completed=progress.counts.users, rates=_rates(progress)
            )
    else:
        yield _line_reporter()


def show_summary(summary: PredictSummary) -> None:
    """Say what the run came to, in one line."""
    counts = summary.counts
    statuses = ", ".join(
        f"{counts.statuses[status]:,} {status}" for status in Status if status in counts.statuses
    )
    _console.print(
        f"{counts.users:,} users ({statuses or 'none'}), {counts.images:,} images, "
        f"{counts.failed:,} failed, in {summary.seconds:.1f} s "
        f"({_per_second(counts.users, summary.seconds)} users/s) -> {summary.out}",
        markup=False,
    )
    if counts.images and counts.failed == counts.images:
        _console.print(
            "No image was usable; see the reasons in image_errors. If they are 'missing', paths "
            "are not relative to the manifest's folder: give --image-root.",
        )


def _line_reporter() -> Callable[[Progress], None]:
    last = time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_EVERY:
            last = time.monotonic()
            done = f"{progress.counts.users:,} of {progress.users_total:,} users"
            _console.print(f"{done}, {_rates(progress)}", markup=False)

    return report


def _rates(progress: Progress) -> str:
    counts, seconds = progress.counts, progress.seconds
    return (
        f"{_per_second(counts.users, seconds)} users/s, "
        f"{_per_second(counts.images, seconds)} images/s, {counts.failed:,} failed"
    )


def _per_second(count: int, seconds: float) -> str:
    rate = count / max(seconds, 1e-9)
    return f"{rate:.1f}" if rate < 100 else f"{rate:,.0f}"


def _bar(*texts: str) -> Bar:
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(text) for text in texts),
        TimeRemainingColumn(),
        console=_console,
        transient=True,
    )


# --- train -------------------------------------------------------------------------------------


class TrainConsole(TrainObserver):
    """Shows training: the traits, a bar while decoding, a line an epoch."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar = _bar() if _console.is_terminal and not quiet else None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def on_schema(self, found: FoundSchema) -> None:
        """Name the traits with their classes, and what is no trait."""
        for trait in found.schema:
            self._say(f"{trait.name}: {', '.join(trait.classes)}")
        for name, reason in found.left_out.items():
            self._say(f"left out: '{name}' {reason}")

    def on_decoded(self, users: int, total: int) -> None:
        """Move the decoding bar."""
        if self._bar is None:
            return
        if self._task is None:
            self._task = self._bar.add_task("decoding users")
        self._bar.update(self._task, completed=users, total=total)

    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        """Print the epoch's line."""
        scores = "  ".join(
            f"{name} {score.accuracy:.2f} ({score.majority:.2f})"
            for name, score in metrics.scores.items()
        )
        if metrics.epoch == 1 and scores:
            self._say("accuracy on the users set aside (in brackets: always the majority class)")
        self._say(
            f"epoch {metrics.epoch:>3}/{epochs}  loss {metrics.loss:.3f}  {scores}  "
            f"{metrics.seconds:.1f} s"
        )

    def _say(self, line: str) -> None:
        if not self._quiet:
            _console.print(line, markup=False)


def show_training(summary: TrainSummary) -> None:
    """Say what training came to."""
    aside = f"{summary.val_users:,} set aside" if summary.val_users else "none set aside"
    left_out = f", {summary.left_out:,} without a usable image" if summary.left_out else ""
    which = "the best" if summary.val_users else "the last"
    _console.print(
        f"{summary.users:,} users learnt from, {aside}{left_out}, in {summary.seconds:.0f} s; "
        f"kept epoch {summary.best.epoch}, {which} -> {summary.checkpoint}",
        markup=False,
    )
    if not summary.kept:
        _console.print("No copy could be kept in your data folder: give predict --checkpoint.")


# --- info --------------------------------------------------------------------------------------


def print_json(checkpoint: Checkpoint) -> None:
    """What a checkpoint is, as JSON on stdout."""
    print(json.dumps(_checkpoint_facts(checkpoint), indent=2))  # noqa: T201 - it is the output


def show_checkpoint(checkpoint: Checkpoint) -> None:
    """What a checkpoint is, as a table on stdout."""
    spec, volume = checkpoint.network_spec, checkpoint.volume_spec
    weights = sum(tensor.numel() for tensor in checkpoint.state.values())
    table = Table(title=str(checkpoint.path), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    table.add_row("network", f"{spec.name}, {weights:,} weights, normalisation {spec.norm}")
    table.add_row("layers", " ".join(map(str, spec.widths)) + f", then {spec.hidden}")
    size = f"{volume.frames} frames of {volume.width} x {volume.height}"
    table.add_row("volume", f"{size}, short ones filled by {volume.fill}")
    scores = checkpoint.training.get("best", {}).get("scores", {})
    for trait in checkpoint.schema:
        table.add_row(trait.name, ", ".join(trait.classes) + _score(scores.get(trait.name)))
    table.add_row("trained", _training(checkpoint.training))
    table.add_row("sha256", checkpoint.sha256)
    _output.print(table)


def _score(score: dict[str, Any] | None) -> str:
    if not score:
        return ""
    return (
        f"\naccuracy {score['accuracy']:.3f} on {score['users']} users set aside "
        f"(majority class: {score['majority']:.3f})"
    )


def _training(training: Any) -> str:
    facts = (f"on {training.get('users', '?')} users", f"{training.get('epochs', '?')} epochs")
    best = training.get("best", {}).get("epoch", "?")
    return f"{', '.join(facts)}, epoch {best} kept; tweetprofile {training.get('version', '?')}"


def _checkpoint_facts(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "path": str(checkpoint.path),
        "sha256": checkpoint.sha256,
        "network": asdict(checkpoint.network_spec),
        "volume": asdict(checkpoint.volume_spec),
        "schema": checkpoint.schema.to_dict(),
        "training": dict(checkpoint.training),
    }
