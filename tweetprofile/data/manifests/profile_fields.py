"""The texts of users' own profiles, such as their description, read beside what they posted.

They are data of strangers, as texts are: bytes within a limit, decoded last, in a manner that
cannot fail.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tweetprofile.data.manifests.texts import TextLimits, cut_values, decoded
from tweetprofile.data.manifests.types import joined

PROFILE_COLUMNS = ("name", "screen_name", "description")
"""Columns with the texts of a user's profile."""

_JOINED = "tweetprofile: profile"
"""The column of all fields, with a name that no manifest uses by accident."""


def join_fields(table: pa.Table, columns: Sequence[str], limits: TextLimits) -> pa.Table:
    """Put the fields of each user's profile into one column, each cut to the limit.

    A field that is cut counts among `texts_cut`.

    Args:
        table: The users, with `texts_cut` and the fields as large_binary.
        columns: The fields.
        limits: The limits of texts.
    """
    fields, cut = [], table["texts_cut"]
    for name in columns:
        values, too_long = cut_values(joined(table[name]), limits.max_text_bytes)
        fields.append(values)
        cut = pc.add(cut, pa.array(too_long).cast(pa.int64()))
    profiles = pa.StructArray.from_arrays(fields, names=list(columns))
    position = table.schema.get_field_index("texts_cut")
    table = table.set_column(position, "texts_cut", cut).drop_columns(list(columns))
    return table.append_column(_JOINED, profiles)


def profiles_of(users: pa.Table) -> list[dict[str, str]]:
    """Return the fields of each user's profile that are not null; none if they were not read."""
    if _JOINED not in users.column_names:
        return [{} for _ in range(len(users))]
    found: list[dict[str, str]] = [{} for _ in range(len(users))]
    profiles = joined(users[_JOINED])
    for place, field in enumerate(profiles.type):
        for fields, text in zip(
            found, decoded(pc.struct_field(profiles, place)).to_pylist(), strict=True
        ):
            if text is not None:
                fields[field.name] = text
    return found
