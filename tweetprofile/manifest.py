"""The manifest: Parquet that says which images each user posted.

It is one file, a folder of files or a glob, in one of four forms (`forms.py`), and is streamed:
memory does not grow with the number of users. Whatever the form, users leave this module in
batches, a run of users at a time: Arrow tables of `user_id`,
`images: large_list<struct<bytes, path>>`, `images_given` and the columns asked for. Rows and users
are counted from 0.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tweetprofile.errors import ChangedInputError, ManifestError, Reason
from tweetprofile.forms import (
    Form,
    cap_images,
    form_of,
    group_rows,
    is_text,
    plain,
    run_starts,
    unify_lists,
)
from tweetprofile.row_groups import SourceFile, drop_rows, read_rows
from tweetprofile.sources import find_sources, fingerprint, read_schema
from tweetprofile.storage import AnyPath

UserId = str | int

MAX_IMAGES = 12_800
"""Default cap of a user's images: all of a timeline that Twitter ever gave, 3,200 tweets of 4."""


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Where one encoded image is: in the manifest itself (`data`) or behind a path or URI.

    Attributes:
        path: its path or URI; None where it has none, or one that is not UTF-8.
        data: the encoded image.
        misnamed: a path that is not UTF-8, with the bytes that are not escaped.
        refused: why the image is not to be read, where that is known beforehand.
    """

    path: str | None = None
    data: bytes | None = None
    misnamed: str = ""
    refused: Reason | None = None

    @property
    def label(self) -> str:
        """What to call it in `image_errors`: its path, or nothing."""
        return self.path or self.misnamed


@dataclass(frozen=True, slots=True)
class UserImages:
    """One user and the images that the manifest gives for them, in manifest order.

    Attributes:
        user_id: whose.
        images: those that may be tried.
        left_out: how many more the manifest gives, beyond the cap.
    """

    user_id: UserId
    images: tuple[ImageRef, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class UserBatch:
    """A run of manifest users who are handled together: a shard, or a part of one.

    Attributes:
        shard: number of the shard.
        first: number of the first user in the manifest.
        table: `user_id`, `images` (large_list<struct<bytes, path>>, up to the cap), `images_given`
            (int64, with those beyond the cap) and the columns asked for.
    """

    shard: int
    first: int
    table: pa.Table

    def __len__(self) -> int:
        return len(self.table)

    @property
    def users(self) -> list[UserImages]:
        """The users as Python objects."""
        return users_of(self.table)


def users_of(table: pa.Table) -> list[UserImages]:
    """The users of a batch's table as Python objects."""
    ids, given = (table[name].to_pylist() for name in ("user_id", "images_given"))
    images = _image_refs(table["images"].combine_chunks())
    return [
        UserImages(user_id, refs, count - len(refs))
        for user_id, refs, count in zip(ids, images, given, strict=True)
    ]


def _image_refs(images: pa.LargeListArray) -> list[tuple[ImageRef, ...]]:
    """The references of each user; a path that is not UTF-8 leads nowhere, and keeps its label."""
    try:
        lists = images.to_pylist()
    except UnicodeDecodeError:
        fields = [pa.field("bytes", pa.large_binary()), pa.field("path", pa.large_binary())]
        raw = images.cast(pa.large_list(pa.struct(fields))).to_pylist()
        return [tuple(_ref_of(ref["path"], ref["bytes"]) for ref in refs) for refs in raw]
    return [tuple(ImageRef(ref["path"], ref["bytes"]) for ref in refs) for refs in lists]


def _ref_of(path: bytes | None, data: bytes | None) -> ImageRef:
    try:
        return ImageRef(None if path is None else path.decode(), data)
    except UnicodeDecodeError:
        return ImageRef(None, data, misnamed=(path or b"").decode(errors="backslashreplace"))


@dataclass(frozen=True, slots=True)
class Manifest:
    """An opened manifest, its columns checked and its rows not yet read.

    Attributes:
        source: what the user called it.
        opened: its Parquet files as they were then, in the order in which their rows count.
        folder: what relative image paths are relative to, unless told otherwise.
        form: how it carries images.
        schema: Arrow schema of its first file.

    Every later read compares the files with what they were when the manifest was opened.
    """

    source: str
    opened: tuple[SourceFile, ...]
    folder: AnyPath
    form: Form
    schema: pa.Schema

    @classmethod
    def open(cls, source: str | Path) -> "Manifest":
        """Open a Parquet file, a folder of them or a glob, here or behind an s3:// or gs:// URI.

        Raises:
            ManifestError: nothing there, not Parquet, or columns of no known form.
        """
        files, folder = find_sources(str(source))
        opened = tuple(map(SourceFile.of, files))
        schemas = [read_schema(file) for file in files]
        forms = [form_of(schema, file) for schema, file in zip(schemas, files, strict=True)]
        for form, file in zip(forms, files, strict=True):
            if (form is Form.LONG) != (forms[0] is Form.LONG):
                raise ManifestError(
                    f"{file} is of form '{form}' but {files[0]} of form '{forms[0]}'; "
                    "give manifests of one form at a time."
                )
        return cls(str(source), opened, folder, forms[0], schemas[0])

    @property
    def files(self) -> tuple[AnyPath, ...]:
        """Where its Parquet files are, in the order in which their rows count."""
        return tuple(file.path for file in self.opened)

    def reopened(self, fingerprint: str) -> "Manifest":
        """The same manifest on another machine, where its files have other numbers and times.

        Raises:
            ChangedInputError: they are not the files of that fingerprint.
        """
        here = replace(self, opened=tuple(map(SourceFile.of, self.files)))
        if here.fingerprint() != fingerprint:
            raise ChangedInputError(
                f"{self.source} is not the same here as where the run was started; make the same "
                "files visible on every machine, and continue with --resume."
            )
        return here

    @property
    def user_id_type(self) -> pa.DataType:
        """Arrow type of `user_id`, dictionaries decoded."""
        kind = self.schema.field("user_id").type
        return plain(kind.value_type if pa.types.is_dictionary(kind) else kind)

    def plain_field(self, column: str) -> pa.Field:
        """A column's name and the Arrow type that it has in the shards."""
        field = self.schema.field(column)
        return field.with_type(plain(field.type))

    def require_columns(self, columns: Iterable[str]) -> None:
        """Raise ManifestError unless every named column is there, in every file."""
        wanted = list(columns)
        for file in self.files if wanted else ():
            names = read_schema(file).names
            for column in wanted:
                if column not in names:
                    raise ManifestError(
                        f"{file} has no column '{column}'; it has {', '.join(names)}."
                    )

    def count_users(self) -> int:
        """The number of users, from one pass over `user_id` alone.

        Raises:
            ManifestError: a null `user_id`, or (long form) rows of a user that are not adjacent.
        """
        runs: list[pa.Array] = []
        rows = 0
        for table in self._read(1 << 16, ["user_id"]):
            ids = table["user_id"].combine_chunks()
            _refuse_null_ids(ids, rows, self.source)
            rows += len(ids)
            if self.form is Form.LONG:
                runs.append(_without_repeats(ids, after=runs))
        if self.form is not Form.LONG:
            return rows
        return _count_adjacent(runs, self.source)

    def find_user(self, user_id: str) -> int | None:
        """The position of the first user of that id, counted from 0; None where there is none.

        Raises:
            ManifestError: the manifest cannot be read.
        """
        position, before = 0, pa.array([], self.user_id_type)
        for table in self._read(1 << 16, ["user_id"]):
            ids = table["user_id"].combine_chunks()
            if self.form is Form.LONG:
                ids = _without_repeats(ids, after=[before])
            found = _position_of(user_id, ids)
            if found is not None:
                return position + found
            position, before = position + len(ids), ids if len(ids) else before
        return None

    def shards(
        self, users_per_shard: int, columns: Sequence[str] = (), max_images: int = MAX_IMAGES
    ) -> Iterator[UserBatch]:
        """Stream the users a whole shard at a time; see `batches`."""
        return self.batches(users_per_shard, users_per_shard, columns, max_images)

    def batches(
        self,
        users_per_shard: int,
        users_per_batch: int,
        columns: Sequence[str] = (),
        max_images: int = MAX_IMAGES,
        first_shard: int = 0,
    ) -> Iterator[UserBatch]:
        """Stream the users in batches, none of which reaches over the end of a shard.

        Args:
            users_per_shard: users a shard, the last one shorter.
            users_per_batch: users a batch, the last one of a shard shorter.
            columns: further columns to carry along, as they are; in the long form they are taken
                from a user's first row.
            max_images: images a user; those beyond are counted and left out.
            first_shard: where to begin. Of what stands before it, little is read (in the long form,
                all).

        Raises:
            ManifestError: the file is damaged further in.
        """
        self.require_columns(columns)
        images = "image" if self.form is Form.LONG else "images"
        names = list(dict.fromkeys(["user_id", images, *columns]))
        # Encoded images are large: no more of them are read than a batch needs.
        rows = users_per_batch if self.carries_bytes else users_per_shard
        first = first_shard * users_per_shard
        if self.form is Form.LONG:
            grouped = drop_rows(group_rows(self._read(rows, names), max_images), first)
        else:
            grouped = map(unify_lists, self._read(rows, names, first))
        for table in _rechunk(grouped, _batch_sizes(users_per_shard, users_per_batch)):
            yield UserBatch(first // users_per_shard, first, cap_images(table, max_images))
            first += len(table)

    def fingerprint(self) -> str:
        """SHA-256 of the files' contents, in order, wherever they lie.

        Of a file too large to be read twice, its size and Parquet footer stand for it.
        """
        digest = fingerprint(self.files)
        for file in self.opened:
            file.require_unchanged()
        return digest

    @property
    def carries_bytes(self) -> bool:
        """Whether images may be in the manifest itself."""
        if self.form is Form.LONG:
            return not is_text(self.schema.field("image").type)
        return self.form is not Form.PATHS

    def columns(self, names: list[str]) -> Iterator[pa.Table]:
        """Columns as they are, row by row of the files, without the images.

        Raises:
            ManifestError: the manifest cannot be read.
        """
        return self._read(1 << 16, names)

    def _read(self, rows: int, columns: list[str], begin: int = 0) -> Iterator[pa.Table]:
        """The rows from row `begin` on, so many at a time."""
        for file, table in read_rows(self.opened, rows, columns, begin):
            yield self._alike(table, file.path)

    def _alike(self, table: pa.Table, file: AnyPath) -> pa.Table:
        """Give all columns but the images the types that they have in the first file."""
        for position, name in enumerate(table.column_names):
            if name in ("images", "image"):
                continue
            kind = self.user_id_type if name == "user_id" else self.plain_field(name).type
            try:
                column = table[name].cast(kind)
            except pa.ArrowException:
                raise ManifestError(
                    f"{file}: '{name}' is {table[name].type} where {self.files[0]} has {kind}; "
                    "write both alike."
                ) from None
            _require_utf8(column, name, file)
            table = table.set_column(position, name, column)
        return table


def _require_utf8(column: pa.ChunkedArray, name: str, file: AnyPath) -> None:
    """Refuse text that is not UTF-8: Parquet allows it, and no library expects it."""
    if not is_text(column.type):
        return
    try:
        column.validate(full=True)
    except pa.ArrowException:
        raise ManifestError(
            f"{file}: column '{name}' holds text that is not UTF-8; write it again as UTF-8."
        ) from None


def _refuse_null_ids(ids: pa.Array, first_row: int, source: str) -> None:
    if ids.null_count:
        row = first_row + int(np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False))[0])
        raise ManifestError(f"{source}: row {row} has no user_id; name the user or drop the row.")


def _position_of(user_id: str, ids: pa.Array) -> int | None:
    try:
        found: int = pc.index(ids.cast(pa.large_string()), user_id).as_py()
    except UnicodeEncodeError:  # bytes of a command line that are no text, as no id is
        return None
    return found if found >= 0 else None


def _without_repeats(ids: pa.Array, after: list[pa.Array]) -> pa.Array:
    """The id of each run of equal ids, less the first where it continues the last of `after`."""
    heads = ids.take(run_starts(ids))
    last = next((array[-1] for array in reversed(after) if len(array)), None)
    return heads[1:] if last is not None and len(heads) and heads[0] == last else heads


def _count_adjacent(runs: list[pa.Array], source: str) -> int:
    ids = pa.chunked_array(runs) if runs else pa.chunked_array([], type=pa.string())
    counts = ids.value_counts()
    if len(counts) < len(ids):
        repeated = counts.filter(pc.greater(counts.field("counts"), 1))[0]["values"]
        raise ManifestError(
            f"{source}: the rows of user '{repeated}' are not adjacent; sort it by user_id."
        )
    return len(ids)


def _batch_sizes(users_per_shard: int, users_per_batch: int) -> Iterator[int]:
    """Users of one batch after the other, without end."""
    whole, rest = divmod(users_per_shard, users_per_batch)
    return cycle([users_per_batch] * whole + [rest] * (rest > 0))


def _rechunk(tables: Iterable[pa.Table], sizes: Iterator[int]) -> Iterator[pa.Table]:
    """Cut a stream of tables into tables of the given sizes, the last one shorter."""
    pending: list[pa.Table] = []
    held, size = 0, next(sizes)
    for table in tables:
        pending.append(table)
        held += len(table)
        if held < size:
            continue
        whole = pa.concat_tables(pending, promote_options="permissive")
        start = 0
        while held - start >= size:
            yield whole.slice(start, size)
            start, size = start + size, next(sizes)
        pending, held = [whole.slice(start)], held - start
    if held:
        yield pa.concat_tables(pending, promote_options="permissive")
