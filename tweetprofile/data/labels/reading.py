"""Labels of a manifest: which traits it has, which classes, and who is what.

A label column is named as its trait and holds class names; null means unknown. How a value is read
is said in `label_values.py`.
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
from tweetprofile.traits import MOST_TRAITS, Trait, TraitSchema, load_schema
from tweetprofile.untrusted.text import printable

FROM_LABELS = "labels"
"""Name of the schema that stands for the classes found in the manifest."""

UNKNOWN = MISSING
"""Class number of a label that is null; the loss ignores it."""

_MOST_SHOWN = 100
"""Characters of a value in messages."""


@dataclass(frozen=True, slots=True)
class FoundSchema:
    """The traits to learn, and what was left out and why.

    Attributes:
        schema: traits with labels.
        left_out: column or trait name to the reason, for people.
        notes: sentences on how values were read.
        warnings: sentences on classes that look like mistakes.
    """

    schema: TraitSchema
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def find_schema(manifest: Manifest, name: str) -> FoundSchema:
    """The traits to learn from a manifest.

    Args:
        manifest: with label columns.
        name: `labels` for the classes found, a preset's name, or a TOML file.

    Raises:
        ManifestError: no trait has labels, a label column cannot hold any, or a user is labelled
            in two ways.
        SchemaError: the name stands for no schema.
    """
    if name == FROM_LABELS:
        return _schema_from_labels(manifest)
    return _only_labelled(load_schema(name), manifest)


def check_labels(manifest: Manifest, schema: TraitSchema) -> tuple[str, ...]:
    """Check that the labels of a manifest are classes of a schema.

    Returns:
        Sentences on the labels that stand for missing values.

    Raises:
        ManifestError: a label is no class, with its row, or a user is labelled in two ways.
    """
    notes = []
    columns = []
    for trait in schema:
        if trait.name not in manifest.schema.names:
            continue
        _require_labels(manifest, trait.name)
        with _reading(manifest):
            values = read_values(manifest, trait.name)
        _require_classes(manifest, values, trait)
        columns.append(values)
        notes.append(unknown_note(trait.name, values.counts(), dict.fromkeys(trait.classes, 0)))
    if columns:
        _refuse_contradictions(manifest, columns)
    return tuple(filter(None, notes))


def read_labels(manifest: Manifest, schema: TraitSchema) -> NDArray[np.int64]:
    """Class numbers of every user of a manifest, in order: (N, traits); images are not read."""
    encoded: list[NDArray[np.int64] | None] = []
    with _reading(manifest):
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
    """The id of every user of a manifest as text, in order; images are not read."""
    parts = []
    with _reading(manifest):
        last = None
        for table in manifest.columns(["user_id"]):
            ids = table["user_id"].combine_chunks()
            if manifest.form is Form.LONG and len(ids):
                heads = ids.take(run_starts(ids))
                goes_on = last is not None and ids[0] == last
                last, ids = ids[-1], heads[1:] if goes_on else heads
            parts.append(ids.cast(pa.large_string()))
    return pl.Series("user_id", pa.chunked_array(parts, pa.large_string()))


def encode_labels(table: pa.Table, schema: TraitSchema) -> NDArray[np.int64]:
    """Class numbers of every user: (N, traits), `UNKNOWN` where there is no label."""
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
    """Class numbers by the code of a value, the last one, `MISSING`, being `UNKNOWN`.

    A class that a schema names is one, even where its name otherwise stands for a missing value.
    """
    numbers = {name: number for number, name in enumerate(trait.classes)}
    found = [numbers.get(word, numbers.get(class_of(word) or "", UNKNOWN)) for word in words]
    return np.array([*found, UNKNOWN], np.int64)


def _schema_from_labels(manifest: Manifest) -> FoundSchema:
    columns, left_out = label_columns(manifest), other_columns(manifest)
    if not columns:
        reasons = _in_one_sentence(left_out)
        raise ManifestError(
            f"{manifest.source} has no label column to learn from{reasons}; add a text column "
            "named as a trait, such as 'gender'."
        )
    if len(columns) > MOST_TRAITS:
        raise ManifestError(
            f"{manifest.source} has {len(columns):,} columns of labels, and a schema can have "
            f"{MOST_TRAITS:,} traits; name those to learn with --schema."
        )
    found = [_judged(manifest, name, kind) for name, kind in columns.items()]
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


def _judged(manifest: Manifest, name: str, kind: ValueKind) -> LabelColumn:
    with _reading(manifest):
        values = read_values(manifest, name)
    return LabelColumn.of(name, values.counts(), kind, too_many_values=values.too_many_values)


def _only_labelled(schema: TraitSchema, manifest: Manifest) -> FoundSchema:
    present = [trait for trait in schema if trait.name in manifest.schema.names]
    for trait in present:
        _require_labels(manifest, trait.name)
    if not present:
        raise ManifestError(
            f"{manifest.source} has no label column of the schema ({', '.join(schema.names)}); "
            "add one, or choose another --schema."
        )
    learnt = TraitSchema(tuple(present))
    missing = [name for name in schema.names if name not in manifest.schema.names]
    left_out = dict.fromkeys(missing, "has no label column")
    others = [*label_columns(manifest), *other_columns(manifest)]
    left_out |= {name: "is no trait of the schema" for name in others if name not in schema.names}
    return FoundSchema(learnt, left_out, check_labels(manifest, learnt))


def _require_labels(manifest: Manifest, name: str) -> None:
    kind = manifest.schema.field(name).type
    if kind_of_column(kind) is None and not pa.types.is_null(kind):
        raise ManifestError(
            f"{manifest.source}: label column '{name}' is {shortened(kind)}; it must hold class "
            "names as text or whole numbers."
        )


def _require_classes(manifest: Manifest, values: Values, trait: Trait) -> None:
    """Raise ManifestError, naming row, column and value, for a class that a trait lacks."""
    known = _numbers(values.words, trait)
    for code, word in enumerate(values.words):
        if known[code] != UNKNOWN or class_of(word) is None:
            continue
        meant = nearest(word, trait.classes)
        hint = f", but like '{printable(meant, _MOST_SHOWN)}'" if meant is not None else ""
        raise ManifestError(
            f"{manifest.source}: {_whereabouts(manifest, values, code)}, column "
            f"'{trait.name}': '{printable(word, _MOST_SHOWN)}' is no class of the schema "
            f"({_some(trait.classes)}){hint}; correct it, or train with another --schema."
        )
    if values.too_many_values:
        raise ManifestError(
            f"{manifest.source}: column '{trait.name}' has more than {len(values.words):,} "
            "different values, which are no classes; correct it."
        )


def _whereabouts(manifest: Manifest, values: Values, code: int) -> str:
    """The row in which a value first stands, or in the long form the user who has it."""
    position = int((values.codes == code).argmax())
    if manifest.form is not Form.LONG or values.too_many_values:
        return f"row {position}"
    return f"user '{printable(read_user_ids(manifest)[position])}'"


def _refuse_contradictions(manifest: Manifest, columns: Sequence[Values]) -> None:
    """Raise ManifestError where two rows of one user, wherever they stand, name two classes."""
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
    """What is wrong with columns, to stand behind "no label column": the first of them."""
    shown = [f"'{printable(name, 60)}' {reason}" for name, reason in list(left_out.items())[:8]]
    more = [f"and {len(left_out) - 8:,} more columns"] if len(left_out) > 8 else []
    return ": " + "; ".join([*shown, *more]) if shown else ""


def _some(names: Sequence[str], most: int = 20) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


@contextmanager
def _reading(manifest: Manifest) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        said = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise ManifestError(f"{manifest.source} cannot be read: {said}.") from error
