"""The four forms of a manifest: detecting the form, and converting every form into one.

::

    paths          user_id, images: list<string>
    bytes          user_id, images: list<binary>
    Hugging Face   user_id, images: list<struct<bytes: binary, path: string>>
    long           user_id, image (string, binary or struct), the rows of a user adjacent

Whatever the form, the result has one row per user: `user_id`,
`images: large_list<struct<bytes: large_binary, path: large_string>>` and the other columns;
`cap_images` then adds `images_given`.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
    raise ManifestError(f"{file} has no column 'images' or 'image' ({columns}); add one.")


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
    if _is_list(kind):
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


def _is_list(kind: pa.DataType) -> bool:
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
    """Convert `images` to large_list<struct<bytes, path>>; a null list becomes empty."""
    images = joined(table["images"])
    if pa.types.is_null(images.type):
        images = pa.nulls(len(table), pa.list_(pa.null()))
    lengths = pc.fill_null(pc.list_value_length(images), 0).to_numpy(zero_copy_only=False)
    unified = _lists_of(_as_structs(pc.list_flatten(images)), lengths)
    return _columns_first(table.drop_columns("images"), unified)


def joined(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; one that is whole already is not copied, as Arrow would do."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def group_rows(tables: Iterable[pa.Table], most: int) -> Iterator[pa.Table]:
    """Join adjacent rows of (user_id, image) into one row per user.

    Args:
        tables: The rows.
        most: The largest number of images per user that is kept. Further images are only counted,
            in `images_given`, so that a user with a billion rows takes no more memory than a user
            with `most`.
    """
    pending: pa.Table | None = None
    beyond = 0
    for table in map(_unify_images, tables):
        rows = table if pending is None else pa.concat_tables([pending, table]).combine_chunks()
        starts = run_starts(rows["user_id"].combine_chunks()).to_pylist()
        if not starts:
            continue
        # The last user may continue in the next table.
        if len(starts) > 1:
            yield _join_runs(rows.slice(0, starts[-1]), beyond)
            beyond = 0
        pending, dropped = _first_images(rows.slice(starts[-1]), most)
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


def _first_images(rows: pa.Table, most: int) -> tuple[pa.Table, int]:
    """Return the rows of one user up to `most` images, and the number of further images."""
    given = rows["image"].combine_chunks().is_valid().to_numpy(zero_copy_only=False)
    images = int(given.sum())
    if images <= most and len(rows) <= 2 * most:
        return rows, 0
    # Rows without an image are dropped, except the first, which holds the other columns.
    kept = np.flatnonzero(given)[:most]
    return rows.take(np.union1d([0], kept)), max(0, images - most)


def _unify_images(rows: pa.Table) -> pa.Table:
    """Convert `image` of any type to struct<bytes, path>; a null image stays null."""
    images = joined(rows["image"])
    structs = _as_structs(images, null=images.is_null())
    return rows.set_column(rows.schema.get_field_index("image"), "image", structs)


def _join_runs(rows: pa.Table, beyond: int) -> pa.Table:
    """Join runs of equal `user_id`; a null image means that the user has no image in this row.

    The first user has `beyond` more images than the rows hold.
    """
    image = joined(rows["image"])
    starts = run_starts(joined(rows["user_id"]))
    given = image.is_valid().to_numpy(zero_copy_only=False)
    lengths = np.add.reduceat(given.astype(np.int64), starts.to_numpy())
    unified = _lists_of(image.drop_null(), lengths)
    users = _columns_first(rows.drop_columns("image").take(starts), unified)
    lengths[0] += beyond
    return users.append_column("images_given", pa.array(lengths))


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
