"""Images and texts that a manifest holds itself, read by the workers and not by the supervisor.

Encoded images and texts are most of such a manifest. If the supervisor read them, it would have to
hand every byte to a worker, and no more workers could be fed than one process can. So the
supervisor reads the ids and the kept columns only, and tells a worker which rows to read. Each
worker reads its rows in order, so that it decodes little of the file that is not its own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tweetprofile.data.manifests.forms import (
    Form,
    cap_images,
    group_rows,
    run_starts,
    users_from_lists,
)
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.profile_fields import join_fields
from tweetprofile.data.manifests.row_groups import batch_sizes, drop_rows, rechunk
from tweetprofile.data.manifests.schemas import FileSchema
from tweetprofile.data.manifests.texts import TextLimits, require_text
from tweetprofile.data.manifests.users import RowRange, UserBatch
from tweetprofile.errors import ManifestError

_FIRST, _ROWS = "tweetprofile: first row", "tweetprofile: rows"
"""Columns for the rows of a user in the long form, with names that no manifest uses by accident."""

_ROWS_AT_ONCE = 8
"""The largest number of rows that are decoded at a time, since each may hold many images."""


@dataclass(frozen=True, slots=True)
class ContentRows:
    """The images and texts of a manifest, as a worker is told to read them.

    Attributes:
        manifest: The manifest, which holds its images, or texts that are wanted.
        max_images: The largest number of images per user.
        texts: The limits of the texts; None to not read texts.
        profile: The columns of users' own profiles to read, too, if texts are read.
    """

    manifest: Manifest
    max_images: int
    texts: TextLimits | None = None
    profile: tuple[str, ...] = ()


def batches_without_content(
    manifest: Manifest,
    users_per_shard: int,
    users_per_batch: int,
    columns: Sequence[str] = (),
    first_shard: int = 0,
) -> Iterator[UserBatch]:
    """Stream the users as `Manifest.batches` does, with the rows of their images and texts instead.

    The tables have neither images nor texts nor their numbers.

    Args:
        manifest: The manifest.
        users_per_shard: The number of users per shard; the last shard may be smaller.
        users_per_batch: The number of users per batch; the last of a shard may be smaller.
        columns: Further columns to keep unchanged.
        first_shard: The shard to begin with.

    Raises:
        ManifestError: No file has one of the columns, or a file is damaged.
    """
    names = manifest.names_with(columns)
    first = first_shard * users_per_shard
    is_long = manifest.form is Form.LONG
    tables = manifest.read(users_per_shard, names, 0 if is_long else first)
    if is_long:
        tables = drop_rows(_count_rows(tables), first)
    for table in rechunk(tables, batch_sizes(users_per_shard, users_per_batch)):
        every = RowRange(first, len(table), len(table))
        users, rows = _split_off_rows(table) if is_long else (table, every)
        yield UserBatch(first // users_per_shard, first, users, rows)
        first += len(users)


def require_texts(manifest: Manifest, columns: Iterable[str]) -> None:
    """Raise ManifestError if a file has something else than texts in a column of profile fields.

    Floating-point numbers pass here, as which pandas writes a column without any value.
    """
    wanted = [name for name in columns if name in manifest.profile_columns]
    for file in manifest.files if wanted else ():
        schema = FileSchema.read(file).schema
        for name in wanted:
            kind = schema.field(name).type if name in schema.names else pa.null()
            if not pa.types.is_floating(kind):
                require_text(name, kind, file)


def only_content_of(table: pa.Table, position: int) -> pa.Table:
    """Return a batch's table with the images and texts of one user; all other lists are empty."""
    for name in ("images", "texts"):
        if name in table.column_names:
            own = table[name][position].values
            offsets = [0] * (position + 1) + [len(own)] * (len(table) - position)
            lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), own)
            table = table.set_column(table.schema.get_field_index(name), name, lists)
    return table


class ContentRowReader:
    """Reads images and texts of ranges of rows; fastest if each range follows the one before it.

    Args:
        rows: The manifest to read.
    """

    def __init__(self, rows: ContentRows) -> None:
        self._manifest = rows.manifest
        self._most = rows.max_images
        self._is_long = self._manifest.form is Form.LONG
        self._texts = rows.texts
        self._profile = rows.profile if rows.texts is not None else ()
        content = self._manifest.content_columns(rows.texts is not None)
        self._columns = ["user_id", *content, *self._profile]
        self._tables: Iterator[pa.Table] = iter(())
        self._ahead: pa.Table | None = None
        self._next = -1
        self._on_rows: Callable[[], None] = lambda: None

    def read(self, rows: RowRange, on_rows: Callable[[], None] = lambda: None) -> pa.Table:
        """Return the users of some rows, with the columns of a batch's table.

        Args:
            rows: The rows; they must not divide the rows of a user.
            on_rows: A function that is called whenever some rows have been decoded.

        Raises:
            ManifestError: The manifest is damaged.
            ChangedInputError: The manifest has changed since it was opened.
        """
        self._on_rows = on_rows
        if rows.first != self._next:
            self._seek(rows.first)
        tables = self._take(rows.count)
        if self._is_long:
            users = group_rows(tables, self._most, self._texts, self._profile)
        else:
            users = users_from_lists(tables, self._texts)
        table = pa.concat_tables(list(users), promote_options="permissive")
        table = table.slice(0, rows.users)
        if self._texts is not None and self._profile:
            table = join_fields(table, self._profile, self._texts)
        return cap_images(table, self._most)

    def _seek(self, row: int) -> None:
        rows = self._manifest.rows_at_once(_ROWS_AT_ONCE)
        self._tables = self._manifest.read(
            rows, self._columns, row, self._report, raw=self._profile
        )
        self._ahead, self._next = None, row

    def _report(self) -> None:
        self._on_rows()  # that of the current read, which may not be the one that sought the row

    def _take(self, count: int) -> Iterator[pa.Table]:
        """Yield the next `count` rows."""
        self._next += count
        while count:
            table = self._ahead if self._ahead is not None else next(self._tables, None)
            if table is None:
                raise ManifestError(
                    f"{self._manifest.source} has fewer rows than at the start of the run; put the "
                    "old file back."
                )
            yield table.slice(0, count)
            self._ahead = table.slice(count) if len(table) > count else None
            count -= min(count, len(table))


def _count_rows(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join adjacent rows of a user into the first one, with the number of the row and of all rows.

    Args:
        tables: The rows of the long form, with `user_id` and without images.
    """
    pending: pa.Table | None = None
    row = 0
    for table in tables:
        starts = run_starts(table["user_id"].combine_chunks()).to_numpy()
        if not len(starts):
            continue
        users = table.take(pa.array(starts))
        users = users.append_column(_FIRST, pa.array(starts + row))
        users = users.append_column(_ROWS, pa.array(np.diff([*starts, len(table)])))
        row += len(table)
        if pending is not None:
            users = _join_pending(pending, users)
        if len(users) > 1:
            yield users.slice(0, len(users) - 1)
        pending = users.slice(len(users) - 1)
    if pending is not None:
        yield pending


def _split_off_rows(table: pa.Table) -> tuple[pa.Table, RowRange]:
    """Return the users of a table from `_count_rows`, and the rows of all of them."""
    rows = RowRange(table[_FIRST][0].as_py(), pc.sum(table[_ROWS]).as_py(), len(table))
    return table.drop_columns([_FIRST, _ROWS]), rows


def _join_pending(pending: pa.Table, users: pa.Table) -> pa.Table:
    """Put the last user before `users`, or join the two if the first of `users` is the same."""
    if pending["user_id"][0] != users["user_id"][0]:
        return pa.concat_tables([pending, users], promote_options="permissive")
    rows = pa.array([pending[_ROWS][0].as_py() + users[_ROWS][0].as_py()], pa.int64())
    joined = pending.set_column(pending.schema.get_field_index(_ROWS), _ROWS, rows)
    return pa.concat_tables([joined, users.slice(1)], promote_options="permissive")
