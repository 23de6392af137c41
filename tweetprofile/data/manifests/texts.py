"""The texts of users: bringing every form of the column into one, within limits.

A text is data of strangers. It may be 10 MB long, hold NULs, or not even be UTF-8, and there may be
any number of them. So texts stay bytes until a limited number of bytes is left, and are decoded
last, in a manner that cannot fail.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.types import is_list, is_text, joined
from tweetprofile.errors import ManifestError, OptionError

TEXT_COLUMNS = ("texts", "text")
"""The columns of texts: the lists of users, and single texts in the long form."""

MAX_TEXTS = 3_200
"""The default for the most texts per user: the longest timeline that Twitter returned."""

MAX_TEXT_BYTES = 100_000
"""The default for the longest text: a post has at most 25,000 characters of at most 4 bytes."""

_MULTIPLE = 4
"""The largest number of bytes of a character in UTF-8."""

LISTS = pa.large_list(pa.large_binary())


@dataclass(frozen=True, slots=True)
class TextLimits:
    """The limits within which the texts of users are read.

    Attributes:
        max_texts: The largest number of texts per user; of more texts, the last ones are kept,
            since texts are listed from the oldest on.
        max_text_bytes: The largest size of a text in bytes; a longer one is cut.

    Raises:
        OptionError: A limit is out of range.
    """

    max_texts: int = MAX_TEXTS
    max_text_bytes: int = MAX_TEXT_BYTES

    def __post_init__(self) -> None:
        if self.max_texts < 1:
            raise OptionError(f"`max_texts` is {self.max_texts}; it must be at least 1.")
        if self.max_text_bytes < _MULTIPLE:
            raise OptionError(
                f"`max_text_bytes` is {self.max_text_bytes}; it must be at least {_MULTIPLE}, the "
                "size of one character."
            )


class LimitsTexts:
    """Base of options that say how much of the users' texts is read.

    Attributes:
        max_texts: See `TextLimits`.
        max_text_bytes: See `TextLimits`.
    """

    __slots__ = ()

    max_texts: int
    max_text_bytes: int

    @property
    def text_limits(self) -> TextLimits:
        """How much of the users' texts is read.

        Raises:
            OptionError: A limit is out of range.
        """
        return TextLimits(self.max_texts, self.max_text_bytes)


def require_list_of_texts(kind: pa.DataType, file: AnyPath) -> None:
    """Raise ManifestError for a column `texts` that does not hold lists of strings."""
    if pa.types.is_null(kind):
        return
    if not is_list(kind) or not (is_text(kind.value_type) or pa.types.is_null(kind.value_type)):
        raise ManifestError(f"{file}: 'texts' is {kind}; it must be a list of strings.")


def require_text(name: str, kind: pa.DataType, file: AnyPath) -> None:
    """Raise ManifestError for a column that does not hold strings."""
    if not (is_text(kind) or pa.types.is_null(kind)):
        raise ManifestError(f"{file}: '{name}' is {kind}; it must be a string.")


def unify_text_lists(table: pa.Table, limits: TextLimits) -> pa.Table:
    """Convert `texts` to large_list<large_binary> within the limits, and count them.

    Null elements are dropped; lists that are null or missing become empty. Besides `texts`, the
    result has `texts_given` and `texts_null`.
    """
    column = table["texts"] if "texts" in table.column_names else None
    if column is None or pa.types.is_null(column.type):
        column = pa.chunked_array([pa.nulls(len(table), pa.list_(pa.null()))])
    lists, given, nulls = [], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for chunk in column.chunks:  # joining chunks could exceed the 2 GiB of an Arrow string array
        lengths = pc.fill_null(pc.list_value_length(chunk), 0).to_numpy(zero_copy_only=False)
        lengths = lengths.astype(np.int64)
        values = pc.list_flatten(chunk)
        valid = values.is_valid().to_numpy(zero_copy_only=False)
        owners = np.repeat(np.arange(len(lengths)), lengths)
        given.append(np.bincount(owners[valid], minlength=len(lengths)).astype(np.int64))
        nulls.append(lengths - given[-1])
        lists.append(text_lists(values, given[-1], limits))
    return (
        table.drop_columns([name for name in ("texts",) if name in table.column_names])
        .append_column("texts", pa.chunked_array(lists, LISTS))
        .append_column("texts_given", pa.array(np.concatenate(given)))
        .append_column("texts_null", pa.array(np.concatenate(nulls)))
    )


def text_lists(
    values: pa.Array, lengths: NDArray[np.int64], limits: TextLimits
) -> pa.LargeListArray:
    """Return the texts that are not null as lists of these lengths, with the last texts only.

    A text that is too long keeps one byte more than the limit, so that `cut_texts` finds it.
    """
    values = _without_views(values).drop_null()
    kept = np.minimum(lengths, limits.max_texts)
    if (kept < lengths).any():
        ends = np.repeat(np.cumsum(lengths), lengths)
        values = values.filter(pa.array(ends - np.arange(len(values)) <= limits.max_texts))
    data = _shortened(as_bytes(values), limits.max_text_bytes + 1)
    return _lists_of(data, kept)


def join_text_lists(
    lists: Iterable[pa.ChunkedArray], limits: TextLimits, type_: pa.DataType = LISTS
) -> pa.LargeListArray:
    """Return the last texts of one user, whose texts are spread over several lists, as one list."""
    values = [chunk.flatten() for column in lists for chunk in column.chunks]
    joint = pa.concat_arrays([pa.array([], type_.value_type), *values])
    joint = joint.slice(max(0, len(joint) - limits.max_texts))
    return pa.LargeListArray.from_arrays(pa.array([0, len(joint)], pa.int64()), joint)


def cut_texts(table: pa.Table, limits: TextLimits) -> pa.Table:
    """Cut texts that are too long at the end of a character, and add a column with their number."""
    lists = joined(table["texts"])
    values, lengths = lists.flatten(), pc.list_value_length(lists).to_numpy()
    values, too_long = cut_values(values, limits.max_text_bytes)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    cut = np.bincount(owners[too_long], minlength=len(lengths)).astype(np.int64)
    if too_long.any():
        position = table.schema.get_field_index("texts")
        table = table.set_column(position, "texts", _lists_of(values, lengths))
    return table.append_column("texts_cut", pa.array(cut))


def cut_values(
    values: pa.LargeBinaryArray, size: int
) -> tuple[pa.LargeBinaryArray, NDArray[np.bool_]]:
    """Cut texts that have more bytes at the end of a character; return them, and which they are."""
    sizes = pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
    too_long = sizes > size
    if too_long.any():
        mask = pa.array(too_long)
        ends = [_cut(text, size) for text in values.filter(mask).to_pylist()]
        values = pc.replace_with_mask(values, mask, pa.array(ends, pa.large_binary()))
    return values, too_long


def decoded(values: pa.Array) -> pa.Array:
    """Return texts as large_string; bytes that are not UTF-8 become U+FFFD."""
    try:
        return values.cast(pa.large_string())
    except pa.ArrowException:
        texts = [None if text is None else decode(text) for text in values.to_pylist()]
        return pa.array(texts, pa.large_string())


def decode(text: bytes) -> str:
    """Return a text as a string; bytes that are not UTF-8 become U+FFFD."""
    return text.decode("utf-8", "replace")


def texts_of(lists: pa.ChunkedArray) -> list[tuple[str, ...]]:
    """Return the texts of each user."""
    found: list[tuple[str, ...]] = []
    for chunk in lists.chunks:
        texts = decoded(chunk.flatten()).to_pylist()
        ends = np.cumsum(pc.list_value_length(chunk).to_numpy()).tolist()
        found.extend(tuple(texts[start:end]) for start, end in zip([0, *ends], ends, strict=False))
    return found


def as_bytes(values: pa.Array) -> pa.LargeBinaryArray:
    """Return texts of any Arrow type as bytes, without a check of them."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return _without_views(values).cast(pa.large_binary())


def _without_views(values: pa.Array) -> pa.Array:
    """Return texts in an array of a type that Arrow can filter."""
    if not pa.types.is_string_view(values.type):
        return values
    return values.cast(pa.binary_view()).cast(pa.large_binary())  # which, unlike text, may be cut


def _shortened(values: pa.LargeBinaryArray, size: int) -> pa.LargeBinaryArray:
    if (pc.max(pc.binary_length(values)).as_py() or 0) <= size:
        return values
    return pc.binary_slice(values, 0, size)


def _cut(text: bytes, size: int) -> bytes:
    """Return the first `size` bytes of a longer text, or up to 3 fewer to not divide a character.

    Bytes that continue a character are 0b10xxxxxx.
    """
    for end in range(size, size - _MULTIPLE, -1):
        if text[end] & 0xC0 != 0x80:
            return text[:end]
    return text[:size]  # this is not UTF-8 anyway


def _lists_of(values: pa.Array, lengths: NDArray[Any]) -> pa.LargeListArray:
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    return pa.LargeListArray.from_arrays(pa.array(offsets), values)
