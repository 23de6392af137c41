"""The texts of users: their columns, and the limits on how much of them is read.

Texts are bytes until a user's own are decoded, since the text of a Parquet file may not be UTF-8.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.forms import is_list, is_text, joined
from tweetprofile.errors import ManifestError, OptionError

MAX_TEXTS = 3_200
"""The default for the most texts per user: the longest timeline that Twitter returned."""

MAX_TEXT_BYTES = 100_000
"""The default for the most bytes per text: Twitter's longest post, 25,000 characters of 4 bytes."""


@dataclass(frozen=True, slots=True)
class TextLimits:
    """How much of a user's texts is read.

    Attributes:
        max_texts: The most texts per user; of more, the last ones are read, which are the newest.
        max_text_bytes: The most bytes per text; a longer one is cut.

    Raises:
        OptionError: A value is out of range.
    """

    max_texts: int = MAX_TEXTS
    max_text_bytes: int = MAX_TEXT_BYTES

    def __post_init__(self) -> None:
        if self.max_texts < 1:
            raise OptionError(f"`max_texts` is {self.max_texts}; it must be at least 1.")
        if self.max_text_bytes < 4:
            raise OptionError(
                f"`max_text_bytes` is {self.max_text_bytes}; it must be at least 4, the longest "
                "character."
            )


def require_texts(schema: pa.Schema, file: AnyPath) -> None:
    """Raise ManifestError if a column of texts has another type."""
    if "texts" in schema.names:
        kind = schema.field("texts").type
        inner = kind.value_type if is_list(kind) else None
        if not (pa.types.is_null(kind) or (inner is not None and _is_text(inner))):
            raise ManifestError(
                f"{file}: 'texts' is {kind}; it must be a list of strings, the oldest first."
            )
    if "image" in schema.names or "images" not in schema.names:
        kind = schema.field("text").type if "text" in schema.names else pa.null()
        if not _is_text(kind):
            raise ManifestError(f"{file}: 'text' is {kind}; it must be a string.")


def _is_text(kind: pa.DataType) -> bool:
    return is_text(kind) or pa.types.is_null(kind)


def cap_texts(table: pa.Table, limits: TextLimits) -> pa.Table:
    """Keep the last texts of each user, cut long ones, and add columns with what was there.

    Args:
        table: Users with `texts: large_list<large_binary>` without nulls.
        limits: How much is read.

    Returns:
        The table with `texts` within the limits, and `texts_given` and `texts_cut` (int64).
    """
    texts = joined(table["texts"])
    lengths = pc.list_value_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    if "texts_given" not in table.column_names:
        table = table.append_column("texts_given", pa.array(lengths))
    values = texts.flatten()
    if (lengths > limits.max_texts).any():
        kept = np.minimum(lengths, limits.max_texts)
        ends = np.cumsum(lengths)
        firsts = np.repeat(ends - kept, kept)
        within = np.arange(len(firsts)) - np.repeat(np.cumsum(kept) - kept, kept)
        values, lengths = values.take(pa.array(firsts + within)), kept
    sizes = pc.binary_length(values).to_numpy(zero_copy_only=False)
    too_long = sizes > limits.max_text_bytes
    if too_long.any():
        values = _cut(values, too_long, limits.max_text_bytes)
    users = np.repeat(np.arange(len(lengths)), lengths)
    cut = np.bincount(users[too_long], minlength=len(lengths)).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), values)
    table = table.set_column(table.schema.get_field_index("texts"), "texts", lists)
    return table.append_column("texts_cut", pa.array(cut))


def _cut(values: pa.Array, too_long: NDArray[np.bool_], most: int) -> pa.Array:
    """Cut the texts that are too long, in front of the character that would not fit."""
    cut = pc.binary_slice(values, 0, most).to_pylist()
    for place in np.flatnonzero(too_long).tolist():
        cut[place] = _whole_characters(cut[place])
    return pa.array(cut, pa.large_binary())


def _whole_characters(text: bytes) -> bytes:
    """Return bytes without the beginning of a UTF-8 character at their end."""
    for back in range(1, min(4, len(text)) + 1):
        byte = text[-back]
        if byte >= 0xC0:  # the first byte of a character tells how many bytes it has
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return text[:-back] if length > back else text
        if byte < 0x80:
            break
    return text
