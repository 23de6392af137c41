"""Writes profiles as flat CSV, for R, Stata and spreadsheets: one column per probability.

==========================  ================================================================
`user_id`                   as in the manifest
`<trait>`                   the most probable class; empty where no frame was usable
`<trait>_confidence`        its probability
`<trait>_p_<class>`         the probability of each class
`frames_used` ... `status`  as in Parquet
`image_errors`              `0 a.jpg: missing; 3 b.jpg: truncated`
`evidence`                  `0: gender 0.31, location -0.02; 3: gender 0.12, location 0.4`
`text_evidence`             the same of texts
`profile_evidence`          the same of fields: `name: gender 0.31, location -0.02`
`evidence_base_<trait>`     what the model says of the trait before any image and text
==========================  ================================================================

The columns of the manifest that were kept follow. Cells that a spreadsheet would run as a formula
are made harmless (`spreadsheets.py`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tweetprofile.untrusted.spreadsheets import Cell, write_rows
from tweetprofile.workers.evidence import EVIDENCE_COLUMNS
from tweetprofile.workers.profiles import probabilities_column

_DIGITS = 6
"""Decimal places of a probability; float32 is no more precise."""

_PROBABILITIES = probabilities_column("")
_ERRORS = "image_errors"

_NOT_A_WORD = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the CSV file.

    Attributes:
        name: Its name.
        source: The column of the profiles that it comes from.
        field: The field of that column, if it is a struct; None if it is not.
    """

    name: str
    source: str
    field: str | None = None


def flat_prefix(trait: str) -> str:
    """Return how the names of the columns with the probabilities of a trait begin."""
    return f"{trait}_p_"


def flat_name(trait: str, name: str) -> str:
    """Return the name of the column with the probability of a class, unless it is taken already."""
    return flat_prefix(trait) + _as_word(name)


def _as_word(name: str) -> str:
    """Return the name of a class with underscores for all but letters and digits."""
    return _NOT_A_WORD.sub("_", name)


def why_not_flat(kind: pa.DataType) -> str | None:
    """Return why a column of the manifest cannot be written as CSV, or None if it can.

    The result continues a sentence that begins with the name of the column. A cell of CSV cannot
    hold lists, structs or bytes.
    """
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    if pa.types.is_nested(kind) or binary or pa.types.is_fixed_size_binary(kind):
        return "holds lists, structs or bytes, which a cell of CSV cannot hold"
    return None


def write_flat(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write profiles as CSV, in UTF-8 without a byte-order mark, which R would read as a letter.

    Args:
        path: The file to write.
        schema: The columns of the profiles.
        tables: The profiles, some thousands at a time.

    Raises:
        OSError: The file cannot be written.
    """
    columns = _columns_of(schema)
    with path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, [[column.name for column in columns]])
        for table in tables:
            write_rows(file, _rows(table, columns))


def _columns_of(schema: pa.Schema) -> list[_Column]:
    taken = set(schema.names)
    columns = []
    for field in schema:
        if not pa.types.is_struct(field.type):
            columns.append(_Column(field.name, field.name))
            continue
        trait = field.name.removesuffix(_PROBABILITIES)
        is_probabilities = field.name.endswith(_PROBABILITIES)
        beginning = flat_prefix(trait) if is_probabilities else f"{field.name}_"
        for each in field.type:
            name = _free(beginning + _as_word(each.name), taken)
            columns.append(_Column(name, field.name, each.name))
    return columns


def _free(name: str, taken: set[str]) -> str:
    """Return a name that no column has yet; `a b` and `a-b` are different classes."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def _rows(table: pa.Table, columns: Sequence[_Column]) -> Iterator[tuple[Cell, ...]]:
    return zip(*(_cells(table, column) for column in columns), strict=True)


def _cells(table: pa.Table, column: _Column) -> list[Cell]:
    values = table[column.source].to_pylist()
    if column.field is not None:
        return [None if each is None else round(each[column.field], _DIGITS) for each in values]
    if column.source == _ERRORS:
        return [_errors_as_text(errors) for errors in values]
    # A column of the manifest may have the same name.
    if column.source in EVIDENCE_COLUMNS and pa.types.is_list(table[column.source].type):
        return [_evidence_as_text(each) for each in values]
    return [_cell(value) for value in values]


def _cell(value: Any) -> Cell:
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None or isinstance(value, str | int) else str(value)


def _errors_as_text(errors: Sequence[Mapping[str, Any]] | None) -> str:
    """Return the unusable images of a user as one line."""
    each = (
        f"{error['index']}{' ' if error['image'] else ''}{error['image']}: {error['reason']}"
        for error in errors or ()
    )
    return "; ".join(each)


def _evidence_as_text(evidence: Sequence[Mapping[str, Any]]) -> str:
    """Return what the images, the texts or the profile of a user contribute as one line."""
    return "; ".join(
        f"{one['field'] if 'field' in one else one['index']}: "
        + ", ".join(f"{trait} {each:.{_DIGITS}g}" for trait, each in one["contributions"].items())
        for one in evidence
    )
