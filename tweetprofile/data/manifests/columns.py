"""Columns of a manifest, brought to the types that all of its files share."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.schemas import FileSchema, merge
from tweetprofile.data.manifests.sources import Sources, describe_files
from tweetprofile.data.manifests.texts import as_bytes, require_text
from tweetprofile.data.manifests.types import is_text
from tweetprofile.errors import ManifestError


def cast(name: str, column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column with the type that all files share.

    Raises:
        ArrowException: The column's values are of another kind, or do not fit.
    """
    if column.type.equals(kind):
        return column
    if column.null_count == len(column):  # whichever type the writer chose for a column of nulls
        return pa.chunked_array([pa.nulls(len(column), kind)])
    if merge(name, column.type, kind) is None:
        raise pa.ArrowInvalid(f"{column.type} is not {kind}")
    return column.cast(kind)


def require_utf8(column: pa.ChunkedArray, name: str, file: AnyPath) -> None:
    """Raise ManifestError for text that is not UTF-8, which Parquet files can contain."""
    if not is_text(column.type):
        return
    try:
        column.validate(full=True)
    except pa.ArrowException:
        raise ManifestError(
            f"{file}: column '{name}' holds text that is not UTF-8; write it again as UTF-8."
        ) from None


def remarks_on(
    sources: Sources, files: Sequence[FileSchema], schema: pa.Schema, partitions: Sequence[str]
) -> Iterator[str]:
    """Yield sentences about how the files were combined, where that may be unexpected."""
    if partitions:
        yield f"Text columns taken from folder names: {', '.join(partitions)}."
    if sources.left_out:
        yield (
            f"Not read: {describe_files(sources.left_out)} of {sources.folder}; unpack or rename "
            "files that belong to the manifest, so that their names end in .parquet."
        )
    for name in schema.names:
        lacking = [file.path.name for file in files if file.rows and name not in file.schema.names]
        if lacking and name not in partitions:
            yield f"Column '{name}' is missing, and read as null, in {describe_files(lacking)}."


def bytes_of(name: str, table: pa.Table, file: AnyPath) -> pa.ChunkedArray:
    """Return a column of texts as bytes, which may not be UTF-8; null if the file has none.

    Raises:
        ManifestError: The column does not hold texts.
    """
    column = table[name] if name in table.column_names else None
    if column is None or column.null_count == len(column):  # of whichever type
        return pa.chunked_array([pa.nulls(len(table), pa.large_binary())])
    require_text(name, column.type, file)
    return pa.chunked_array([as_bytes(chunk) for chunk in column.chunks], pa.large_binary())
