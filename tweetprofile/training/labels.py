"""Labels of a manifest: which traits it has, which classes, and who is what.

A label column is named as its trait and holds class names; null means unknown.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from tweetprofile.errors import ManifestError
from tweetprofile.forms import Form, is_text
from tweetprofile.manifest import Manifest
from tweetprofile.traits import (
    MOST_TRAITS,
    RESERVED_COLUMNS,
    Trait,
    TraitSchema,
    load_schema,
    why_no_class,
)

FROM_LABELS = "labels"
"""Name of the schema that stands for the classes found in the manifest."""

UNKNOWN = -1
"""Class number of a label that is null; the loss ignores it."""

MOST_CLASSES = 64
"""A text column of more different values is taken for prose or names, not for a trait."""

_MOST_SHOWN = 100
"""Characters of a value in messages."""

_LEAST_USERS_A_CLASS = 2
"""On average; a column with fewer rows a value is taken for names."""


@dataclass(frozen=True, slots=True)
class FoundSchema:
    """The traits to learn, and what was left out and why.

    Attributes:
        schema: traits with labels.
        left_out: column or trait name to the reason, for people.
    """

    schema: TraitSchema
    left_out: Mapping[str, str]


def find_schema(manifest: Manifest, name: str) -> FoundSchema:
    """The traits to learn from a manifest.

    Args:
        manifest: with label columns.
        name: `labels` for the classes found, a preset's name, or a TOML file.

    Raises:
        ManifestError: no trait has labels, or a label column is not text.
        SchemaError: the name stands for no schema.
    """
    if name == FROM_LABELS:
        return _schema_from_labels(manifest)
    return _only_labelled(load_schema(name), manifest)


def check_labels(manifest: Manifest, schema: TraitSchema) -> None:
    """Raise ManifestError, naming row, column and value, for a class the schema lacks."""
    for trait in schema:
        if trait.name not in manifest.schema.names:
            continue
        _require_text(manifest, trait.name)
        rows = _scan(manifest, [trait.name]).with_row_index("row")
        known = pl.col(trait.name).is_in(list(trait.classes))
        with _reading(manifest):
            unknown = rows.filter(~known).head(1).collect()
        for row, value in unknown.iter_rows():
            raise ManifestError(
                f"{manifest.source}: row {row}, column '{trait.name}': '{value[:_MOST_SHOWN]}' is "
                f"no class of the schema ({_some(trait.classes)}); correct it, or train with "
                "another --schema."
            )


def read_labels(manifest: Manifest, schema: TraitSchema) -> NDArray[np.int64]:
    """Class numbers of every user of a manifest, in order; images are not read."""
    columns = [name for name in schema.names if name in manifest.schema.names]
    with _reading(manifest):
        table = _scan_users(manifest, columns).collect().to_arrow()
    return encode_labels(table, schema)


def read_user_ids(manifest: Manifest) -> pl.Series:
    """The id of every user of a manifest as text, in order; images are not read."""
    with _reading(manifest):
        return _scan_users(manifest, []).collect()["user_id"]


def encode_labels(table: pa.Table, schema: TraitSchema) -> NDArray[np.int64]:
    """Class numbers of every user: (N, traits), `UNKNOWN` where there is no label."""
    encoded = np.full((len(table), len(schema.traits)), UNKNOWN, dtype=np.int64)
    for column, trait in enumerate(schema):
        if trait.name in table.column_names:
            numbers = {name: number for number, name in enumerate(trait.classes)}
            values = table[trait.name].to_pylist()
            encoded[:, column] = [numbers.get(value, UNKNOWN) for value in values]
    return encoded


def _schema_from_labels(manifest: Manifest) -> FoundSchema:
    columns = list(text_columns(manifest))
    if not columns:
        raise ManifestError(
            f"{manifest.source} has no label column to learn from; add a text column named as a "
            "trait, such as 'gender'."
        )
    if len(columns) > MOST_TRAITS:
        raise ManifestError(
            f"{manifest.source} has {len(columns):,} columns of text, and a schema can have "
            f"{MOST_TRAITS:,} traits; name those to learn with --schema."
        )
    traits, left_out = [], {}
    for name, classes, labelled in _count_classes(manifest, columns):
        reason = why_no_trait(len(classes), classes[:1], labelled)
        broken = next(filter(None, map(why_no_class, classes)), None)
        if reason := reason or (f"has a class that {broken}" if broken else None):
            left_out[name] = reason
        else:
            traits.append(Trait(name, tuple(classes)))
    if not traits:
        reasons = "; ".join(f"'{name}' {reason}" for name, reason in left_out.items())
        raise ManifestError(f"{manifest.source} has no label column to learn from: {reasons}.")
    return FoundSchema(TraitSchema(tuple(traits)), left_out)


def why_no_trait(classes: int, first: list[str], labelled: int) -> str | None:
    """Why a column is no trait to learn, for people; None where it is one.

    Args:
        classes: different values in it.
        first: the first of them, if there is one.
        labelled: users who have one.
    """
    if classes == 0:
        return "has no labels"
    if classes == 1:
        return f"is always '{first[0][:_MOST_SHOWN]}'"
    if classes > MOST_CLASSES or labelled < _LEAST_USERS_A_CLASS * classes:
        return f"has too many different values ({classes} in {labelled} labels)"
    return None


def _only_labelled(schema: TraitSchema, manifest: Manifest) -> FoundSchema:
    present = [trait for trait in schema if trait.name in manifest.schema.names]
    for trait in present:
        _require_text(manifest, trait.name)
    if not present:
        raise ManifestError(
            f"{manifest.source} has no label column of the schema ({', '.join(schema.names)}); "
            "add one, or choose another --schema."
        )
    missing = [name for name in schema.names if name not in manifest.schema.names]
    return FoundSchema(TraitSchema(tuple(present)), dict.fromkeys(missing, "has no label column"))


def _count_classes(manifest: Manifest, columns: list[str]) -> Iterator[tuple[str, list[str], int]]:
    """Name, sorted classes and number of labels of each column."""
    for name in columns:
        counted = _scan(manifest, [name]).drop_nulls().group_by(name).len()
        with _reading(manifest):
            counts = counted.collect(engine="streaming")
        yield name, sorted(counts[name].to_list()), int(counts["len"].sum())


def text_columns(manifest: Manifest) -> Iterator[str]:
    """The columns that may be labels: text, and named as a trait may be."""
    for field in manifest.schema:
        if field.name not in RESERVED_COLUMNS and field.name.isidentifier() and is_text(field.type):
            yield field.name


def _some(names: Sequence[str], most: int = 20) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _require_text(manifest: Manifest, name: str) -> None:
    kind = manifest.schema.field(name).type
    if not (is_text(kind) or pa.types.is_null(kind)):
        raise ManifestError(
            f"{manifest.source}: label column '{name}' is {kind}; it must hold class names as text."
        )


@contextmanager
def _reading(manifest: Manifest) -> Iterator[None]:
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        said = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise ManifestError(f"{manifest.source} cannot be read: {said}.") from error


def _scan_users(manifest: Manifest, columns: list[str]) -> pl.LazyFrame:
    """A row a user, with their id."""
    frame = _scan(manifest, ["user_id", *columns])
    if manifest.form is Form.LONG:  # a user's labels stand in their first row
        return frame.filter(pl.col("user_id").ne_missing(pl.col("user_id").shift()))
    return frame


def _scan(manifest: Manifest, columns: list[str]) -> pl.LazyFrame:
    local = [str(file) for file in manifest.files if isinstance(file, Path)]
    if len(local) == len(manifest.files):
        # Polars compares no page with its checksum, and a file with nothing, so it comes second.
        for _ in manifest.columns(columns):
            pass
        frame = pl.scan_parquet(local, glob=False)
    else:  # polars reaches stores in a way of its own, with other settings
        frame = pl.LazyFrame(pa.concat_tables(manifest.columns(columns)))
    return frame.select(pl.col(columns).cast(pl.String))
