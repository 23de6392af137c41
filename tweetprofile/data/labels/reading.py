"""The labels of a manifest: its traits, their classes, and the class of each user.

A label column has the name of its trait and holds class names; null means unknown. `values.py` says
how a value is read.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.labels.columns import (
    MISSING,
    Values,
    contradiction,
    kind_of_column,
    label_columns,
    other_columns,
    read_values,
    shortened,
)
from tweetprofile.data.labels.values import (
    LabelColumn,
    ValueKind,
    class_of,
    nearest,
    unknown_note,
)
from tweetprofile.data.manifests.forms import Form, run_starts
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import ManifestError
from tweetprofile.plurals import count_of
from tweetprofile.traits import MOST_TRAITS, Trait, TraitSchema, load_schema
from tweetprofile.untrusted.text import printable

FROM_LABELS = "labels"
"""The name of the schema that consists of the classes found in the manifest."""

UNKNOWN = MISSING
"""The class number of a label that is null; the loss ignores it."""

_MOST_SHOWN = 100
"""The largest number of characters of a value in messages."""


@dataclass(frozen=True, slots=True)
class FoundSchema:
    """The traits to learn, and the columns that were left out.

    Attributes:
        schema: The traits that have labels.
        left_out: The reason why each column or trait of that name was left out, for messages.
        notes: Sentences about how values were read.
        warnings: Sentences about classes that look like mistakes.
    """

    schema: TraitSchema
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find_schema(manifest: Manifest, name: str) -> FoundSchema:
    """Return the traits to learn from a manifest.

    Args:
        manifest: A manifest with label columns.
        name: `labels` for the classes that are found, the name of a preset, or a TOML file.

    Raises:
        ManifestError: No trait has labels, a label column is of a type that cannot hold labels, or
            a user has two different labels for a trait.
        SchemaError: The name is neither a preset nor a file with a schema.
    """
    if name == FROM_LABELS:
        return _schema_from_labels(manifest)
    return _only_labelled(load_schema(name), manifest)


def check_labels(manifest: Manifest, schema: TraitSchema) -> tuple[str, ...]:
    """Check that the labels of a manifest are classes of a schema.

    Returns:
        Sentences about the labels that mean missing values.

    Raises:
        ManifestError: A label is not a class (the message names its row), or a user has two
            different labels for a trait.
    """
    notes = []
    columns = []
    for trait in schema:
        if trait.name not in manifest.schema.names:
            continue
        _require_labels(manifest, trait.name)
        with reading_labels(manifest):
            values = read_values(manifest, trait.name)
        _require_classes(manifest, values, trait)
        columns.append(values)
        notes.append(unknown_note(trait.name, values.counts(), dict.fromkeys(trait.classes, 0)))
    if columns:
        _refuse_contradictions(manifest, columns)
    return tuple(filter(None, notes))


def read_labels(manifest: Manifest, schema: TraitSchema) -> NDArray[np.int64]:
    """Return the class numbers of all users in order, (N, traits), without reading images."""
    encoded: list[NDArray[np.int64] | None] = []
    with reading_labels(manifest):
        for trait in schema:
            if trait.name in manifest.schema.names:
                values = read_values(manifest, trait.name)
                encoded.append(_numbers(values.words, trait)[values.codes])
            else:
                encoded.append(None)
        users = next((len(each) for each in encoded if each is not None), None)
        users = len(read_user_ids(manifest)) if users is None else users
    unlabelled = np.full(users, UNKNOWN, np.int64)
    return np.stack([unlabelled if each is None else each for each in encoded], axis=1)


def read_user_ids(manifest: Manifest) -> pl.Series:
    """Return the ids of all users as text, in order, without reading images."""
    parts = []
    with reading_labels(manifest):
        last = None
        for table in manifest.columns(["user_id"]):
            ids = table["user_id"].combine_chunks()
            if manifest.form is Form.LONG and len(ids):
                heads = ids.take(run_starts(ids))
                continues = last is not None and ids[0] == last
                last, ids = ids[-1], heads[1:] if continues else heads
            parts.append(ids.cast(pa.large_string()))
    return pl.Series("user_id", pa.chunked_array(parts, pa.large_string()))


def encode_labels(table: pa.Table, schema: TraitSchema) -> NDArray[np.int64]:
    """Return the class numbers of all users, (N, traits), with `UNKNOWN` for missing labels."""
    encoded = np.full((len(table), len(schema.traits)), UNKNOWN, dtype=np.int64)
    for column, trait in enumerate(schema):
        if trait.name in table.column_names:
            array = table[trait.name].combine_chunks()
            array = array.cast(pa.large_string()).dictionary_encode()
            numbers = _numbers(array.dictionary.to_pylist(), trait)
            codes = pc.fill_null(array.indices, MISSING).to_numpy(zero_copy_only=False)
            encoded[:, column] = numbers[codes]
    return encoded


def _numbers(words: Sequence[str], trait: Trait) -> NDArray[np.int64]:
    """Return the class number for each code of a value; the last, for `MISSING`, is `UNKNOWN`.

    A class of the schema counts as a class even if its name otherwise means a missing value.
    """
    numbers = {name: number for number, name in enumerate(trait.classes)}
    found = [numbers.get(word, numbers.get(class_of(word) or "", UNKNOWN)) for word in words]
    return np.array([*found, UNKNOWN], np.int64)


def _schema_from_labels(manifest: Manifest) -> FoundSchema:
    columns, left_out = label_columns(manifest), other_columns(manifest)
    if not columns:
        reasons = _in_one_sentence(left_out)
        raise ManifestError(
            f"{manifest.source} has no label column to learn from{reasons}; add a column "
            "of classes named like a trait, such as 'gender', or import the dump again with a "
            "table of labels."
        )
    if len(columns) > MOST_TRAITS:
        raise ManifestError(
            f"{manifest.source} has {len(columns):,} columns of labels, and a schema can have "
            f"{MOST_TRAITS:,} traits; choose those to learn with `schema`."
        )
    found = [_examine(manifest, name, kind) for name, kind in columns.items()]
    left_out |= {
        each.name: each.why_not_a_trait for each in found if each.why_not_a_trait is not None
    }
    traits = [each for each in found if each.why_not_a_trait is None]
    if not traits:
        reasons = _in_one_sentence(left_out)
        raise ManifestError(f"{manifest.source} has no label column to learn from{reasons}.")
    return FoundSchema(
        TraitSchema(tuple(Trait(each.name, tuple(each.classes)) for each in traits)),
        left_out,
        tuple(note for each in traits for note in each.notes),
        tuple(warning for each in traits for warning in each.warnings),
    )


def _examine(manifest: Manifest, name: str, kind: ValueKind) -> LabelColumn:
    with reading_labels(manifest):
        values = read_values(manifest, name)
    return LabelColumn.of(name, values.counts(), kind, too_many_values=values.too_many_values)


def _only_labelled(schema: TraitSchema, manifest: Manifest) -> FoundSchema:
    present = [trait for trait in schema if trait.name in manifest.schema.names]
    for trait in present:
        _require_labels(manifest, trait.name)
    if not present:
        raise ManifestError(
            f"{manifest.source} has no label column of the schema ({', '.join(schema.names)}); "
            "add one, or choose another `schema`."
        )
    learnt = TraitSchema(tuple(present))
    missing = [name for name in schema.names if name not in manifest.schema.names]
    left_out = dict.fromkeys(missing, "has no label column")
    others = [*label_columns(manifest), *other_columns(manifest)]
    left_out |= {
        name: "is not a trait of the schema" for name in others if name not in schema.names
    }
    return FoundSchema(learnt, left_out, check_labels(manifest, learnt))


def _require_labels(manifest: Manifest, name: str) -> None:
    kind = manifest.schema.field(name).type
    if kind_of_column(kind) is None and not pa.types.is_null(kind):
        raise ManifestError(
            f"{manifest.source}: label column '{name}' is {shortened(kind)}; it must hold class "
            "names as text or whole numbers."
        )


def _require_classes(manifest: Manifest, values: Values, trait: Trait) -> None:
    """Raise ManifestError, naming row, column and value, if a label is not a class of a trait."""
    known = _numbers(values.words, trait)
    for code, word in enumerate(values.words):
        if known[code] != UNKNOWN or class_of(word) is None:
            continue
        meant = nearest(word, trait.classes)
        hint = f", but resembles '{printable(meant, _MOST_SHOWN)}'" if meant is not None else ""
        raise ManifestError(
            f"{manifest.source}: {_locate(manifest, values, code)}, column "
            f"'{trait.name}': '{printable(word, _MOST_SHOWN)}' is not a class of the schema "
            f"({_some(trait.classes)}){hint}; correct it, or train with another `schema`."
        )
    if values.too_many_values:
        raise ManifestError(
            f"{manifest.source}: column '{trait.name}' has more than {len(values.words):,} "
            "different values, too many to be classes; correct it."
        )


def _locate(manifest: Manifest, values: Values, code: int) -> str:
    """Return the first row that has a value, or in the long form the user."""
    position = int((values.codes == code).argmax())
    if manifest.form is not Form.LONG or values.too_many_values:
        return f"row {position}"
    return f"user '{printable(read_user_ids(manifest)[position])}'"


def _refuse_contradictions(manifest: Manifest, columns: Sequence[Values]) -> None:
    """Raise ManifestError if two rows of one user, adjacent or not, name different classes."""
    ids = read_user_ids(manifest)
    repeated = ids.is_duplicated()
    if not repeated.any():
        return
    rows = np.flatnonzero(repeated.to_numpy())
    for values in columns:
        words: dict[str, str] = {}
        for user_id, code in zip(ids.gather(rows), values.codes[rows].tolist(), strict=True):
            word = None if code == MISSING else class_of(values.words[code])
            if word is not None and words.setdefault(user_id, word) != word:
                raise contradiction(manifest, values.name, user_id, (words[user_id], word))


def _in_one_sentence(left_out: Mapping[str, str]) -> str:
    """Return the reasons for the first columns, to follow "no label column" in a message."""
    shown = [f"'{printable(name, 60)}' {reason}" for name, reason in list(left_out.items())[:8]]
    more = [f"and {count_of(len(left_out) - 8, 'more column')}"] if len(left_out) > 8 else []
    return ": " + "; ".join([*shown, *more]) if shown else ""


def _some(names: Sequence[str], most: int = 20) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


@contextmanager
def reading_labels(manifest: Manifest) -> Iterator[None]:
    """Turn what reading a damaged manifest raises into a ManifestError."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        said = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise ManifestError(f"{manifest.source} cannot be read: {said}.") from error
