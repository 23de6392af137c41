"""Tables that fit the terminal: columns are cut where they must be, or left out, and never wrapped.

Cells are printable text already; see `SafeConsole.printable`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

from tweetprofile.cli.console import SafeConsole

_GAP, _NARROW_GAP = 2, 1
"""Spaces between two columns, and on a terminal where that would be too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        heading: Its heading.
        cells: Its cells, one per row.
        least: The width below which it is not cut; None if it is never cut.
        numbers: Whether it holds numbers, which are aligned at their ends.
        goes: How early it is left out if there is no room; 0 for never.
        spare: Whether it is left out before any column is cut.
    """

    heading: str
    cells: Sequence[str]
    least: int | None = None
    numbers: bool = True
    goes: int = 0
    spare: bool = False

    @property
    def width(self) -> int:
        """The width of its widest cell."""
        return max(map(cell_len, (self.heading, *self.cells)))

    @property
    def least_width(self) -> int:
        """The width that it may be cut to."""
        return self.width if self.least is None else min(self.least, self.width)


@dataclass(frozen=True, slots=True)
class FittedColumns:
    """Columns that fit a terminal.

    Attributes:
        columns: The columns, cut.
        gap: The number of spaces between two of them.
        left_out: The headings of the columns that do not fit.
    """

    columns: Sequence[Column]
    gap: int
    left_out: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the headings and the rows as lines."""
        rows = zip(*((each.heading, *each.cells) for each in self.columns), strict=True)
        return [self._line(row) for row in rows]

    def _line(self, cells: Sequence[str]) -> str:
        parts = []
        for column, cell in zip(self.columns, cells, strict=True):
            space = " " * (column.width - cell_len(cell))
            parts.append(space + cell if column.numbers else cell + space)
        return (" " * self.gap).join(parts).rstrip()


def fit(columns: Sequence[Column], console: SafeConsole) -> FittedColumns:
    """Return the columns that fit a terminal, cut where they must be.

    Args:
        columns: The columns, uncut.
        console: Where they will be shown.
    """
    shown = list(columns)
    if _room([each.width for each in shown], _GAP, console) < 0:
        shown = _without_late_ones([each for each in shown if not each.spare], console)
    gap = _GAP if _room([each.least_width for each in shown], _GAP, console) >= 0 else _NARROW_GAP
    widths = _shrink(shown, gap, console)
    cut = [_cut(each, width, console) for each, width in zip(shown, widths, strict=True)]
    kept = set(map(id, shown))
    left_out = tuple(each.heading for each in columns if id(each) not in kept)
    return FittedColumns(cut, gap, left_out)


def _without_late_ones(columns: Sequence[Column], console: SafeConsole) -> list[Column]:
    """Leave out columns in their order until the others fit, if these are cut."""
    least = [each.least_width for each in columns]
    missing, gone = -_room(least, _NARROW_GAP, console), set()
    for number in sorted(range(len(columns)), key=lambda number: -columns[number].goes):
        if missing <= 0 or not columns[number].goes:
            break
        gone.add(number)
        missing -= least[number] + _NARROW_GAP
    return [each for number, each in enumerate(columns) if number not in gone]


def _shrink(columns: Sequence[Column], gap: int, console: SafeConsole) -> list[int]:
    """Return widths that fit, if there are any: the widest that may be cut lose most."""
    widths, least = [each.width for each in columns], [each.least_width for each in columns]
    for _ in range(-_room(widths, gap, console)):
        may = [number for number, width in enumerate(widths) if width > least[number]]
        if may:
            widths[max(may, key=lambda number: widths[number])] -= 1
    return widths


def _room(widths: Sequence[int], gap: int, console: SafeConsole) -> int:
    """Return how many places are left beside columns; fewer than 0 if they do not fit."""
    return console.width - sum(widths) - gap * (len(widths) - 1)


def _cut(column: Column, width: int, console: SafeConsole) -> Column:
    return replace(
        column,
        heading=console.cut(column.heading, width),
        cells=[console.cut(cell, width) for cell in column.cells],
    )
