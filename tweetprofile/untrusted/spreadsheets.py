"""CSV files that are safe to open in a spreadsheet, which would run cells that look like formulas.

Names of users, classes and files are untrusted. A text cell that a spreadsheet would run gets an
apostrophe before it, and unprintable characters, above all escape sequences, are escaped as in
Python. Numbers stay numbers, including negative ones.
"""

import csv
import re
from collections.abc import Iterable
from typing import TextIO

Cell = str | int | float | None

_FORMULA = re.compile(r"(^|;)(\s*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001 - spreadsheets also run full-width signs
"""The beginning of a formula: of a cell, or after a `;`, at which some spreadsheets split cells."""

_MADE_HARMLESS = re.compile(r"(^|;)(\s*)'(?=[=+\-@＝＋－＠])")  # noqa: RUF001
"""The beginning of a formula after `write_rows` has made it harmless."""

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")

_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, characters that change the direction of text, and invalid UTF-8."""


def write_rows(file: TextIO, rows: Iterable[Iterable[Cell]]) -> None:
    """Write rows of CSV that a spreadsheet can open without running any cell.

    Args:
        file: A file that was opened with `newline=""`.
        rows: Rows of text, which is made harmless, of numbers, and of None for empty cells.
    """
    csv.writer(file).writerows([_harmless(cell) for cell in row] for row in rows)


def without_apostrophe(cell: str) -> str:
    """Return a cell of CSV as it was before `write_rows` made it harmless."""
    return _MADE_HARMLESS.sub(r"\1\2", cell) if "'" in cell else cell


def _harmless(cell: Cell) -> Cell:
    if not isinstance(cell, str) or _is_plain(cell) or _NUMBER.fullmatch(cell):
        return cell
    return _FORMULA.sub(r"\1\2'", _HIDDEN.sub(_escaped, cell))


def _is_plain(cell: str) -> bool:
    """Return whether a cell needs no further check, as nearly all cells do not."""
    return cell.isascii() and cell.isprintable() and cell[:1] not in " =+-@" and ";" not in cell


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
