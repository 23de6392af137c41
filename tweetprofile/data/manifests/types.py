"""Questions about Arrow types, and columns as single arrays."""

import pyarrow as pa


def is_list(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds lists of any kind."""
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


def is_bytes(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds binary values of any length."""
    kinds = pa.types
    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_binary_view(kind))


def plain(kind: pa.DataType) -> pa.DataType:
    """Return a type without views, which Arrow lacks functions for."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(kind) else kind


def joined(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array; one that is whole already is not copied, as Arrow would do."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
