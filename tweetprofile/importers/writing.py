"""Users out of a dump, a manifest in: streamed, with the images themselves if asked for.

The manifest appears whole or not at all: it is written under another name and renamed.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tweetprofile.data.files.atomic import fresh_name, move, sync
from tweetprofile.data.files.protection import (
    Inputs,
    check_file,
    check_folder,
    check_parent,
    is_earlier,
)
from tweetprofile.data.files.provenance import METADATA_KEY, Kind, stamp
from tweetprofile.data.files.scratch import Closing
from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.manifests.manifest import ImageRef
from tweetprofile.errors import ImageError, OutputError, WriteError
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.importers.users import DumpUser

_ROWS_A_GROUP = 1 << 14
_BYTES_A_GROUP = 64 << 20
_BYTES_A_FILE = 512 << 20

_PARTS = "part-*.parquet"
"""Names of the files of a folder."""

_HELD_A_GROUP = 256 << 20
"""Bytes of paths and labels in memory, which users with a million images would otherwise exceed."""

_BYTES_A_PATH = 200
"""In memory, some."""

_PATHS = pa.list_(pa.string())
_EMBEDDED = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


class ManifestWriter(Closing):
    """Writes users as a manifest; used as a `with` block around `add` and `finish`.

    Args:
        out: file to make; a folder of files of some 512 MB where images are embedded.
        columns: of labels, beside `user_id` and `images`.
        prefix: put before every image path, which is then relative to the manifest's folder.
        reader: reads the images that are embedded; None to write their paths alone.
        skipped: gets the images that cannot be embedded.
        overwrite: whether an earlier manifest at `out` may be replaced.
        inputs: what the import reads and `out` must not replace; None for nothing.

    Raises:
        OutputError: on entering, if `out` must not be written.
        WriteError: writing fails later.
    """

    def __init__(
        self,
        out: Path,
        columns: Sequence[str],
        prefix: str,
        reader: ImageReader | None,
        skipped: Skipped,
        *,
        overwrite: bool,
        inputs: Inputs | None = None,
    ) -> None:
        self._out = out
        self._prefix = prefix
        self._reader = reader
        self._overwrite = overwrite
        self._as_folder = reader is not None
        self._partial = fresh_name(out.parent)
        self._inputs = inputs
        images = _PATHS if reader is None else _EMBEDDED
        labels = [pa.field(name, pa.string()) for name in columns]
        self._schema = pa.schema([("user_id", pa.string()), ("images", images), *labels])
        self._labels = tuple(columns)
        self._skipped = skipped
        self._rows: list[dict[str, Any]] = []
        self._size = 0
        self._held = 0
        self._file: pq.ParquetWriter | None = None
        self._files = 0
        self._bytes = 0

    def __enter__(self) -> Self:
        self._check()
        with _writing(self._out):
            if self._as_folder:
                self._partial.mkdir()
            else:
                self._partial.touch(exist_ok=False)
        return self

    def close(self) -> None:
        """Remove what is not finished."""
        if self._file is not None:
            self._file.close()
        self._remove_partial()

    def add(self, user: DumpUser) -> None:
        """Take a user."""
        images: list[Any] = [self._prefix + path for path in user.images]
        if self._reader is not None:
            images = list(map(self._embed, user.images, images))
            self._size += sum(len(image["bytes"] or b"") for image in images)
        self._held += sum(map(len, filter(None, user.labels.values())))
        self._held += _BYTES_A_PATH * len(user.images)
        self._rows.append(
            {"user_id": user.user_id, "images": images}
            | {name: user.labels.get(name) for name in self._labels}
        )
        full = self._size >= _BYTES_A_GROUP or self._held >= _HELD_A_GROUP
        if full or len(self._rows) >= _ROWS_A_GROUP:
            self._write_group()

    def finish(self) -> None:
        """Give the manifest its name."""
        if self._rows or not self._files:
            self._write_group()
        with _writing(self._out):
            self._close_file()
            if self._as_folder:
                self._move_folder()
            else:
                sync(self._partial)
                move(self._partial, self._out, is_earlier(Kind.MANIFEST, overwrite=self._overwrite))
            sync(self._out.parent)

    def _check(self) -> None:
        check_manifest_out(
            self._out, as_folder=self._as_folder, overwrite=self._overwrite, inputs=self._inputs
        )

    def _move_folder(self) -> None:
        """Give the folder its name, having moved an earlier manifest out of the way.

        Not `atomic_folder`, which replaces nothing.
        """
        if not os.path.lexists(self._out):
            move(self._partial, self._out)
            return
        self._check()
        earlier = fresh_name(self._out.parent)
        move(self._out, earlier)
        with ExitStack() as undo:
            undo.callback(move, earlier, self._out)
            move(self._partial, self._out)
            undo.pop_all()
        for part in earlier.glob(_PARTS):
            part.unlink()
        with suppress(OSError):  # somebody has put something into it just now
            earlier.rmdir()

    def _embed(self, path: str, named: str) -> dict[str, Any]:
        """An image itself; its path alone where it cannot be read, for `predict` to say why."""
        assert self._reader is not None
        try:
            data = self._reader.read(ImageRef(path))
        except ImageError as error:
            self._skipped.add(SkipReason.NOT_EMBEDDED, named, None, error.reason.value)
            data = None
        return {"bytes": data, "path": named}

    def _write_group(self) -> None:
        with _writing(self._out):
            if self._file is None:
                self._file = pq.ParquetWriter(
                    self._next_path(), self._schema, compression="zstd", write_page_checksum=True
                )
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._bytes += self._size
            if self._bytes >= _BYTES_A_FILE:
                self._close_file()
        self._rows, self._size, self._held = [], 0, 0

    def _next_path(self) -> Path:
        number, self._files = self._files, self._files + 1
        return self._partial / f"part-{number:05}.parquet" if self._as_folder else self._partial

    def _close_file(self) -> None:
        if self._file is not None:
            record = json.dumps(stamp(Kind.MANIFEST))
            self._file.add_key_value_metadata({METADATA_KEY: record})
            self._file.close()
        self._file, self._bytes = None, 0

    def _remove_partial(self) -> None:
        if self._partial.is_dir():
            shutil.rmtree(self._partial, ignore_errors=True)
        else:
            self._partial.unlink(missing_ok=True)


def check_manifest_out(
    out: Path, *, as_folder: bool, overwrite: bool, inputs: Inputs | None = None
) -> None:
    """Raise OutputError unless a manifest can be written there: said before any work is done."""
    check_parent(out.parent, out)
    inputs = inputs or Inputs()
    if not as_folder:
        check_file(out, Kind.MANIFEST, inputs, overwrite=overwrite)
        return
    inputs.refuse(out, out)
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file where a folder is asked for; choose another name.")
    check_folder(out, Kind.MANIFEST, out, _PARTS)
    if not overwrite:
        raise OutputError(f"{out} exists; choose another name or add --overwrite.")


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise WriteError(
            f"{out} cannot be written: {why}; mend that and run the command again."
        ) from error
