"""CSV files that people open in a spreadsheet, which runs what looks like a formula.

Names of users, classes and files are untrusted. A cell of text that a spreadsheet would run gets an
apostrophe before it, and what is not for eyes, escape sequences above all, is written as Python
escapes it. Numbers stay numbers, negative ones too.
"""

import csv
import re
from collections.abc import Iterable
from typing import TextIO

Cell = str | int | float | None

_FORMULA = re.compile(r"(^|;)(\s*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001 - full-width ones run, too
"""Where a formula begins: with the cell, or after a `;`, at which some spreadsheets part cells."""

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")

_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of text, and what is no UTF-8."""


def write_rows(file: TextIO, rows: Iterable[Iterable[Cell]]) -> None:
    """Write rows of CSV that a spreadsheet can show without running any of it.

    Args:
        file: opened with `newline=""`.
        rows: text, which is made harmless; numbers, as they are; None for an empty cell.
    """
    csv.writer(file).writerows([_harmless(cell) for cell in row] for row in rows)


def _harmless(cell: Cell) -> Cell:
    if not isinstance(cell, str) or _is_plain(cell) or _NUMBER.fullmatch(cell):
        return cell
    return _FORMULA.sub(r"\1\2'", _HIDDEN.sub(_escaped, cell))


def _is_plain(cell: str) -> bool:
    """Whether a look is enough, as it is for nearly all cells."""
    return cell.isascii() and cell.isprintable() and cell[:1] not in " =+-@" and ";" not in cell


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
