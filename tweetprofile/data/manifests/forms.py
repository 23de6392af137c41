"""The four forms of a manifest: detecting the form, and converting every form into one.

::

    paths          user_id, images: list<string>
    bytes          user_id, images: list<binary>
    Hugging Face   user_id, images: list<struct<bytes: binary, path: string>>
    long           user_id, image (string, binary or struct), the rows of a user adjacent

Each may have texts, as `texts: list<string>`, or in the long form as `text: string`; where it has
texts, it may have no images.

Whatever the form, the result has one row per user: `user_id`,
`images: large_list<struct<bytes: large_binary, path: large_string>>`, if they are wanted
`texts: large_list<large_binary>`, and the other columns; `cap_images` then adds `images_given`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.errors import ManifestError


class Form(StrEnum):
    """How a manifest gives its images."""

    PATHS = "paths"
    BYTES = "bytes"
    HUGGING_FACE = "huggingface"
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
    if "images" in schema.names:
        return _list_form(schema.field("images").type, file)
    if "image" in schema.names:
        return _long_form(schema.field("image").type, file)
    if "texts" in schema.names:
        return Form.PATHS
    if "text" in schema.names:
        return Form.LONG
    raise ManifestError(
        f"{file} has no column 'images' or 'image', and no 'texts' or 'text' ({columns}); add one."
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


def _list_form(kind: pa.DataType, file: AnyPath) -> Form:
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


def _long_form(kind: pa.DataType, file: AnyPath) -> Form:
    if is_text(kind) or is_bytes(kind) or _is_image_struct(kind) or pa.types.is_null(kind):
        return Form.LONG
    raise ManifestError(
        f"{file}: 'image' is {kind}; it must be a string, binary or struct<bytes, path>."
    )


def is_list(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds lists, of whichever kind of Arrow."""
    kinds = pa.types
    is_view = kinds.is_list_view(kind) or kinds.is_large_list_view(kind)
    is_plain = kinds.is_list(kind) or kinds.is_large_list(kind)
    return bool(is_plain or is_view or kinds.is_fixed_size_list(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds strings, plain or dictionary-encoded."""
    kinds = pa.types
    if kinds.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def plain(kind: pa.DataType) -> pa.DataType:
    """Return a type without views, which Arrow lacks functions for."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(kind) else kind


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds binary values of any length."""
    kinds = pa.types
    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_binary_view(kind))


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
    """Convert `images` to large_list<struct<bytes, path>>; a null list becomes empty.

    `texts`, if the table has them, become large_list<large_binary> without nulls.
    """
    values, lengths = _flattened(joined(table["images"]))
    unified = _columns_first(table.drop_columns("images"), _lists_of(_as_structs(values), lengths))
    if "texts" not in table.column_names:
        return unified
    texts, lengths = _flattened(joined(table["texts"]))
    return _with_texts(unified, texts, lengths)


def _flattened(lists: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return the values of all lists, and the length of each; a null list has none."""
    if pa.types.is_null(lists.type):
        lists = pa.nulls(len(lists), pa.list_(pa.null()))
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return pc.list_flatten(lists), lengths.astype(np.int64)


def _with_texts(users: pa.Table, texts: pa.Array, lengths: NDArray[np.int64]) -> pa.Table:
    """Add or replace the column of texts, given all of them and their number per user."""
    given = texts.is_valid().to_numpy(zero_copy_only=False)
    own = np.repeat(np.arange(len(lengths)), lengths)
    counts = np.bincount(own[given], minlength=len(lengths))
    lists = _lists_of(_as_bytes(texts.drop_null()), counts)
    if "texts" in users.column_names:
        users = users.drop_columns("texts")
    return users.append_column("texts", lists)


def _as_bytes(texts: pa.Array) -> pa.Array:
    """Return texts as bytes, which may be any."""
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_decode()
    return texts.cast(pa.large_binary())


def joined(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; one that is whole already is not copied, as Arrow would do."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def group_rows(tables: Iterable[pa.Table], most: int, most_texts: int = 0) -> Iterator[pa.Table]:
    """Join adjacent rows of (user_id, image) or (user_id, image, text) into one row per user.

    Args:
        tables: The rows.
        most: The largest number of images per user that is kept. Further images are only counted,
            in `images_given`, so that a user with a billion rows takes no more memory than a user
            with `most`.
        most_texts: The largest number of texts per user that is kept, the last ones; others are
            counted in `texts_given`.
    """
    pending: pa.Table | None = None
    beyond = _Beyond()
    for table in map(_unify_images, tables):
        rows = table if pending is None else pa.concat_tables([pending, table]).combine_chunks()
        starts = run_starts(rows["user_id"].combine_chunks()).to_pylist()
        if not starts:
            continue
        # The last user may continue in the next table.
        if len(starts) > 1:
            yield _join_runs(rows.slice(0, starts[-1]), beyond)
            beyond = _Beyond()
        pending, dropped = _within_limits(rows.slice(starts[-1]), most, most_texts)
        beyond += dropped
    if pending is not None:
        yield _join_runs(pending, beyond)


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


@dataclass(frozen=True, slots=True)
class _Beyond:
    """The number of images and texts of a user that are not among the rows that were kept."""

    images: int = 0
    texts: int = 0

    def __add__(self, other: "_Beyond") -> "_Beyond":
        return _Beyond(self.images + other.images, self.texts + other.texts)


def _within_limits(rows: pa.Table, most: int, most_texts: int) -> tuple[pa.Table, _Beyond]:
    """Return the rows of one user up to the limits, and what the others hold."""
    images = np.flatnonzero(rows["image"].combine_chunks().is_valid())
    texts = np.empty(0, np.int64)
    if "text" in rows.column_names:
        texts = np.flatnonzero(rows["text"].combine_chunks().is_valid())
    beyond = _Beyond(max(0, len(images) - most), max(0, len(texts) - most_texts))
    if beyond == _Beyond() and len(rows) <= 2 * (most + most_texts):
        return rows, beyond
    # The first row is kept, too, because it holds the other columns.
    kept_images, kept_texts = images[:most], texts[len(texts) - min(most_texts, len(texts)) :]
    kept = np.union1d([0], np.union1d(kept_images, kept_texts))
    kept_rows = _only_at(rows.take(kept), "image", np.isin(kept, kept_images))
    if "text" in rows.column_names:
        kept_rows = _only_at(kept_rows, "text", np.isin(kept, kept_texts))
    return kept_rows, beyond


def _only_at(rows: pa.Table, name: str, places: NDArray[np.bool_]) -> pa.Table:
    """Return rows with a column that is null in all other places."""
    column = rows[name].combine_chunks()
    only = pc.if_else(pa.array(places), column, pa.scalar(None, column.type))
    return rows.set_column(rows.schema.get_field_index(name), name, only)


def _unify_images(rows: pa.Table) -> pa.Table:
    """Convert `image` of any type to struct<bytes, path>; a null image stays null."""
    images = joined(rows["image"])
    structs = _as_structs(images, null=images.is_null())
    return rows.set_column(rows.schema.get_field_index("image"), "image", structs)


def _join_runs(rows: pa.Table, beyond: _Beyond) -> pa.Table:
    """Join runs of equal `user_id`; a null image means that the user has no image in this row.

    The first user has more images and texts than the rows hold, those `beyond` the limits.
    """
    image = joined(rows["image"])
    starts = run_starts(joined(rows["user_id"]))
    given = image.is_valid().to_numpy(zero_copy_only=False)
    lengths = np.add.reduceat(given.astype(np.int64), starts.to_numpy())
    unified = _lists_of(image.drop_null(), lengths)
    users = _columns_first(rows.drop_columns("image").take(starts), unified)
    lengths[0] += beyond.images
    users = users.append_column("images_given", pa.array(lengths))
    if "text" not in rows.column_names:
        return users
    in_runs = np.diff(np.append(starts.to_numpy(), len(rows)))
    users = _with_texts(users.drop_columns("text"), joined(rows["text"]), in_runs)
    given = pc.list_value_length(joined(users["texts"])).to_numpy().copy()
    given[0] += beyond.texts
    return users.append_column("texts_given", pa.array(given))


def _as_structs(values: pa.Array, null: pa.Array | None = None) -> pa.StructArray:
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
    return pa.StructArray.from_arrays(arrays, names=["bytes", "path"], mask=null)


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
