"""Read a table of predictions that `predict` did not write, or that was written again since.

The table has `user_id` and a column of classes per trait (`foreign_layout.py`). Classes are read as
labels are: trimmed, and without words that mean a missing value. Probabilities, confidences and
`frames_used` are read where they are given. Nothing is repaired by guessing: what contradicts
itself is refused in one sentence, and what looks odd becomes a remark.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.types import is_text
from tweetprofile.data.manifests.user_ids import check_ids
from tweetprofile.errors import ManifestError, PredictionsError, SchemaError
from tweetprofile.evaluation.foreign_classes import ClassColumn
from tweetprofile.evaluation.foreign_csv import csv_columns, csv_names, is_csv
from tweetprofile.evaluation.foreign_layout import TraitColumns, find_traits
from tweetprofile.evaluation.foreign_probabilities import (
    classes_with_probabilities,
    probability_columns,
)
from tweetprofile.evaluation.table_files import (
    MAX_ID_BYTES,
    UNREADABLE,
    TableError,
    check_size,
    decoded,
    first_line,
    open_parquet,
)
from tweetprofile.traits import Trait, TraitSchema, why_not_a_class
from tweetprofile.untrusted.repeats import first_repeated
from tweetprofile.untrusted.text import printable

FRAMES = "frames_used"

_NAMES_SHOWN = 20

_MOST_UNDECLARED = 64
"""The largest number of classes of a trait that has neither labels nor confidences."""

Labels = Mapping[str, Sequence[str]]
"""The classes of the labels, by trait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTable:
    """Predictions of unknown origin.

    Attributes:
        schema: The traits, with the classes of the labels and of the predictions.
        table: The columns `user_id` and, per trait, its class; its probabilities or confidence and
            `frames_used` where the table gives them.
        remarks: Sentences about what looks odd.
    """

    schema: TraitSchema
    table: pa.Table
    remarks: tuple[str, ...]


def traits_of_table(path: AnyPath, labels: Collection[str] | None) -> list[str]:
    """Return the columns of a table that are read as traits, if they hold classes.

    Args:
        path: The file or folder.
        labels: The names of the labels; None for any column that could be a trait.

    Raises:
        PredictionsError: The table cannot be read.
    """
    with _reading(path):
        columns = _schema_of(path)
        _check_names(columns.names, path)
        return [each.name for each in find_traits(columns, labels)[0]]


def read_foreign(
    path: AnyPath, labels: Labels | None, *, every_trait: bool = False
) -> ForeignTable:
    """Read a CSV file, a Parquet file or a folder of Parquet files.

    Args:
        path: The file or folder; CSV is read from this machine only.
        labels: The classes of the labels, by trait; None if they are not known.
        every_trait: Whether every column that could be a trait is one, as without `labels`.

    Raises:
        PredictionsError: The table cannot be read, lacks `user_id` or any trait, or contradicts
            itself.
    """
    with _reading(path):
        columns = _schema_of(path)
        _check_names(columns.names, path)
        wanted_traits = None if every_trait else labels
        found, kept = find_traits(columns, wanted_traits)
        if not found:
            raise PredictionsError(_no_trait(columns.names, wanted_traits, path))
        wanted = ["user_id", *([FRAMES] if FRAMES in columns.names else [])]
        table = _read(path, wanted + [name for each in found for name in each.all])
        remarks = _remarks_on_kept([name for name in kept if name in (labels or ())], found)
        return _assemble(table, found, labels, path, remarks)


def _assemble(
    table: pa.Table,
    found: Sequence[TraitColumns],
    labels: Labels | None,
    path: AnyPath,
    remarks: list[str],
) -> ForeignTable:
    """Return the table as an evaluation takes it."""
    made = {"user_id": _ids(table["user_id"], path)}
    labels = labels or {}
    traits = []
    for each in found:
        is_declared = each.name in labels or each.has_confidence
        if not is_declared and (reason := _why_no_classes(table[each.name], each.name)):
            remarks.append(f"{each.name} is left out: it {reason}.")
            continue
        classes = ClassColumn.read(table[each.name], each.name, labels.get(each.name))
        given, said = classes_with_probabilities(table.schema, each, classes)
        names = classes.union(list(given or ()))
        remarks += [*said, *classes.remarks(given)]
        if (reason := classes.why_not_a_trait(names)) is not None:
            remarks.append(f"{each.name} is not evaluated: it {reason}.")
            continue
        traits.append(Trait(each.name, tuple(names)))
        made[each.name] = classes.named
        columns, odd = probability_columns(table, each, classes, traits[-1], given)
        made |= columns
        remarks += odd
    if not traits:
        raise PredictionsError(f"{path} has no trait to evaluate: {' '.join(remarks)}")
    frames, said = _frames(table)
    made |= frames
    return ForeignTable(
        schema=TraitSchema(tuple(traits)), table=pa.table(made), remarks=(*remarks, *said)
    )


def _why_no_classes(column: pa.ChunkedArray, name: str) -> str | None:
    """Return why a column that is neither a label nor has confidences is no trait; None if it is.

    It may be anything, such as texts or names of users.
    """
    try:
        classes = ClassColumn.read(column, name, None).counts
    except TableError:
        return f"has more than {_MOST_UNDECLARED} different values"
    if len(classes) > _MOST_UNDECLARED:
        return f"has more than {_MOST_UNDECLARED} different values"
    if len(classes) > 2 and max(classes.values()) == 1:
        return "has a different value for every user"
    reasons = (why_not_a_class(each) for each in classes)
    return next((f"has a value that {reason}" for reason in reasons if reason), None)


def _schema_of(path: AnyPath) -> pa.Schema:
    if not is_csv(path):
        schema: pa.Schema = open_parquet(path)[0].schema
        return schema
    if not isinstance(path, Path):
        raise PredictionsError(
            f"{path}: a CSV file is read from this machine only; copy it here, or write Parquet."
        )
    return pa.schema([(name, pa.large_string()) for name in csv_names(path)])


def _read(path: AnyPath, names: Sequence[str]) -> pa.Table:
    if is_csv(path):
        assert isinstance(path, Path)
        return csv_columns(path, names)
    columns = open_parquet(path)[0].schema
    texts = [name for name in names if is_text(columns.field(name).type)]
    data, files = open_parquet(path, {"user_id", *texts})
    check_size(data, files)
    table = data.to_table(list(names))
    for number, name in enumerate(names):
        column = decoded(table[name], MAX_ID_BYTES, f"a value of '{name}'")
        table = table.set_column(number, name, column)
    return table


def _check_names(names: Sequence[str], path: AnyPath) -> None:
    """Raise PredictionsError unless `user_id` is there and every column has a name of its own."""
    if "user_id" not in names:
        raise PredictionsError(
            f"{path} has no column 'user_id'; it has {_some(names)}. Rename the column of ids."
        )
    if (name := first_repeated(names)) is not None:
        raise PredictionsError(f"{path}: column '{printable(name, 60)}' occurs twice; rename one.")


def _ids(ids: pa.ChunkedArray, path: AnyPath) -> pa.ChunkedArray:
    """Return the ids, as text or whole numbers."""
    if not is_text(ids.type) and not pa.types.is_integer(ids.type) and len(ids):
        raise PredictionsError(
            f"{path}: the column 'user_id' is {printable(str(ids.type), 60)}, which rounds ids or "
            "cannot hold them; write them as text or whole numbers."
        )
    try:
        check_ids(ids.combine_chunks(), 0, str(path))
    except ManifestError as error:
        raise PredictionsError(str(error)) from None
    return ids.cast(pa.large_string()) if is_text(ids.type) else ids


def _frames(table: pa.Table) -> tuple[dict[str, pa.ChunkedArray], list[str]]:
    """Return the column `frames_used` if it can be used, and a sentence if it cannot."""
    if FRAMES not in table.column_names:
        return {}, []
    try:
        frames = table[FRAMES].cast(pa.int64())
        if not frames.null_count and (pc.min(frames).as_py() or 0) >= 0:
            return {FRAMES: frames}, []
    except pa.ArrowException:
        pass
    return {}, [f"`{FRAMES}` is left out: it does not hold a whole number for every user."]


def _no_trait(names: Sequence[str], labels: Collection[str] | None, path: AnyPath) -> str:
    wanted = (
        "that could hold classes" if labels is None else f"named after a label ({_some(labels)})"
    )
    return (
        f"{path} has no column {wanted}; it has {_some(names)}. Name the columns of classes after "
        "their labels."
    )


def _remarks_on_kept(kept: Sequence[str], found: Sequence[TraitColumns]) -> list[str]:
    if not kept:
        return []
    sure = ", ".join(each.name for each in found)
    return [
        f"{', '.join(kept)}: not evaluated; there are confidences of {sure} only, so this is taken "
        "for a column of the manifest that was kept."
    ]


def _some(names: Collection[str]) -> str:
    """Return the first of some names."""
    shown = [printable(name, 60) for name in list(names)[:_NAMES_SHOWN]]
    return ", ".join([*shown, *(["..."] if len(names) > _NAMES_SHOWN else [])]) or "none"


@contextmanager
def _reading(path: AnyPath) -> Iterator[None]:
    """Turn what reading a file of unknown content raises into one sentence."""
    try:
        yield
    except PredictionsError:
        raise
    except (SchemaError, TableError) as error:
        raise PredictionsError(f"{path}: {str(error).rstrip('.')}.") from None
    except UNREADABLE as error:
        why = getattr(error, "strerror", None) or first_line(error)
        raise PredictionsError(
            f"{path} cannot be read as a table of predictions ({printable(why)}); write `user_id` "
            "and a column of classes per trait as Parquet or CSV."
        ) from None
