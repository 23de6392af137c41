"""Read columns of a CSV table of predictions that some program wrote.

A table of predictions can be corrected, and a row that is lost would count as a wrong prediction.
So the first damaged row is refused, with its line.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from tweetprofile.errors import PredictionsError
from tweetprofile.evaluation.table_files import MAX_ID_BYTES
from tweetprofile.importers.readers.csv_rows import read_header, read_rows
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.untrusted.spreadsheets import without_apostrophe
from tweetprofile.untrusted.text import printable

_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.bz2", ".csv.zst")

_ROWS_AT_ONCE = 1 << 16


def is_csv(path: object) -> bool:
    """Return whether the name of a file says that it is CSV."""
    return str(path).lower().endswith(_ENDINGS)


def csv_names(path: Path) -> list[str]:
    """Return the names of the columns.

    Raises:
        OSError: The file cannot be read.
    """
    return read_header(path)


def csv_columns(path: Path, wanted: Sequence[str]) -> pa.Table:
    """Return some columns as text, in which empty cells are null.

    Args:
        path: The file.
        wanted: Names of columns, each of which occurs once.

    Raises:
        OSError: The file cannot be read.
        PredictionsError: A row is damaged, a cell is not UTF-8, or is too long.
    """
    names = read_header(path)
    places = [names.index(name) for name in wanted]
    schema = pa.schema([(name, pa.large_string()) for name in wanted])
    cells: list[list[str | None]] = [[] for _ in wanted]
    parts: list[pa.Table] = []
    for number, row in read_rows(path, _Refusing()):
        if not any(map(str.strip, row)):
            continue
        for column, place in zip(cells, places, strict=True):
            column.append(_cell(row[place], path, number))
        if len(cells[0]) == _ROWS_AT_ONCE:
            parts.append(pa.Table.from_arrays(list(map(_texts, cells)), schema=schema))
            cells = [[] for _ in wanted]
    parts.append(pa.Table.from_arrays(list(map(_texts, cells)), schema=schema))
    return pa.concat_tables(parts)


def _texts(cells: Sequence[str | None]) -> pa.Array:
    return pa.array(cells, pa.large_string())


def _cell(cell: str, path: Path, number: int) -> str | None:
    if len(cell) > MAX_ID_BYTES:
        raise PredictionsError(
            f"{path}:{number}: a cell has {len(cell):,} characters; ids and classes can have at "
            f"most {MAX_ID_BYTES:,}, so correct the table."
        )
    if not cell.isascii():
        try:
            cell.encode()
        except UnicodeEncodeError:
            raise PredictionsError(
                f"{path}:{number}: '{printable(cell, 60)}' is not UTF-8; save the table as UTF-8."
            ) from None
    return without_apostrophe(cell.strip()) or None


class _Refusing(Skipped):
    """Ends the reading at the first row that would be skipped."""

    def __init__(self) -> None:
        super().__init__(None)

    def add(self, reason: SkipReason, file: Path | str, line: int | None, what: str) -> None:
        where = f"{file}:{line}" if line is not None else str(file)
        raise PredictionsError(f"{where}: {what}; correct the table.")
