"""The table of a training's epochs: a live one on a terminal, and one line per epoch elsewhere."""

import time
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from tweetprofile.cli.columns import Column, FittedColumns, fit
from tweetprofile.cli.console import CONSOLE, clock
from tweetprofile.plurals import count_of
from tweetprofile.scoring.epochs import METRICS, EpochMetrics
from tweetprofile.scoring.traits import TraitScore

_EPOCHS_SHOWN = 12
"""Rows of the live table, so that it fits on any terminal; `metrics.jsonl` has all epochs."""

_EPOCHS_TIMED = 5
"""The last epochs, by whose duration the time left is estimated."""

_LEAST_TRAIT = 9
"""Width of a pair of scores, 0.50/0.33; headings are cut to it if there is no room."""

_SECONDS_PER_LINE = 60.0
"""The time after which a long epoch has a line, where there is no live table."""

_PAIR = "accuracy/macro-F1 on the held-out users"


class EpochTable:
    """Shows epochs one after the other; a live table moves until it is stopped.

    Args:
        live: Whether to draw a live table; otherwise there is a line per epoch, and further ones in
            long epochs.
        seconds_per_line: The fewest seconds between two lines in an epoch.
    """

    def __init__(self, *, live: bool, seconds_per_line: float = _SECONDS_PER_LINE) -> None:
        self._is_live = live
        self._seconds_per_line = seconds_per_line
        self._live: Live | None = None
        # Replaced and never changed, because the live table is drawn in a thread.
        self._shown: tuple[EpochMetrics, ...] = ()
        self._best: EpochMetrics | None = None
        self._epochs = 0
        self._current = ""  # how far the current epoch is
        self._began = self._last = self._said = time.monotonic()

    def begin(self, best: EpochMetrics | None) -> None:
        """Start another table.

        Args:
            best: The best epoch that was finished before; None if there is none.
        """
        self.stop()
        self._best = best
        self._began = self._said = time.monotonic()

    def advance(self, epoch: int, done: int, batches: int) -> None:
        """Show how many batches of an epoch are done."""
        self._current = f"epoch {epoch:,}: {done:,} of {count_of(batches, 'batch', 'batches')} done"
        if self._is_live:
            self._start()
        elif done < batches and time.monotonic() - self._said >= self._seconds_per_line:
            self._said = time.monotonic()
            CONSOLE.print(self._current)

    def add(self, metrics: EpochMetrics, epochs: int) -> None:
        """Show an epoch.

        Args:
            metrics: The metrics of the epoch.
            epochs: The number of epochs that there will be at most.
        """
        is_first = not self._shown
        self._epochs, self._current = epochs, ""
        self._last = self._said = time.monotonic()
        if is_first:
            self._began = min(self._began, self._last - metrics.seconds)
        is_best = metrics.beats(self._best)
        self._shown = (*self._shown, metrics)[-_EPOCHS_SHOWN:]
        if is_best:
            self._best = metrics
        if not self._is_live:
            self._print(metrics, heading=is_first)
        else:
            self._start().refresh()

    def stop(self) -> None:
        """Leave the last state of the live table on the terminal; the next epoch starts another."""
        if self._live is not None:
            self._live.stop()
        self._live, self._shown, self._best, self._current = None, (), None, ""

    def _start(self) -> Live:
        """Return the live table, which is drawn from now on."""
        if self._live is None:
            self._live = Live(get_renderable=self._draw, console=CONSOLE, refresh_per_second=1)
            self._live.start(refresh=True)
        return self._live

    def _print(self, metrics: EpochMetrics, *, heading: bool) -> None:
        fitted = self._fit([metrics])
        head, baseline, row = fitted.lines()
        if heading and metrics.scores:
            CONSOLE.print(f"{_PAIR}; * is the best epoch so far{_what_is_hidden(fitted)}")
        if heading:
            CONSOLE.print(head)
        if heading and metrics.scores:
            CONSOLE.print(baseline)
        CONSOLE.print(row)

    def _draw(self) -> RenderableType:
        shown, current = self._shown, self._current
        lines = self._rows(shown) if shown else []
        if current:
            lines.append(Text(current, no_wrap=True, overflow="crop"))
        return Group(*lines, CONSOLE.text(self._status(shown)))

    def _rows(self, shown: Sequence[EpochMetrics]) -> list[Text]:
        """Return the table of some epochs, and what its figures are."""
        fitted = self._fit(shown)
        head, baseline, *rows = fitted.lines()
        lines = [Text(head, "dim")]
        if shown[-1].scores:
            lines.append(Text(baseline, "dim"))
        for metrics, row in zip(shown, rows, strict=True):
            lines.append(Text(row, "bold" if metrics is self._best and metrics.scores else ""))
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
        if shown[-1].scores:
            lines.append(Text(f"{_PAIR}; * is the best epoch{_what_is_hidden(fitted)}", "dim"))
        return lines

    def _status(self, shown: Sequence[EpochMetrics]) -> str:
        """Return the best epoch so far, and how long the training takes."""
        now = time.monotonic()
        best = ""
        if self._best is not None and self._best.scores:
            best = f"best: epoch {self._best.epoch}, mean F1 {self._best.mean_macro_f1:.3f}; "
        left = ""
        if shown and (following := self._epochs - shown[-1].epoch) > 0:
            timed = [each.seconds for each in shown[-_EPOCHS_TIMED:]]
            seconds = following * sum(timed) / len(timed) - (now - self._last)
            left = f", at most {clock(max(0.0, seconds))} left"
        return f"{best}{clock(now - self._began)} elapsed{left}"

    def _fit(self, shown: Sequence[EpochMetrics]) -> FittedColumns:
        """Return the columns: a row for the baseline, and one per epoch."""
        epochs = [f"{each.epoch}/{self._epochs}" for each in shown]
        columns = [
            Column(heading="epoch", cells=["majority", *epochs]),
            Column(heading="loss", cells=["", *(f"{each.loss:5.3f}" for each in shown)]),
        ]
        if shown[-1].scores:
            losses = ("" if each.val_loss is None else f"{each.val_loss:5.3f}" for each in shown)
            means = (self._mean(each) for each in shown)
            columns += [
                Column(heading="held out", cells=["", *losses]),
                *(_trait(name, place, shown) for place, name in enumerate(shown[-1].scores, 1)),
                Column(heading="mean F1", cells=["", *means]),
            ]
        else:
            columns[0] = replace(columns[0], cells=["", *epochs])
        times = (f"{each.seconds:5.1f} s" for each in shown)
        return fit([*columns, Column(heading="time", cells=["", *times])], CONSOLE)

    def _mean(self, metrics: EpochMetrics) -> str:
        return f"{metrics.mean_macro_f1:.3f}" + ("*" if metrics is self._best else " ")


def _what_is_hidden(fitted: FittedColumns) -> str:
    hidden = len(fitted.left_out)
    return f"; {count_of(hidden, 'trait')} in {METRICS} alone" if hidden else ""


def _trait(name: str, place: int, shown: Sequence[EpochMetrics]) -> Column:
    """Return the column of a trait; if there is no room, traits are left out from the right."""
    scores = [each.scores.get(name) for each in shown]
    last = next(score for score in reversed(scores) if score is not None)
    return Column(
        heading=CONSOLE.printable(name),
        cells=[f"{last.majority:.2f}     ", *map(_pair, scores)],
        least=_LEAST_TRAIT,
        goes=place,
    )


def _pair(score: TraitScore | None) -> str:
    return "" if score is None else f"{score.accuracy:.2f}/{score.macro_f1:.2f}"
