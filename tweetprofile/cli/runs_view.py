"""Shows a list of runs for `runs`, as a table that fits the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.table import Table

from tweetprofile.cli import console
from tweetprofile.cli.console import CONSOLE, OUTPUT, count_of
from tweetprofile.runs.finding import LeftOut
from tweetprofile.runs.listing import RunList
from tweetprofile.runs.reading import Run, RunStatus

_GAP, _NARROW_GAP = 2, 1
"""Spaces between two columns, and on a terminal where that would be too much."""

_LEAST_NAME, _LEAST_MODEL, _LEAST_TRAIT = 14, 10, 6
"""Widths below which a column is not cut."""

_RESUME = "; repeat its command with --resume to continue it"

_STYLES = {RunStatus.FINISHED: "", RunStatus.UNFINISHED: "yellow", RunStatus.DAMAGED: "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """A column of the table.

    Attributes:
        heading: Its heading.
        cells: Its cells, one per run.
        least: The width below which it is not cut; None if it is never cut.
        numbers: Whether it holds numbers.
        goes: How early it is left out if there is no room; 0 for never.
    """

    heading: str
    cells: Sequence[str]
    least: int | None = None
    numbers: bool = True
    goes: int = 0

    @property
    def width(self) -> int:
        return max(map(cell_len, (self.heading, *self.cells)))

    @property
    def least_width(self) -> int:
        return self.width if self.least is None else min(self.least, self.width)

    def cut_most(self) -> "_Column":
        return self.cut(self.least_width)

    def cut(self, width: int) -> "_Column":
        return replace(
            self,
            heading=OUTPUT.cut(self.heading, width),
            cells=[OUTPUT.cut(cell, width) for cell in self.cells],
        )


def print_json(listed: RunList) -> None:
    """Print the list as JSON to stdout."""
    console.print_json(listed.to_dict())


def show_runs(listed: RunList) -> None:
    """Print the list as a table to stdout, and below it what is wrong with runs."""
    if not listed.runs:
        CONSOLE.print(f"there are no runs in {listed.folder}; 'tweetprofile train' makes one.")
        return
    columns = _columns(listed)
    shown, gap = _fit(columns)
    _print_table(listed.runs, shown, gap)
    score = {"macro-f1": "macro-F1", "accuracy": "accuracy"}[listed.options.score]
    _say(f"{score} on the held-out users of each run; mean is that of its traits", "dim")
    if hidden := len(columns) - len(shown):
        columns_left_out = count_of(hidden, "column")
        _say(f"{columns_left_out} did not fit into {OUTPUT.width} places; --json has all", "dim")
    if not listed.same_held_out:
        _say(
            "The runs held out different users, so small differences mean little: evaluate the "
            "models on the same users with 'tweetprofile evaluate'.",
            "yellow",
        )
    for run in listed.runs:
        if run.reason is not None:
            advice = _RESUME if run.status is RunStatus.UNFINISHED else ""
            _say(f"{listed.name_of(run)} is {run.status}: {run.reason}{advice}")


def show_left_out(left_out: LeftOut) -> None:
    """Show on stderr what was not searched, which may hold further runs."""
    for count, what, why in (
        (left_out.too_deep, "folder", "at the deepest level (--depth)"),
        (left_out.links, "link", "to other folders"),
        (left_out.unreadable, "folder", "that cannot be read"),
    ):
        if count:
            CONSOLE.print(f"not searched: {count_of(count, what)} {why}")
    if left_out.foreign:
        folders = count_of(left_out.foreign, "folder")
        CONSOLE.print(
            f"left out: {folders} with a model.safetensors that tweetprofile did not write"
        )
    if left_out.stopped:
        CONSOLE.print("warning: there are too many files to search all; name a folder below")


def _columns(listed: RunList) -> list[_Column]:
    """Return all columns, uncut."""
    runs, score = listed.runs, listed.options.score
    names = [OUTPUT.printable(listed.name_of(run)) for run in runs]
    models = ["" if run.model is None else OUTPUT.printable(run.model) for run in runs]
    users = ["" if run.users is None else f"{run.users:,}" for run in runs]
    dates, epochs = [_finished(run) for run in runs], [_epochs(run) for run in runs]
    traits = len(listed.traits)
    means = [_shown(run.mean(score), ".3f") for run in runs]
    errors = [_shown(run.mean_calibration_error, ".3f") for run in runs]
    return [
        _Column(heading="run", cells=names, least=_LEAST_NAME, numbers=False),
        _Column(heading="finished", cells=dates, numbers=False, goes=traits + 1),
        _Column(heading="model", cells=models, least=_LEAST_MODEL, numbers=False),
        _Column(heading="users", cells=users, goes=traits + 3),
        _Column(heading="epoch", cells=epochs, goes=traits + 2),
        *(_trait(listed, name, place) for place, name in enumerate(listed.traits, 1)),
        _Column(heading="mean", cells=means),
        _Column(heading="calib. error", cells=errors, goes=traits + 4),
    ]


def _trait(listed: RunList, name: str, place: int) -> _Column:
    cells = [_shown(run.score(name, listed.options.score), ".2f") for run in listed.runs]
    heading = OUTPUT.printable(name)
    return _Column(heading=heading, cells=cells, least=_LEAST_TRAIT, goes=place)


def _fit(columns: Sequence[_Column]) -> tuple[list[_Column], int]:
    """Return the columns that fit the terminal, cut where they must be, and the gap between them.

    Columns go first that are not needed to compare runs, then those of traits, from the right.
    """
    if _room(columns, _GAP) >= 0:
        return list(columns), _GAP
    shown = list(columns)
    for each in sorted(columns, key=lambda column: column.goes, reverse=True):
        if _room([column.cut_most() for column in shown], _NARROW_GAP) >= 0 or not each.goes:
            break
        shown.remove(each)
    widths = [each.width for each in shown]
    for _ in range(-_room(shown, _NARROW_GAP)):
        # The widest column that may still be cut loses one place.
        may = [number for number, each in enumerate(shown) if widths[number] > each.least_width]
        if may:
            widths[max(may, key=lambda number: widths[number])] -= 1
    return [each.cut(width) for each, width in zip(shown, widths, strict=True)], _NARROW_GAP


def _room(columns: Sequence[_Column], gap: int) -> int:
    """Return how many places are left beside columns; fewer than 0 if they do not fit."""
    return OUTPUT.width - sum(each.width for each in columns) - gap * (len(columns) - 1)


def _print_table(runs: Sequence[Run], columns: Sequence[_Column], gap: int) -> None:
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
    for each in columns:
        table.add_column(each.heading, justify="right" if each.numbers else "left", no_wrap=True)
    for number, run in enumerate(runs):
        table.add_row(*(each.cells[number] for each in columns), style=_STYLES[run.status])
    OUTPUT.print(table)


def _finished(run: Run) -> str:
    """Return the day on which a run finished, or that it did not."""
    if run.status is not RunStatus.FINISHED:
        return run.status
    return OUTPUT.printable((run.date or "")[:10])


def _epochs(run: Run) -> str:
    """Return the epoch that was kept of how many, or that a model of texts has none."""
    if run.reads_texts_alone:
        return "texts"
    most = "" if run.epochs is None else str(run.epochs)
    return f"{run.kept_epochs[0]}/{most}" if len(run.kept_epochs) == 1 else most


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _say(text: str, style: str = "") -> None:
    OUTPUT.print(OUTPUT.text(text, style))
