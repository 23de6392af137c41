"""Read the classes of a trait from a foreign table, as labels are read."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tweetprofile.data.labels.values import MOST_VALUES, class_of, nearest
from tweetprofile.data.manifests.types import is_text
from tweetprofile.evaluation.table_files import TableError
from tweetprofile.traits import MOST_CLASSES_PER_TRAIT
from tweetprofile.untrusted.text import printable

_WHOLE = re.compile(r"[+-]?[0-9]+")
_POINT_ZERO = re.compile(r"([+-]?[0-9]+)\.0")
_TRUTHS = frozenset({"true", "false"})

_NAMES_SHOWN = 8
_MOST_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassColumn:
    """The predicted classes of one trait.

    Attributes:
        trait: The name of the trait.
        named: The class of each row, as text; null where there is none.
        counts: The number of rows by class, in the order of the classes' names.
        labels: The classes of the labels; None if they are not known.
    """

    trait: str
    named: pa.ChunkedArray
    counts: dict[str, int]
    labels: Sequence[str] | None

    @classmethod
    def read(
        cls, column: pa.ChunkedArray, trait: str, labels: Sequence[str] | None
    ) -> "ClassColumn":
        """Read a column of text, whole numbers or truth values.

        Raises:
            TableError: The column holds something else, or too many different values.
        """
        encoded = _as_text(column, trait).combine_chunks().dictionary_encode()
        words = encoded.dictionary.to_pylist()
        if len(words) > MOST_VALUES:
            raise TableError(
                f"column '{trait}' has more than {MOST_VALUES:,} different values, too many to be "
                "classes; correct it, or leave it out"
            )
        respell = _respelling(words, labels or ())
        names = [class_of(respell(word)) for word in words]
        named = pa.array([*names, None], pa.large_string())
        rows = named.take(pc.fill_null(encoded.indices, len(words)))
        counted = pc.value_counts(rows.drop_null())
        counts = zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
        return cls(
            trait=trait, named=pa.chunked_array([rows]), counts=dict(sorted(counts)), labels=labels
        )

    def union(self, given: Sequence[str] | None) -> list[str]:
        """Return all classes: of the probabilities, of the labels and of the predictions."""
        return list(dict.fromkeys([*(given or ()), *(self.labels or ()), *self.counts]))

    def why_not_a_trait(self, names: Sequence[str]) -> str | None:
        """Return why the trait cannot be evaluated with these classes; None if it can."""
        if len(names) > MOST_CLASSES_PER_TRAIT:
            return f"has more than {MOST_CLASSES_PER_TRAIT:,} classes"
        if len(names) < 2:
            only = f"'{printable(names[0], _MOST_SHOWN)}'" if names else "missing"
            return f"is always {only}, in the labels and in the predictions"
        return None

    def remarks(self, given: Collection[str] | None) -> list[str]:
        """Return a sentence about the classes that only labels or only predictions have.

        Args:
            given: The classes that have probabilities, whether they are predicted or not.
        """
        if self.labels is None:
            return []
        foreign = [name for name in self.counts if name not in self.labels]
        unseen = [name for name in self.labels if name not in {*self.counts, *(given or ())}]
        said = []
        if foreign:
            said.append(f"only in the predictions: {_some(map(self._described, foreign))}")
        if unseen:
            said.append(f"only in the labels: {_some(map(_quoted, unseen))}")
        return [f"{self.trait}, {'; '.join(said)}."] if said else []

    def _described(self, name: str) -> str:
        meant = nearest(name, tuple(self.labels or ()))
        rows = f"{self.counts[name]:,} row{'s' * (self.counts[name] != 1)}"
        like = f", not the same class as {_quoted(meant)}" if meant is not None else ""
        return f"{_quoted(name)} ({rows}{like})"


def _as_text(column: pa.ChunkedArray, trait: str) -> pa.ChunkedArray:
    """Return a column as text; pandas turns whole numbers with missing values into floats."""
    kind = column.type
    if pa.types.is_floating(kind):
        whole = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
        try:
            return whole.cast(pa.int64()).cast(pa.large_string())
        except pa.ArrowInvalid:
            raise TableError(
                f"column '{trait}' holds floating-point numbers; write classes as text"
            ) from None
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
            or pa.types.is_null(kind)):  # fmt: skip
        raise TableError(
            f"column '{trait}' is {printable(str(kind), _MOST_SHOWN)}; write classes as text"
        )
    return column.cast(pa.large_string())


def _respelling(words: Sequence[str], labels: Sequence[str]) -> Callable[[str], str]:
    """Return how to spell words as the labels are: pandas writes `True` and, in CSV, `1.0`."""
    named = [name for word in words if (name := class_of(word)) is not None]
    if labels and _TRUTHS.issuperset(labels) and _TRUTHS.issuperset(map(str.lower, named)):
        return lambda word: word.strip().lower()
    whole = labels and all(map(_WHOLE.fullmatch, labels))
    if whole and named and all(map(_POINT_ZERO.fullmatch, named)):
        return lambda word: _POINT_ZERO.sub(r"\1", word)
    return lambda word: word


def _quoted(name: str) -> str:
    return f"'{printable(name, _MOST_SHOWN)}'"


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _NAMES_SHOWN:,} more" if len(every) > _NAMES_SHOWN else ""
    return ", ".join(every[:_NAMES_SHOWN]) + more
