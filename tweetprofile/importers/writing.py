"""Write the users of a dump as a manifest, with the images themselves on request.

The manifest appears complete or not at all: it is written under another name and renamed.
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

from tweetprofile.data.files.atomic import UnfinishedFile, fresh_name, move, sync
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
from tweetprofile.data.manifests.users import ImageRef
from tweetprofile.errors import ImageError, OutputError, WriteError
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.importers.users import DumpUser

_ROWS_PER_GROUP = 1 << 14
_BYTES_PER_GROUP = 64 << 20
_BYTES_PER_FILE = 512 << 20

_PARTS = "part-*.parquet"
"""The names of the files of a folder."""

_TEXT_PER_GROUP = 256 << 20
"""Bytes of paths, labels and profiles in memory per row group, which bounds users with a million
images."""

_TWEETS_PER_GROUP = 32 << 20
"""Bytes of texts in memory per row group, which also bounds what a reader holds at a time."""

_BYTES_PER_PATH = 200
"""About what a path takes in memory."""

_BYTES_PER_TEXT = 50
"""What a text takes in memory besides its characters."""

_PATHS = pa.list_(pa.string())
_EMBEDDED = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


class ManifestWriter(Closing):
    """Write users as a manifest; use it in a `with` block around `add` and `finish`.

    Args:
        out: The file to write; with embedded images a folder of files of some 512 MB.
        columns: The names of the labels.
        text_columns: `texts` and names in `PROFILE_FIELDS`, if the manifest gets them.
        prefix: The prefix that makes image paths relative to the manifest's folder.
        reader: Reads the images to embed; None to write their paths only.
        skipped: Records the images that cannot be embedded.
        overwrite: Whether to replace an earlier manifest at `out`.
        inputs: What the import reads, which `out` must not replace; None for nothing.

    Raises:
        OutputError: On entering: `out` must not be written.
        WriteError: Writing fails later.
    """

    def __init__(
        self,
        out: Path,
        *,
        columns: Sequence[str],
        text_columns: Sequence[str] = (),
        prefix: str,
        reader: ImageReader | None,
        skipped: Skipped,
        overwrite: bool,
        inputs: Inputs | None = None,
    ) -> None:
        self._out = out
        self._prefix = prefix
        self._reader = reader
        self._overwrite = overwrite
        self._as_folder = reader is not None
        self._partial = fresh_name(out.parent)
        self._unfinished: UnfinishedFile | None = None  # a manifest that is one file
        self._inputs = inputs
        images = _PATHS if reader is None else _EMBEDDED
        labels = [pa.field(name, pa.string()) for name in columns]
        self._has_texts = "texts" in text_columns
        self._fields = tuple(name for name in text_columns if name != "texts")
        texts = [pa.field("texts", _PATHS)] if self._has_texts else []
        profile = [pa.field(name, pa.string()) for name in self._fields]
        self._schema = pa.schema(
            [("user_id", pa.string()), ("images", images), *texts, *profile, *labels]
        )
        self._labels = tuple(columns)
        self._skipped = skipped
        self._rows: list[dict[str, Any]] = []
        self._image_bytes = 0  # of the rows in memory
        self._text_bytes = 0
        self._tweet_bytes = 0
        self._file: pq.ParquetWriter | None = None
        self._files = 0
        self._file_bytes = 0

    def __enter__(self) -> Self:
        self._check()
        with _writing(self._out):
            if self._as_folder:
                self._partial.mkdir()
            else:
                self._unfinished = UnfinishedFile(self._out)
                self._partial = self._unfinished.path
        return self

    def close(self) -> None:
        """Remove unfinished files."""
        if self._file is not None:
            self._file.close()
        self._remove_partial()

    def add(self, user: DumpUser) -> None:
        """Add a user."""
        images: list[Any] = [self._prefix + path for path in user.images]
        if self._reader is not None:
            images = list(map(self._embed, user.images, images))
            self._image_bytes += sum(len(image["bytes"] or b"") for image in images)
        self._text_bytes += sum(map(len, filter(None, user.labels.values())))
        self._text_bytes += _BYTES_PER_PATH * len(user.images)
        self._text_bytes += sum(map(len, filter(None, user.profile.values())))
        self._tweet_bytes += sum(map(len, user.texts)) + _BYTES_PER_TEXT * len(user.texts)
        self._rows.append(
            {"user_id": user.user_id, "images": images}
            | ({"texts": user.texts} if self._has_texts else {})
            | {name: user.profile.get(name) for name in self._fields}
            | {name: user.labels.get(name) for name in self._labels}
        )
        is_full = (
            self._image_bytes >= _BYTES_PER_GROUP
            or self._text_bytes >= _TEXT_PER_GROUP
            or self._tweet_bytes >= _TWEETS_PER_GROUP
        )
        if is_full or len(self._rows) >= _ROWS_PER_GROUP:
            self._write_group()

    def finish(self) -> None:
        """Complete the manifest and give it its name."""
        if self._rows or not self._files:
            self._write_group()
        with _writing(self._out):
            self._close_file()
            if self._unfinished is not None:
                self._unfinished.commit(is_earlier(Kind.MANIFEST, overwrite=self._overwrite))
            else:
                self._move_folder()
                sync(self._out.parent)

    def _check(self) -> None:
        check_manifest_out(
            self._out, as_folder=self._as_folder, overwrite=self._overwrite, inputs=self._inputs
        )

    def _move_folder(self) -> None:
        """Give the folder its name, after moving an earlier manifest out of the way.

        This is not `atomic_folder`, which replaces nothing.
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
        with suppress(OSError):  # another process has just put a file into it
            earlier.rmdir()

    def _embed(self, path: str, named: str) -> dict[str, Any]:
        """Return an image; if it cannot be read, its path only, so that `predict` says why."""
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
            self._file_bytes += self._image_bytes
            if self._file_bytes >= _BYTES_PER_FILE:
                self._close_file()
        self._rows, self._image_bytes, self._text_bytes, self._tweet_bytes = [], 0, 0, 0

    def _next_path(self) -> Path:
        number, self._files = self._files, self._files + 1
        return self._partial / f"part-{number:05}.parquet" if self._as_folder else self._partial

    def _close_file(self) -> None:
        if self._file is not None:
            record = json.dumps(stamp(Kind.MANIFEST))
            self._file.add_key_value_metadata({METADATA_KEY: record})
            self._file.close()
        self._file, self._file_bytes = None, 0

    def _remove_partial(self) -> None:
        if self._unfinished is not None:
            self._unfinished.discard()
        else:
            shutil.rmtree(self._partial, ignore_errors=True)


def check_manifest_out(
    out: Path, *, as_folder: bool, overwrite: bool, inputs: Inputs | None = None
) -> None:
    """Raise OutputError, before any work is done, if a manifest cannot be written to `out`."""
    check_parent(out.parent, out)
    inputs = inputs or Inputs()
    if not as_folder:
        check_file(out, Kind.MANIFEST, inputs, overwrite=overwrite)
        return
    inputs.refuse(out, out)
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file, but the manifest is a folder; choose another name.")
    check_folder(out, Kind.MANIFEST, out, _PARTS)
    if not overwrite:
        raise OutputError(f"{out} exists; choose another name or pass `overwrite=True`.")


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise WriteError(
            f"{out} cannot be written: {why}; fix that and run the command again."
        ) from error
