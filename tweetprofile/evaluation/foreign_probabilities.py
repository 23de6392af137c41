"""Read the probabilities or confidences of a trait from a foreign table.

Shapes: N rows, K classes.
"""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.labels.values import class_of
from tweetprofile.evaluation.foreign_classes import ClassColumn
from tweetprofile.evaluation.foreign_layout import TraitColumns
from tweetprofile.evaluation.table_files import TableError
from tweetprofile.predicting.flat_csv import flat_name, flat_prefix
from tweetprofile.traits import MOST_CLASSES_PER_TRAIT, Trait
from tweetprofile.workers.profiles import confidence_column, probabilities_column

_MOST = 1.001
"""The largest probability that rounding explains; anything above is a percentage or an error."""


def classes_with_probabilities(
    columns: pa.Schema, found: TraitColumns, classes: ClassColumn
) -> tuple[dict[str, str] | None, list[str]]:
    """Return where the probability of each class is: the field or column, by class.

    Returns:
        The places, or None if the table has no probabilities; and sentences about probabilities
        that cannot be assigned to a class.
    """
    if found.probabilities is not None:
        kind = columns.field(found.probabilities).type
        fields = [kind.field(place).name for place in range(kind.num_fields)]
        places = {class_of(name) or name: name for name in fields}
        if len(places) == len(fields) <= MOST_CLASSES_PER_TRAIT and fields:
            return places, []
        return None, [f"{found.name}: `{found.probabilities}` is left out: it names a class twice."]
    if not found.flat:
        return None, []
    known = [*(classes.labels or ()), *classes.counts]
    named = {name: flat_name(found.name, name) for name in dict.fromkeys(known)}
    shared = [name for name, count in Counter(named.values()).items() if count > 1]
    if shared:
        return None, [f"{found.name}: probabilities are left out: `{shared[0]}` fits two classes."]
    by_column = {column: name for name, column in named.items()}
    prefix = flat_prefix(found.name)
    return {by_column.get(each, each.removeprefix(prefix)): each for each in found.flat}, []


def probability_columns(
    table: pa.Table,
    found: TraitColumns,
    classes: ClassColumn,
    trait: Trait,
    places: dict[str, str] | None,
) -> tuple[dict[str, pa.ChunkedArray], list[str]]:
    """Return the columns of probabilities, or else of confidences, and what looks odd in them.

    Args:
        table: The columns of the trait, as they were read.
        found: Their names.
        classes: The classes of the rows.
        trait: The trait with all of its classes.
        places: Where the probability of each class is; None if there are none.

    Raises:
        TableError: A row has a class, and a probability that is missing or not from 0 to 1.
    """
    known = ~classes.named.is_null().to_numpy()
    if places is not None:
        rows = np.zeros((len(table), len(trait.classes)))
        for name, place in places.items():
            rows[:, trait.classes.index(name)] = _column(table, found, place)
        what = f"the probabilities of {trait.name}"
        rows = _checked(rows, known, what)
        return {probabilities_column(trait.name): _structs(rows, known, trait)}, _odd(
            rows, classes, trait, known
        )
    if found.confidence is not None:
        values = _floats(table[found.confidence], found.confidence)
        confidence = _checked(values[:, None], known, f"the confidences of {trait.name}")[:, 0]
        column = pa.array(confidence, pa.float64(), mask=~known)
        return {confidence_column(trait.name): pa.chunked_array([column])}, []
    return {}, []


def _column(table: pa.Table, found: TraitColumns, place: str) -> NDArray[np.float64]:
    """(N,) probability of one class; NaN where the whole row is missing."""
    if found.probabilities is None:
        return _floats(table[place], place)
    column = table[found.probabilities].combine_chunks()
    field = pc.struct_field(column, [column.type.get_field_index(place)])
    values = _floats(pa.chunked_array([field]), f"{found.probabilities}.{place}")
    # pandas leaves out what is missing from a row's dictionary; the row's others tell that it is 0.
    absent = field.is_null().to_numpy(zero_copy_only=False)
    there = column.is_valid().to_numpy(zero_copy_only=False)
    return np.where(absent & there, 0.0, values)


def _floats(column: pa.ChunkedArray, name: str) -> NDArray[np.float64]:
    """Return a column as floats, NaN where it is null."""
    try:
        if pa.types.is_large_string(column.type) or pa.types.is_string(column.type):
            column = pc.replace_substring(column, ",", ".")  # where that is the decimal sign
        values: Any = column.cast(pa.float64())
    except pa.ArrowException:
        raise TableError(
            f"column '{name}' does not hold numbers; correct it, or leave it out"
        ) from None
    return np.asarray(pc.fill_null(values, float("nan")).to_numpy(), np.float64)


def _checked(
    rows_NK: NDArray[np.float64], known_N: NDArray[np.bool_], what: str
) -> NDArray[np.float64]:
    """Return probabilities within 0 and 1, and zeros for rows without a class."""
    wrong = known_N & ~((rows_NK >= 0) & (rows_NK <= _MOST)).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        values = ", ".join(f"{value:g}" for value in rows_NK[row][:8])
        raise TableError(
            f"row {row} has a class, and {what} are not from 0 to 1 but {values}; correct them, or "
            "leave their column out"
        )
    checked: NDArray[np.float64] = np.where(known_N[:, None], np.minimum(rows_NK, 1.0), 0.0)
    return checked


def _structs(
    rows_NK: NDArray[np.float64], known_N: NDArray[np.bool_], trait: Trait
) -> pa.ChunkedArray:
    fields = [pa.field(name, pa.float64()) for name in trait.classes]
    arrays = [pa.array(np.ascontiguousarray(column)) for column in rows_NK.T]
    column = pa.StructArray.from_arrays(arrays, fields=fields, mask=pa.array(~known_N))
    return pa.chunked_array([column])


def _odd(
    rows_NK: NDArray[np.float64], classes: ClassColumn, trait: Trait, known_N: NDArray[np.bool_]
) -> list[str]:
    """Return a sentence if a predicted class is not the most probable one."""
    named = pc.index_in(classes.named.combine_chunks(), pa.array(trait.classes, pa.large_string()))
    guess = pc.fill_null(named, 0).to_numpy().astype(np.int64)
    own = np.take_along_axis(rows_NK, guess[:, None], axis=1)[:, 0]
    count = int((known_N & (own < rows_NK.max(axis=1))).sum())
    if not count:
        return []
    rows = "1 row" if count == 1 else f"{count:,} rows"
    return [
        f"{trait.name}: in {rows} the predicted class is not the most probable one; the class "
        "counts, and its own probability is its confidence."
    ]
