"""Find out which columns of a foreign table of predictions belong to which trait.

==========================  =============================================================
`<trait>`                   the class
`<trait>_confidence`        optional: the probability of that class
`<trait>_probabilities`     optional: a struct with the probability of each class
`<trait>_p_<class>`         the same as one column per class, as `predict` writes CSV
==========================  =============================================================
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from tweetprofile.data.labels.columns import kind_of_column
from tweetprofile.data.manifests.profile_fields import PROFILE_COLUMNS
from tweetprofile.predicting.flat_csv import flat_prefix
from tweetprofile.traits import RESERVED_COLUMNS
from tweetprofile.workers.evidence import EVIDENCE_BASE, EVIDENCE_COLUMNS
from tweetprofile.workers.profiles import confidence_column, probabilities_column

_NO_TRAITS = RESERVED_COLUMNS | {*PROFILE_COLUMNS, *EVIDENCE_COLUMNS}
"""Columns of manifests and profiles that are no traits, whatever they hold."""


@dataclass(frozen=True, slots=True)
class TraitColumns:
    """The columns of one trait.

    Attributes:
        name: The name of the trait, and of the column of its classes.
        confidence: The column of confidences; None if there is none.
        probabilities: The column of structs of probabilities; None if there is none.
        flat: The columns that hold the probability of one class each.
    """

    name: str
    confidence: str | None = None
    probabilities: str | None = None
    flat: tuple[str, ...] = ()

    @property
    def all(self) -> list[str]:
        """The names of all columns of the trait."""
        named = [self.confidence, self.probabilities]
        return [self.name, *(each for each in named if each is not None), *self.flat]

    @property
    def has_confidence(self) -> bool:
        """Whether a column says how sure the prediction is."""
        return len(self.all) > 1


def find_traits(
    columns: pa.Schema, labels: Collection[str] | None
) -> tuple[list[TraitColumns], list[str]]:
    """Return the traits of a table, and columns that are called like a label and are none.

    If some traits have confidences, a column without any is not a prediction: it is a column of the
    manifest that `predict` has kept.

    Args:
        columns: The columns of the table and their types.
        labels: The labels of the manifest; None for any column that could be a trait.
    """
    names = columns.names
    found = [
        _columns_of(name, columns)
        for name in names
        if (name in labels if labels is not None else _may_be_a_trait(name, columns))
    ]
    if not any(each.has_confidence for each in found):
        return found, []
    kept = [each.name for each in found if not each.has_confidence]
    return [each for each in found if each.has_confidence], kept


def _columns_of(trait: str, columns: pa.Schema) -> TraitColumns:
    names = columns.names
    confidence, probabilities = confidence_column(trait), probabilities_column(trait)
    is_struct = probabilities in names and pa.types.is_struct(columns.field(probabilities).type)
    prefix = flat_prefix(trait)
    flat = () if is_struct else tuple(name for name in names if name.startswith(prefix))
    return TraitColumns(
        trait,
        confidence if confidence in names else None,
        probabilities if is_struct else None,
        flat,
    )


def _may_be_a_trait(name: str, columns: pa.Schema) -> bool:
    """Return whether a column can hold classes, by its type, its name and those of the others."""
    if name in _NO_TRAITS or not name.isidentifier() or name.startswith(EVIDENCE_BASE):
        return False
    if _belongs_to_another(name, columns):
        return False
    return kind_of_column(columns.field(name).type) is not None


def _belongs_to_another(name: str, columns: pa.Schema) -> bool:
    """Return whether a column has the name of the confidences or probabilities of a trait."""
    suffixes = (confidence_column(""), probabilities_column(""))
    owners = {name.removesuffix(suffix) for suffix in suffixes if name.endswith(suffix)}
    infix = flat_prefix("")
    owners |= {name[: each.start()] for each in re.finditer(re.escape(infix), name)}
    return any(columns.get_field_index(owner) >= 0 for owner in owners)
