"""The forms of a manifest: detecting the form, and converting every form into one.

::

    paths          user_id, images: list<string>
    bytes          user_id, images: list<binary>
    Hugging Face   user_id, images: list<struct<bytes: binary, path: string>>
    texts          user_id, texts: list<string>
    long           user_id, image (string, binary or struct) or text (string) or both, the rows of
                   a user adjacent

The first three forms may have `texts`, too. Whatever the form, the result has one row per user:
`user_id`, `images: large_list<struct<bytes: large_binary, path: large_string>>` and the other
columns; `cap_images` then adds `images_given`. If texts are wanted, `texts` follows as `texts.py`
describes.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.texts import (
    TextLimits,
    cut_texts,
    join_text_lists,
    require_list_of_texts,
    require_text,
    text_lists,
    unify_text_lists,
)
from tweetprofile.data.manifests.types import is_bytes, is_list, is_text, joined
from tweetprofile.errors import ManifestError

_PIECES = 64
"""The number of pieces of a user that are joined at a time."""


class Form(StrEnum):
    """How a manifest gives its images, or its texts if it has no images."""

    PATHS = "paths"
    BYTES = "bytes"
    HUGGING_FACE = "huggingface"
    TEXTS = "texts"
    LONG = "long"


def form_of(schema: pa.Schema, file: AnyPath) -> Form:
    """Return the form of a file with a schema.

    Raises:
        ManifestError: A column is missing, or has a type that no form allows.
    """
    columns = f"it has {', '.join(schema.names) or 'no columns'}"
    if "user_id" not in schema.names:
        raise ManifestError(f"{file} has no column 'user_id' ({columns}); add it.")
    _require_id_type(schema.field("user_id").type, file)
    if "images" in schema.names or ("texts" in schema.names and "image" not in schema.names):
        return _list_form(schema, file)
    if "image" in schema.names or "text" in schema.names:
        return _long_form(schema, file)
    raise ManifestError(
        f"{file} has no column 'images' or 'image', and none of texts, 'texts' or 'text' "
        f"({columns}); add one."
    )


def _require_id_type(kind: pa.DataType, file: AnyPath) -> None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    # A column of nulls passes here: a later error names the first row without an id.
    if not (pa.types.is_integer(kind) or is_text(kind) or pa.types.is_null(kind)):
        fix = "write the ids as text"
        if pa.types.is_floating(kind):
            fix = (
                "floating-point numbers merge long ids, so read them again from their source as "
                "text"
            )
        raise ManifestError(
            f"{file}: 'user_id' is {kind}; it must be a string or an integer: {fix}."
        )


def _list_form(schema: pa.Schema, file: AnyPath) -> Form:
    if "texts" in schema.names:
        require_list_of_texts(schema.field("texts").type, file)
    if "images" not in schema.names:
        return Form.TEXTS
    kind = schema.field("images").type
    if pa.types.is_null(kind):  # in this file, no user has an image
        return Form.PATHS
    if is_list(kind):
        value = kind.value_type
        if is_text(value) or pa.types.is_null(value):
            return Form.PATHS
        if is_bytes(value):
            return Form.BYTES
        if _is_image_struct(value):
            return Form.HUGGING_FACE
    raise ManifestError(
        f"{file}: 'images' is {kind}; it must be a list of strings (paths), of binary (the files "
        "themselves) or of struct<bytes, path>."
    )


def _long_form(schema: pa.Schema, file: AnyPath) -> Form:
    if "text" in schema.names:
        require_text("text", schema.field("text").type, file)
    if "image" not in schema.names:
        return Form.LONG
    kind = schema.field("image").type
    if is_text(kind) or is_bytes(kind) or _is_image_struct(kind) or pa.types.is_null(kind):
        return Form.LONG
    raise ManifestError(
        f"{file}: 'image' is {kind}; it must be a string, binary or struct<bytes, path>."
    )


def _is_image_struct(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind):
        return False
    fields = {field.name: field.type for field in kind}
    return (
        {"bytes", "path"} <= set(fields)
        and (is_bytes(fields["bytes"]) or pa.types.is_null(fields["bytes"]))
        and (is_text(fields["path"]) or pa.types.is_null(fields["path"]))
    )


def unify_lists(table: pa.Table) -> pa.Table:
    """Convert `images` to large_list<struct<bytes, path>>; a null or missing list becomes empty."""
    if "images" not in table.column_names:
        return _columns_first(table, _no_images(len(table)))
    images = joined(table["images"])
    if pa.types.is_null(images.type):
        images = pa.nulls(len(table), pa.list_(pa.null()))
    lengths = pc.fill_null(pc.list_value_length(images), 0).to_numpy(zero_copy_only=False)
    unified = _lists_of(_as_structs(pc.list_flatten(images)), lengths)
    return _columns_first(table.drop_columns("images"), unified)


def users_from_lists(
    tables: Iterable[pa.Table], texts: TextLimits | None = None
) -> Iterator[pa.Table]:
    """Convert the lists of a manifest with one row per user.

    Args:
        tables: The rows.
        texts: The limits of texts; None if they are not wanted.
    """
    for table in map(unify_lists, tables):
        yield table if texts is None else cut_texts(unify_text_lists(table, texts), texts)


def group_rows(
    tables: Iterable[pa.Table],
    most: int,
    texts: TextLimits | None = None,
    profile: Sequence[str] = (),
) -> Iterator[pa.Table]:
    """Join adjacent rows of (user_id, image, text) into one row per user.

    A user with a billion rows takes no more memory than one whose images and texts are as many as
    may be kept: the others are only counted.

    Args:
        tables: The rows.
        most: The largest number of images per user that is kept.
        texts: The limits of texts; None if they are not wanted.
        profile: The columns of which each user gets the first value that is not null. Of the other
            columns, the user's first row counts.
    """
    last = _LastUser(most, texts, profile)
    for table in tables:
        users = _join_runs(table, texts, profile)
        if not len(users):
            continue
        # The last user may continue in the next table.
        if not last.continues_in(users):
            yield from last.finish()
        last.add(users.slice(0, 1))
        if len(users) > 1:
            yield from last.finish()
            if len(users) > 2:
                whole = users.slice(1, len(users) - 2)
                yield whole if texts is None else cut_texts(whole, texts)
            last.add(users.slice(len(users) - 1))
    yield from last.finish()


class _LastUser:
    """The pieces of a user whose rows may continue in the next table, in bounded memory.

    Args:
        most: The largest number of images that is kept.
        texts: The limits of texts; None if they are not wanted.
        profile: The columns of which the first value counts that is not null.
    """

    def __init__(self, most: int, texts: TextLimits | None, profile: Sequence[str]) -> None:
        self._most = most
        self._texts = texts
        self._profile = profile
        self._pieces: list[pa.Table] = []

    def continues_in(self, users: pa.Table) -> bool:
        """Return whether the first of these users is the last user."""
        return not self._pieces or self._pieces[0]["user_id"][0] == users["user_id"][0]

    def add(self, piece: pa.Table) -> None:
        """Add a piece: a table of one row."""
        self._pieces.append(piece)
        if len(self._pieces) == _PIECES:
            # Joining each piece with all before it would take time with the square of the rows.
            self._pieces = [self._joined()]

    def finish(self) -> Iterator[pa.Table]:
        """Yield the user, if there is one, and forget the pieces."""
        if self._pieces:
            user = self._joined() if len(self._pieces) > 1 else self._pieces[0]
            self._pieces = []
            yield user if self._texts is None else cut_texts(user, self._texts)

    def _joined(self) -> pa.Table:
        """Join the pieces; columns without lists are those of the first piece.

        The arrays are copied, so that the tables that the pieces were cut from can be released.
        """
        pieces = self._pieces
        images = pa.concat_arrays([c.flatten() for each in pieces for c in each["images"].chunks])
        images = images.slice(0, self._most)
        images = images.take(pa.array(np.arange(len(images))))
        joint = {"images": _lists_of(images, [len(images)])}
        for name in ("images_given", "texts_given", "texts_null"):
            if name in pieces[0].column_names:
                joint[name] = pa.array([sum(each[name][0].as_py() for each in pieces)], pa.int64())
        if self._texts is not None:
            joint["texts"] = join_text_lists([each["texts"] for each in pieces], self._texts)
        for name in self._profile:
            values = pa.chunked_array([c for each in pieces for c in each[name].chunks])
            joint[name] = first_values(values, pa.array([0]))
        user = pieces[0]
        for name, array in joint.items():
            user = user.set_column(user.schema.get_field_index(name), name, array)
        return user


def cap_images(table: pa.Table, most: int) -> pa.Table:
    """Keep the first `most` images of each user, and add a column with their number before."""
    images = table["images"]
    lengths = pc.list_value_length(images)
    if "images_given" not in table.column_names:
        table = table.append_column("images_given", lengths)
    if (pc.max(lengths).as_py() or 0) > most:
        images = pc.list_slice(images, 0, most)
        table = table.set_column(table.schema.get_field_index("images"), "images", images)
    return table


def _join_runs(rows: pa.Table, texts: TextLimits | None, profile: Sequence[str]) -> pa.Table:
    """Join runs of equal `user_id`; a null image or text means that this row has none."""
    starts = run_starts(joined(rows["user_id"]))
    content = [name for name in ("image", "text") if name in rows.column_names]
    if texts is None:
        content = [name for name in content if name == "image"]
    users = rows.drop_columns(content).take(starts) if content else rows.take(starts)
    for name in profile if len(users) else ():
        position = users.schema.get_field_index(name)
        users = users.set_column(position, name, first_values(rows[name], starts))
    if "image" in rows.column_names:
        image = joined(rows["image"])
        given = _valid_per_run(image, starts)
        unified = _lists_of(_as_structs(image).filter(image.is_valid()), given)
    else:
        given, unified = np.zeros(len(users), np.int64), _no_images(len(users))
    users = _columns_first(users, unified).append_column("images_given", pa.array(given))
    if texts is None:
        return users
    text = joined(rows["text"]) if "text" in rows.column_names else pa.nulls(len(rows))
    given = _valid_per_run(text, starts)
    lists = text_lists(text, given, texts)
    users = users.append_column("texts", lists).append_column("texts_given", pa.array(given))
    return users.append_column("texts_null", pa.array(np.zeros(len(users), np.int64)))


def first_values(values: pa.ChunkedArray, starts: pa.Array) -> pa.ChunkedArray:
    """Return the first value of each run of rows that is not null, or null if there is none.

    Args:
        values: The values of all rows; there is at least one.
        starts: The positions at which runs begin.
    """
    rows = np.arange(len(values))
    is_there = values.is_valid().to_numpy().astype(bool)
    first = np.minimum.reduceat(np.where(is_there, rows, len(rows)), starts.to_numpy())
    return values.take(pa.array(first, mask=first == len(rows)))


def _valid_per_run(values: pa.Array, starts: pa.Array) -> NDArray[np.int64]:
    if not len(values):
        return np.zeros(0, np.int64)
    valid = values.is_valid().to_numpy(zero_copy_only=False).astype(np.int64)
    counts: NDArray[np.int64] = np.add.reduceat(valid, starts.to_numpy())
    return counts


def _no_images(users: int) -> pa.LargeListArray:
    return _lists_of(_as_structs(pa.nulls(0)), np.zeros(users, np.int64))


def _as_structs(values: pa.Array) -> pa.StructArray:
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
    if pa.types.is_struct(kind):
        data, path = pc.struct_field(values, "bytes"), pc.struct_field(values, "path")
    elif is_bytes(kind):
        data, path = values, pa.nulls(len(values))
    else:
        data, path = pa.nulls(len(values)), values
    arrays = [data.cast(pa.large_binary()), path.cast(pa.large_string())]
    return pa.StructArray.from_arrays(arrays, names=["bytes", "path"])


def _lists_of(values: pa.StructArray, lengths: Any) -> pa.LargeListArray:
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    return pa.LargeListArray.from_arrays(pa.array(offsets), values)


def _columns_first(others: pa.Table, images: pa.LargeListArray) -> pa.Table:
    position = others.schema.get_field_index("user_id") + 1
    return others.add_column(position, "images", images)


def run_starts(ids: pa.Array) -> pa.Array:
    """Return the positions (int64) at which runs of equal ids begin."""
    if not len(ids):
        return pa.array([], type=pa.int64())
    changes = pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
    return pa.array(np.concatenate([[0], np.flatnonzero(changes) + 1]), type=pa.int64())
