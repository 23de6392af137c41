"""The manifest: Parquet that says which images each user posted.

It is one file, a folder of files or a glob, in one of four forms (`forms.py`), and is streamed:
memory does not grow with the number of users. Whatever the form, users leave this module in
batches, a run of users at a time: Arrow tables of `user_id`,
`images: large_list<struct<bytes, path>>`, `images_given` and the columns asked for. Rows and users
are counted from 0.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.columns import cast, remarks_on, require_utf8
from tweetprofile.data.manifests.forms import (
    Form,
    cap_images,
    group_rows,
    plain,
    unify_lists,
)
from tweetprofile.data.manifests.row_groups import (
    SourceFile,
    batch_sizes,
    drop_rows,
    read_rows,
    rechunk,
)
from tweetprofile.data.manifests.schemas import (
    IMAGE_COLUMNS,
    FileSchema,
    contradiction,
    form_of_all,
    holds_bytes,
    merge,
    unify,
)
from tweetprofile.data.manifests.sources import find_sources, fingerprint, partitions_of
from tweetprofile.data.manifests.user_ids import (
    Hashes,
    RepeatedIds,
    check_ids,
    hash_ids,
    position_of,
    repeated_user,
    without_repeats,
)
from tweetprofile.errors import ChangedInputError, ManifestError, Reason

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
        schema: Arrow schema that all its files are read with, partitions included.
        partitions: columns that the names of the files' folders give.
        remarks: what people must know of how the files were put together.

    Every later read compares the files with what they were when the manifest was opened.
    """

    source: str
    opened: tuple[SourceFile, ...]
    folder: AnyPath
    form: Form
    schema: pa.Schema
    partitions: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @classmethod
    def open(cls, source: str | Path) -> "Manifest":
        """Open a Parquet file, a folder of them or a glob, here or behind an s3:// or gs:// URI.

        Raises:
            ManifestError: nothing there, not Parquet, or columns of no known form.
        """
        sources = find_sources(str(source))
        opened = tuple(map(SourceFile.of, sources.files))
        files = [FileSchema.read(file) for file in sources.files]
        partitions = sources.partitions
        schema = unify(files, partitions)
        return cls(
            str(source),
            opened,
            sources.folder,
            form_of_all(files, schema, partitions),
            schema,
            partitions,
            tuple(remarks_on(sources, files, schema, partitions)),
        )

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
        wanted = [name for name in columns if name not in self.partitions]
        for file in self.files if wanted else ():
            names = FileSchema.read(file).schema.names
            for column in wanted:
                if column not in names:
                    names += self.partitions
                    raise ManifestError(
                        f"{file} has no column '{column}'; it has {', '.join(names)}."
                    )

    def count_users(self) -> int:
        """The number of users, from one pass over `user_id` alone; of 10 million, it takes seconds.

        Raises:
            ManifestError: a null `user_id`, one that was written as a floating-point number, or a
                user who stands in two rows; in the long form, in rows that are not adjacent.
            WriteError: there is no room for temporary files.
        """
        users = rows = 0
        with RepeatedIds() as repeated:
            for first_row, ids, heads in self._ids():
                check_ids(ids, first_row, self.source)
                repeated.add(heads)
                users, rows = users + len(heads), rows + len(ids)
            suspects, count = repeated.suspects()
        if count:
            self._refuse_repeated(suspects, count)
        return users

    def _ids(self) -> Iterator[tuple[int, pa.Array, pa.Array]]:
        """The ids of all rows, some at a time: the first row, theirs, and those of new users."""
        first_row, before = 0, pa.array([], self.user_id_type)
        for table in self._read(1 << 16, ["user_id"]):
            ids = table["user_id"].combine_chunks()
            heads = without_repeats(ids, before) if self.form is Form.LONG else ids
            yield first_row, ids, heads
            first_row, before = first_row + len(ids), ids if len(ids) else before

    def _refuse_repeated(self, suspects: Hashes, count: int) -> None:
        """Raise ManifestError if one of the ids of these hashes stands in two places."""
        seen: dict[UserId, int] = {}
        user = 0
        for _, _, heads in self._ids():
            for position in np.flatnonzero(np.isin(hash_ids(heads), suspects)).tolist():
                user_id = heads[position].as_py()
                if user_id in seen:
                    raise repeated_user(
                        self.source,
                        user_id,
                        None if self.form is Form.LONG else (seen[user_id], user + position),
                        count - 1,
                    )
                seen[user_id] = user + position
            user += len(heads)

    def find_user(self, user_id: str) -> int | None:
        """The position of the first user of that id, counted from 0; None where there is none.

        Raises:
            ManifestError: the manifest cannot be read.
        """
        position = 0
        for _, _, heads in self._ids():
            found = position_of(user_id, heads)
            if found is not None:
                return position + found
            position += len(heads)
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
            columns: further columns to carry along, as they are, null where a file lacks one; in
                the long form they are taken from a user's first row.
            max_images: images a user; those beyond are counted and left out.
            first_shard: where to begin. Of what stands before it, little is read (in the long form,
                all).

        Raises:
            ManifestError: no file has a column, or a file is damaged further in.
        """
        for column in columns:
            if column not in self.schema.names:
                self.require_columns([column])
        images = "image" if self.form is Form.LONG else "images"
        names = list(dict.fromkeys(["user_id", images, *columns]))
        # Encoded images are large: no more of them are read than a batch needs.
        rows = users_per_batch if self.carries_bytes else users_per_shard
        first = first_shard * users_per_shard
        if self.form is Form.LONG:
            grouped = drop_rows(group_rows(self._read(rows, names), max_images), first)
        else:
            grouped = map(unify_lists, self._read(rows, names, first))
        for table in rechunk(grouped, batch_sizes(users_per_shard, users_per_batch)):
            yield UserBatch(first // users_per_shard, first, cap_images(table, max_images))
            first += len(table)

    def fingerprint(self) -> str:
        """SHA-256 of the files' contents, in order, wherever they lie.

        Of a file too large to be read twice, its size and Parquet footer stand for it.
        """
        values = [partitions_of(file) for file in self.files] if self.partitions else []
        digest = fingerprint(
            self.files, [[value.get(name) for name in self.partitions] for value in values]
        )
        for file in self.opened:
            file.require_unchanged()
        return digest

    @property
    def carries_bytes(self) -> bool:
        """Whether images may be in the manifest itself."""
        return holds_bytes(self.schema.field(IMAGE_COLUMNS[self.form is Form.LONG]).type)

    def columns(self, names: list[str]) -> Iterator[pa.Table]:
        """Columns as they are, row by row of the files, without the images.

        Raises:
            ManifestError: the manifest cannot be read.
        """
        return self._read(1 << 16, names)

    def _read(self, rows: int, columns: list[str], begin: int = 0) -> Iterator[pa.Table]:
        """The rows from row `begin` on, so many at a time, each file with all of the columns."""
        for file, table in read_rows(self.opened, rows, columns, begin):
            given = [self._column(name, table, file.path) for name in columns]
            yield pa.table(given, names=columns)

    def _column(self, name: str, table: pa.Table, file: AnyPath) -> pa.ChunkedArray:
        """A column as it is in all files: of one type, from the folder's name, or null."""
        if name in IMAGE_COLUMNS:
            return table[name]
        kind = self.user_id_type if name == "user_id" else self.plain_field(name).type
        if name not in table.column_names:
            value = partitions_of(file).get(name) if name in self.partitions else None
            return pa.chunked_array([pa.repeat(pa.scalar(value, kind), len(table))])
        column = table[name]
        try:
            column = cast(name, column, kind)
        except pa.ArrowException:
            other = self._file_of(name, kind)
            raise contradiction(file, name, column.type, other, kind) from None
        require_utf8(column, name, file)
        return column

    def _file_of(self, name: str, kind: pa.DataType) -> AnyPath:
        """The first file whose column has made all of them be of a type."""
        for file in self.files:
            schema = FileSchema.read(file).schema
            own = schema.field(name).type if name in schema.names else pa.null()
            if not pa.types.is_null(own) and merge(name, own, kind) == kind:
                return file
        return self.files[0]
