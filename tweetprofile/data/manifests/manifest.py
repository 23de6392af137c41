"""The manifest: Parquet files that list users and the images and texts that they posted.

A manifest is one file, a folder of files or a glob, in one of several forms (`forms.py`). It is
streamed, so that memory does not grow with the number of users. Whatever the form, the result is
batches of successive users: Arrow tables of `user_id`, `images: large_list<struct<bytes, path>>`,
`images_given`, texts if they are wanted, and the requested columns. Rows and users are counted from
0.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.columns import bytes_of, cast, remarks_on, require_utf8
from tweetprofile.data.manifests.forms import (
    Form,
    cap_images,
    group_rows,
    users_from_lists,
)
from tweetprofile.data.manifests.profile_fields import PROFILE_COLUMNS
from tweetprofile.data.manifests.row_groups import (
    SourceFile,
    batch_sizes,
    drop_rows,
    read_rows,
    rechunk,
)
from tweetprofile.data.manifests.schemas import (
    CONTENT_COLUMNS,
    IMAGE_COLUMNS,
    FileSchema,
    contradiction,
    form_of_all,
    holds_bytes,
    merge,
    unify,
)
from tweetprofile.data.manifests.sources import find_sources, fingerprint, partitions_of
from tweetprofile.data.manifests.texts import TEXT_COLUMNS, TextLimits
from tweetprofile.data.manifests.types import plain
from tweetprofile.data.manifests.user_ids import (
    Hashes,
    RepeatedIds,
    check_ids,
    hash_ids,
    position_of,
    repeated_user,
    without_repeats,
)
from tweetprofile.data.manifests.users import MAX_IMAGES, UserBatch, UserId
from tweetprofile.errors import ChangedInputError, ManifestError

_SINGLE_TEXTS_AT_ONCE = 512
"""Rows of the long form that are decoded at a time if none holds an encoded image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An opened manifest, whose columns are checked and whose rows are not yet read.

    Every later read compares the files with their versions when the manifest was opened.

    Attributes:
        source: The manifest as the user named it.
        opened: The Parquet files with their versions when opened, in the order of their rows.
        folder: The default image root: the folder that relative image paths are relative to.
        form: How the manifest gives images, or texts if it has no images.
        schema: The Arrow schema that all files are read with, including partitions.
        partitions: The columns that folder names give.
        remarks: Sentences about how the files were combined, where that may be unexpected.
        is_artificial: Whether a file records that its users were made up.
    """

    source: str
    opened: tuple[SourceFile, ...]
    folder: AnyPath
    form: Form
    schema: pa.Schema
    partitions: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    is_artificial: bool = False

    @classmethod
    def open(cls, source: str | Path) -> "Manifest":
        """Open a Parquet file, a folder of such files or a glob, on disk or in an object store.

        Args:
            source: A path, a glob, or an s3:// or gs:// URI.

        Raises:
            ManifestError: Nothing is there, it is not Parquet, or its columns have no known form.
        """
        sources = find_sources(str(source))
        opened = tuple(map(SourceFile.of, sources.files))
        files = [FileSchema.read(file) for file in sources.files]
        partitions = sources.partitions
        schema = unify(files, partitions)
        return cls(
            source=str(source),
            opened=opened,
            folder=sources.folder,
            form=form_of_all(files, schema, partitions),
            schema=schema,
            partitions=partitions,
            remarks=tuple(remarks_on(sources, files, schema, partitions)),
            is_artificial=any(file.is_artificial for file in files),
        )

    @property
    def files(self) -> tuple[AnyPath, ...]:
        """The paths of the Parquet files, in the order of their rows."""
        return tuple(file.path for file in self.opened)

    def reopened(self, fingerprint: str) -> "Manifest":
        """Return the same manifest on another machine, where the files have other inodes and times.

        Raises:
            ChangedInputError: The files have another fingerprint.
        """
        here = replace(self, opened=tuple(map(SourceFile.of, self.files)))
        if here.fingerprint() != fingerprint:
            raise ChangedInputError(
                f"{self.source} is not the same here as where the run was started; make the same "
                "files visible on every machine, and pass `resume=True` to continue the run."
            )
        return here

    @property
    def user_id_type(self) -> pa.DataType:
        """The Arrow type of `user_id`, with dictionaries decoded."""
        kind = self.schema.field("user_id").type
        return plain(kind.value_type if pa.types.is_dictionary(kind) else kind)

    def plain_field(self, column: str) -> pa.Field:
        """Return a column's name and its Arrow type in the shards."""
        field = self.schema.field(column)
        return field.with_type(plain(field.type))

    def require_columns(self, columns: Iterable[str]) -> None:
        """Raise ManifestError if a file lacks one of the columns."""
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
        """Count the users in one pass over `user_id`, which takes seconds for 10 million users.

        Raises:
            ManifestError: A `user_id` is null or was written as a floating-point number, or a user
                occurs in two rows (in the long form, in rows that are not adjacent).
            WriteError: There is no room for temporary files.
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
        """Yield the ids of all rows in pieces: the first row, the ids, and the ids of new users."""
        first_row, before = 0, pa.array([], self.user_id_type)
        for table in self.read(1 << 16, ["user_id"]):
            ids = table["user_id"].combine_chunks()
            heads = without_repeats(ids, before) if self.form is Form.LONG else ids
            yield first_row, ids, heads
            first_row, before = first_row + len(ids), ids if len(ids) else before

    def _refuse_repeated(self, suspects: Hashes, count: int) -> None:
        """Raise ManifestError if an id with one of these hashes occurs twice."""
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
        """Return the position of the first user with an id, from 0; None if there is no such user.

        Raises:
            ManifestError: The manifest cannot be read.
        """
        position = 0
        for _, _, heads in self._ids():
            found = position_of(user_id, heads)
            if found is not None:
                return position + found
            position += len(heads)
        return None

    def shards(
        self,
        users_per_shard: int,
        columns: Sequence[str] = (),
        max_images: int = MAX_IMAGES,
        texts: TextLimits | None = None,
    ) -> Iterator[UserBatch]:
        """Stream the users one shard at a time; see `batches`."""
        return self.batches(users_per_shard, users_per_shard, columns, max_images, texts=texts)

    def batches(
        self,
        users_per_shard: int,
        users_per_batch: int,
        columns: Sequence[str] = (),
        max_images: int = MAX_IMAGES,
        first_shard: int = 0,
        texts: TextLimits | None = None,
    ) -> Iterator[UserBatch]:
        """Stream the users in batches, none of which crosses the end of a shard.

        Args:
            users_per_shard: The number of users per shard; the last shard may be smaller.
            users_per_batch: The number of users per batch; the last of a shard may be smaller.
            columns: Further columns to keep unchanged, null where a file lacks one. In the long
                form, they are taken from each user's first row.
            max_images: The most images per user; further images are counted and left out.
            first_shard: The shard to begin with. Little of what precedes it is read, except in the
                long form, where everything is read.
            texts: The limits of the texts; None to not read texts at all.

        Raises:
            ManifestError: No file has one of the columns, or a file is damaged.
        """
        names = self.names_with([*self.content_columns(texts is not None), *columns])
        # Encoded images and texts are large, so no more are read than a batch needs.
        rows = users_per_batch if self.carries_bytes else users_per_shard
        if texts is not None and self.has_texts:
            rows = self.rows_at_once(users_per_batch)
        first = first_shard * users_per_shard
        if self.form is Form.LONG:
            grouped = drop_rows(group_rows(self.read(rows, names), max_images, texts), first)
        else:
            grouped = users_from_lists(self.read(rows, names, first), texts)
        for table in rechunk(grouped, batch_sizes(users_per_shard, users_per_batch)):
            yield UserBatch(first // users_per_shard, first, cap_images(table, max_images))
            first += len(table)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the files' contents in order, wherever the files are.

        For a file that is too large to be read twice, its size and Parquet footer are hashed.
        """
        values = [partitions_of(file) for file in self.files] if self.partitions else []
        digest = fingerprint(
            self.files, [[value.get(name) for name in self.partitions] for value in values]
        )
        for file in self.opened:
            file.require_unchanged()
        return digest

    @property
    def has_images(self) -> bool:
        """Whether a file has the column of images, which may be empty."""
        return self._image_column in self.schema.names

    @property
    def has_texts(self) -> bool:
        """Whether a file has the column of texts, which may be empty."""
        return self._text_column in self.schema.names

    @property
    def profile_columns(self) -> tuple[str, ...]:
        """The columns with texts of users' own profiles that a file has."""
        return tuple(
            name
            for name in PROFILE_COLUMNS
            if name in self.schema.names and name not in self.partitions
        )

    @property
    def carries_bytes(self) -> bool:
        """Whether the manifest may hold the images themselves."""
        return self.has_images and holds_bytes(self.schema.field(self._image_column).type)

    def content_columns(self, texts: bool) -> list[str]:
        """Return the columns of images and, if they are wanted, of texts, if a file has them."""
        wanted = [self._image_column, *([self._text_column] if texts else [])]
        return [name for name in wanted if name in self.schema.names]

    def rows_at_once(self, most: int) -> int:
        """Return how many rows to decode at a time if a row with texts is one of `most` at most.

        In the long form, a row has a single text, and a few rows at a time would take most of the
        time for themselves.
        """
        is_small = self.form is Form.LONG and not self.carries_bytes
        return max(most, _SINGLE_TEXTS_AT_ONCE) if is_small else most

    @property
    def _image_column(self) -> str:
        return IMAGE_COLUMNS[self.form is Form.LONG]

    @property
    def _text_column(self) -> str:
        return TEXT_COLUMNS[self.form is Form.LONG]

    def names_with(self, columns: Sequence[str]) -> list[str]:
        """Return `user_id` and other columns, each once.

        Raises:
            ManifestError: No file has one of the columns.
        """
        for column in columns:
            if column not in self.schema.names:
                self.require_columns([column])
        return list(dict.fromkeys(["user_id", *columns]))

    def columns(self, names: list[str]) -> Iterator[pa.Table]:
        """Stream columns unchanged, without the images, in the rows of the files.

        Raises:
            ManifestError: The manifest cannot be read.
        """
        return self.read(1 << 16, names)

    def read(
        self,
        rows: int,
        columns: list[str],
        begin: int = 0,
        on_rows: Callable[[], None] = lambda: None,
        raw: Collection[str] = (),
    ) -> Iterator[pa.Table]:
        """Yield the rows from row `begin` on, at most `rows` at a time, with all columns.

        Args:
            rows: The largest number of rows at a time.
            columns: The columns.
            begin: The first row.
            on_rows: A function that is called whenever rows have been decoded, including those
                before row `begin`.
            raw: Those of the columns that are read as bytes, since their texts may not be UTF-8.

        Raises:
            ManifestError: A file is damaged, or its columns contradict those of other files.
        """
        for file, table in read_rows(self.opened, rows, columns, begin, on_rows):
            given = [
                bytes_of(name, table, file.path)
                if name in raw
                else self._column(name, table, file.path)
                for name in columns
            ]
            yield pa.table(given, names=columns)

    def _column(self, name: str, table: pa.Table, file: AnyPath) -> pa.ChunkedArray:
        """Return a column with the type of all files, from the folder name or null if missing."""
        if name in CONTENT_COLUMNS and name not in self.partitions:
            if name in table.column_names:
                return table[name]
            return pa.chunked_array([pa.nulls(len(table))])
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
        """Return the first file whose column has caused the common type."""
        for file in self.files:
            schema = FileSchema.read(file).schema
            own = schema.field(name).type if name in schema.names else pa.null()
            if not pa.types.is_null(own) and merge(name, own, kind) == kind:
                return file
        return self.files[0]
