"""The columns of a manifest, as all its files have them in common."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.forms import is_text
from tweetprofile.data.manifests.schemas import IMAGE_COLUMNS, FileSchema, merge
from tweetprofile.data.manifests.sources import Sources, describe_files
from tweetprofile.errors import ManifestError


def cast(name: str, column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """A column with the type that it has in all files.

    Raises:
        ArrowException: its values are of another kind, or do not fit.
    """
    if column.type.equals(kind):
        return column
    if column.null_count == len(column):  # whatever type a writer has chosen for nothing
        return pa.chunked_array([pa.nulls(len(column), kind)])
    if merge(name, column.type, kind) is None:
        raise pa.ArrowInvalid(f"{column.type} is not {kind}")
    return column.cast(kind)


def require_utf8(column: pa.ChunkedArray, name: str, file: AnyPath) -> None:
    """Refuse text that is not UTF-8: Parquet allows it, and no library expects it."""
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
    """What people must know of how the files were put together, in whole sentences."""
    if partitions:
        yield f"Columns of text from the names of folders: {', '.join(partitions)}."
    if sources.left_out:
        yield (
            f"Not read: {describe_files(sources.left_out)} of {sources.folder}; unpack or rename what "
            "belongs to the manifest, so that it ends in .parquet."
        )
    for name in schema.names:
        lacking = [file.path.name for file in files if file.rows and name not in file.schema.names]
        if lacking and name not in (*partitions, *IMAGE_COLUMNS):
            yield f"Column '{name}' is missing, and taken as null, in {describe_files(lacking)}."
