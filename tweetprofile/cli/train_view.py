"""What `train` shows: the traits, a bar while decoding, a line an epoch, and the end."""

from types import TracebackType
from typing import Self

from rich.progress import TaskID

from tweetprofile.cli.console import CONSOLE, make_bar
from tweetprofile.training.labels import FoundSchema
from tweetprofile.training.loop import TrainObserver
from tweetprofile.training.run import TrainSummary
from tweetprofile.training.scores import EpochMetrics


class TrainView(TrainObserver):
    """Shows training: the traits, a bar while decoding, a line an epoch."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar = make_bar() if CONSOLE.is_terminal and not quiet else None
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
            CONSOLE.print(line, markup=False)


def show_training(summary: TrainSummary) -> None:
    """Say what training came to."""
    aside = f"{summary.val_users:,} set aside" if summary.val_users else "none set aside"
    left_out = f", {summary.left_out:,} without a usable image" if summary.left_out else ""
    which = "the best" if summary.val_users else "the last"
    CONSOLE.print(
        f"{summary.users:,} users learnt from, {aside}{left_out}, in {summary.seconds:.0f} s; "
        f"kept epoch {summary.best.epoch}, {which} -> {summary.checkpoint}",
        markup=False,
    )
    if not summary.kept:
        CONSOLE.print("No copy could be kept in your data folder: give predict --checkpoint.")
