"""Label columns of a manifest, each read in one pass into one code per user.

A label column holds text, whole numbers or truth values. In the long form, the labels of a user may
be in any of the user's rows, and must not contradict each other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.labels.values import MOST_VALUES, ValueKind, class_of
from tweetprofile.data.manifests.forms import Form, run_starts
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.profile_fields import PROFILE_COLUMNS
from tweetprofile.data.manifests.schemas import IMAGE_COLUMNS
from tweetprofile.data.manifests.texts import TEXT_COLUMNS
from tweetprofile.data.manifests.types import is_text
from tweetprofile.errors import ManifestError
from tweetprofile.traits import RESERVED_COLUMNS, SPLIT_COLUMN
from tweetprofile.untrusted.text import printable

MISSING = -1
"""The code of a value that is null or names no class."""

_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("floating-point numbers", ("is_floating", "is_decimal")),
    ("a date or time", ("is_temporal",)),
    ("bytes", ("is_binary", "is_large_binary", "is_binary_view", "is_fixed_size_binary")),
    ("a list", ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view")),
    ("nested values", ("is_nested",)),
)
"""Types that cannot be labels, in words, each with the Arrow functions that detect it."""

_CONTENT = ("user_id", *IMAGE_COLUMNS, *TEXT_COLUMNS)


def kind_of_column(kind: pa.DataType) -> ValueKind | None:
    """Return the kind of labels in a column of this type; None if it cannot hold labels."""
    if pa.types.is_dictionary(kind):
        return kind_of_column(kind.value_type)
    if is_text(kind):
        return ValueKind.TEXT
    if pa.types.is_integer(kind):
        return ValueKind.INTEGER
    return ValueKind.BOOLEAN if pa.types.is_boolean(kind) else None


def label_columns(manifest: Manifest) -> dict[str, ValueKind]:
    """Return the columns that may hold labels, by their types and names."""
    return {
        field.name: kind
        for field in manifest.schema
        if _why_not_named(field.name) is None and (kind := kind_of_column(field.type)) is not None
    }


def other_columns(manifest: Manifest) -> dict[str, str]:
    """Return the other columns, except ids and content, each with why it cannot hold labels."""
    found = label_columns(manifest)
    return {
        field.name: _why_not_named(field.name) or why_no_labels(field.type)
        for field in manifest.schema
        if field.name not in found and field.name not in _CONTENT
    }


def why_no_labels(kind: pa.DataType) -> str:
    """Return why a column of this type cannot hold labels, to follow its name in a message."""
    if pa.types.is_dictionary(kind):
        return why_no_labels(kind.value_type)
    if pa.types.is_null(kind):
        return "has no labels: it is null throughout"
    for words, names in _KINDS:
        if any(getattr(pa.types, name, _never)(kind) for name in names):
            return f"holds {words} ({shortened(kind)}); write classes as text or whole numbers"
    return f"is {shortened(kind)}; write classes as text or whole numbers"


def shortened(kind: pa.DataType) -> str:
    """Return a type as text, shortened, since a struct names all of its fields."""
    return printable(str(kind), 60)


def _never(_: pa.DataType) -> bool:
    return False


def _why_not_named(name: str) -> str | None:
    if name == SPLIT_COLUMN:
        return "names the parts of a data set"
    if name in TEXT_COLUMNS:
        return "holds texts of users"
    if name in PROFILE_COLUMNS:
        return "is a text of users' own profiles"
    if name in RESERVED_COLUMNS:
        return "has the name of a column of the manifest or of the predictions; rename it"
    if not name.isidentifier():
        return "has a name that is not a word of letters, digits and underscores; rename it"
    return None


@dataclass(slots=True)
class Values:
    """The values of a column, as one code per user.

    Attributes:
        name: The column's name.
        kind: The kind of its values.
        words: The different values as they are written, by code, in order of first occurrence.
        codes: One code per user, `MISSING` if the user has no value.
        too_many_values: Whether there are more than `MOST_VALUES` different values; `codes` then
            ends with the rows that were read.
    """

    name: str
    kind: ValueKind
    words: list[str] = field(default_factory=list)
    codes: NDArray[np.int16] = field(default_factory=lambda: np.empty(0, np.int16))
    too_many_values: bool = False

    def counts(self) -> Mapping[str, int]:
        """Return the number of users per value."""
        known = self.codes[self.codes != MISSING]
        numbers = np.bincount(known, minlength=len(self.words))
        return dict(zip(self.words, numbers.tolist(), strict=True))


def read_values(manifest: Manifest, name: str) -> Values:
    """Read the values of a column.

    Raises:
        ManifestError: The column cannot be read, or contradicts itself about a user (long form).
    """
    kind = kind_of_column(manifest.schema.field(name).type)
    values = Values(name, kind or ValueKind.TEXT)
    long = manifest.form is Form.LONG
    numbers: dict[str, int] = {}
    codes: list[NDArray[np.int16]] = []
    starts = _Starts()
    for table in manifest.columns(["user_id", name] if long else [name]):
        codes.append(_encode(table[name], numbers))
        if len(numbers) > MOST_VALUES:
            values.too_many_values = True
            break
        if long:
            starts.add(table["user_id"].combine_chunks())
    values.words = list(numbers)
    values.codes = np.concatenate(codes) if codes else values.codes
    if long and not values.too_many_values:
        values.codes = _one_per_user(manifest, values, starts)
    return values


def _encode(column: pa.ChunkedArray, numbers: dict[str, int]) -> NDArray[np.int16]:
    """Return the codes of a column's values, and add new values to `numbers`.

    If there are too many values, the first rows are enough to show it.
    """
    array = column.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_null(array.type):
        return np.full(len(array), MISSING, np.int16)
    encoded = array.dictionary_encode()
    if len(encoded.dictionary) > 2 * MOST_VALUES:
        encoded = array[: 2 * MOST_VALUES].dictionary_encode()
    written = encoded.dictionary.cast(pa.large_string()).to_pylist()
    code_of = np.array(
        [*(numbers.setdefault(word, len(numbers)) for word in written), MISSING], np.int16
    )
    indices = pc.fill_null(encoded.indices, len(written)).to_numpy(zero_copy_only=False)
    codes: NDArray[np.int16] = code_of[indices]
    return codes


class _Starts:
    """Collects the rows at which users begin, from a stream of ids."""

    def __init__(self) -> None:
        self._rows = 0
        self._last: pa.Array | None = None
        self._starts: list[NDArray[np.int64]] = []

    def add(self, ids: pa.Array) -> None:
        if not len(ids):
            return
        joined = ids if self._last is None else pa.concat_arrays([self._last, ids])
        starts = run_starts(joined).to_numpy()
        if self._last is not None:
            starts = starts[1:] - 1  # the id before is not the beginning of a run
        self._starts.append(starts + self._rows)
        self._rows += len(ids)
        self._last = ids[-1:]

    def all(self) -> NDArray[np.int64]:
        return np.concatenate(self._starts) if self._starts else np.empty(0, np.int64)


def _one_per_user(manifest: Manifest, values: Values, starts: _Starts) -> NDArray[np.int16]:
    """Return one code per user from the codes of rows, some of which may be missing.

    Raises:
        ManifestError: Two rows of a user name different classes.
    """
    begins = starts.all()
    if not len(begins):
        return values.codes
    # One code for all spellings of a class, so that only classes can contradict each other.
    first: dict[str, int] = {}
    named = [
        MISSING if (name := class_of(word)) is None else first.setdefault(name, code)
        for code, word in enumerate(values.words)
    ]
    same = np.array([*named, MISSING], np.int16)[values.codes]
    highest = np.maximum.reduceat(same, begins)
    lowest = np.minimum.reduceat(np.where(same == MISSING, np.int16(MOST_VALUES), same), begins)
    twice = np.flatnonzero((highest != MISSING) & (lowest != highest))
    if len(twice):
        begin = int(begins[twice[0]])
        words = (values.words[lowest[twice[0]]], values.words[highest[twice[0]]])
        raise contradiction(manifest, values.name, _id_in_row(manifest, begin), words)
    # If no row names a class, a word that means a missing value is kept, so that it is counted.
    return np.where(highest == MISSING, np.maximum.reduceat(values.codes, begins), highest)


def contradiction(
    manifest: Manifest, name: str, user_id: str, words: Sequence[str]
) -> ManifestError:
    """Return the error to raise when a user has two different labels."""
    one, other = (printable(class_of(word) or word, 100) for word in words)
    return ManifestError(
        f"{manifest.source}: user '{printable(user_id)}' has the labels '{one}' and '{other}' for "
        f"{name}; keep the right one."
    )


def _id_in_row(manifest: Manifest, row: int) -> str:
    for ids in _ids(manifest):
        if row < len(ids):
            return str(ids[row].as_py())
        row -= len(ids)
    raise ManifestError(
        f"{manifest.source} was changed while it was being read; run the command again."
    )


def _ids(manifest: Manifest) -> Iterator[pa.ChunkedArray]:
    for table in manifest.columns(["user_id"]):
        yield table["user_id"]
