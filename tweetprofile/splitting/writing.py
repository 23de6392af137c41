"""Write the parts of a split as manifests, all in a single pass over the users."""

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tweetprofile.data.files.atomic import atomic_write
from tweetprofile.data.files.protection import is_earlier, real_path
from tweetprofile.data.files.provenance import METADATA_KEY, Kind, stamp
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.schemas import ARTIFICIAL_KEY
from tweetprofile.data.manifests.texts import decoded
from tweetprofile.errors import WriteError

_COUNTS = ["images_given", "texts_given", "texts_null", "texts_cut"]
"""Columns of a batch that a manifest does not have."""


class PartWriter:
    """Write several manifests; use it in a `with` block around `add` and `finish`.

    The parts appear when all of them are complete. Their lists hold paths if the manifest has only
    paths, and otherwise `bytes` and `path`.

    Args:
        manifest: The manifest whose users are written.
        paths: The files of the parts.
        overwrite: Whether to replace earlier parts.

    Raises:
        WriteError: A part cannot be written, or a file has taken its name meanwhile.
    """

    def __init__(self, manifest: Manifest, paths: list[Path], *, overwrite: bool) -> None:
        self._carries_bytes = manifest.carries_bytes
        self._is_artificial = manifest.is_artificial
        self._has_images, self._has_texts = manifest.has_images, manifest.has_texts
        self._paths = paths
        self._may_replace = is_earlier(Kind.MANIFEST, overwrite=overwrite)
        self._stack = ExitStack()
        self._unfinished: list[Path] = []
        self._files: dict[int, pq.ParquetWriter] = {}
        self._finished = False

    def __enter__(self) -> Self:
        try:
            for path in self._paths:
                unfinished = atomic_write(real_path(path), self._may_replace)
                self._unfinished.append(self._stack.enter_context(unfinished))
        except OSError as error:
            self._stack.close()
            raise _cannot_write(error, self._paths[len(self._unfinished)]) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()
        try:
            self._stack.__exit__(kind, error, traceback)
        except OSError as failure:
            if failure is error:
                return
            raise _cannot_write(failure, self._paths[0].parent) from failure

    def add(
        self, part: int, table: pa.Table, chosen: NDArray[np.bool_], kept: NDArray[np.bool_]
    ) -> None:
        """Write the users of a batch who are in a part.

        Args:
            part: The number of the part.
            table: The table of a batch of users.
            chosen: (users,) Whether each user of the batch is in the part.
            kept: (images,) Whether each image of these users is in the lists of the part.
        """
        rows = _with_images(table, kept, as_paths=not self._carries_bytes)
        rows = _with_texts(rows) if self._has_texts else rows.drop_columns("texts")
        if not self._has_images:
            rows = rows.drop_columns("images")
        rows = rows.drop_columns(_COUNTS).filter(pa.array(chosen))
        try:
            if part not in self._files:
                self._files[part] = pq.ParquetWriter(
                    self._unfinished[part],
                    rows.schema.remove_metadata(),
                    compression="zstd",
                    write_page_checksum=True,
                )
            if len(rows):
                self._files[part].write_table(rows.replace_schema_metadata())
        except OSError as error:
            raise _cannot_write(error, self._paths[part]) from error

    def finish(self) -> None:
        """Complete all parts; they get their names when the block ends."""
        for part, file in self._files.items():
            file.add_key_value_metadata({METADATA_KEY: json.dumps(stamp(Kind.MANIFEST))})
            if self._is_artificial:
                file.add_key_value_metadata({ARTIFICIAL_KEY: "part of such a manifest"})
            try:
                file.close()
            except OSError as error:
                raise _cannot_write(error, self._paths[part]) from error


def _with_images(table: pa.Table, kept: NDArray[np.bool_], *, as_paths: bool) -> pa.Table:
    """Remove images from the lists of a table, which then are as in a manifest."""
    images = table["images"].combine_chunks()
    values = images.flatten().filter(pa.array(kept))
    ends = np.concatenate([[0], np.cumsum(kept)])
    offsets = images.offsets.to_numpy() - images.offsets[0].as_py()
    if as_paths:
        values = values.field("path")
    lists = pa.LargeListArray.from_arrays(pa.array(ends[offsets], pa.int64()), values)
    columns = [name for name in table.column_names if name != "images"]
    return table.select(columns).add_column(1, "images", lists)


def _with_texts(table: pa.Table) -> pa.Table:
    """Convert texts to lists of strings, as in a manifest."""
    lists = table["texts"].combine_chunks()
    offsets = pa.array(lists.offsets.to_numpy() - lists.offsets[0].as_py())
    strings = pa.LargeListArray.from_arrays(offsets, decoded(lists.flatten()))
    return table.set_column(table.schema.get_field_index("texts"), "texts", strings)


def _cannot_write(error: OSError, path: Path) -> WriteError:
    return WriteError(
        f"{path} cannot be written ({error.strerror or error}); fix that and split again."
    )
