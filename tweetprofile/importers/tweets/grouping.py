"""Group photos, which come in any order, by user; the photos of each user come oldest first.

Every photo goes to one of 64 temporary files, chosen by its user. Then one file after the other is
sorted. Memory holds a buffer of photos, and a 64th of all photos at some 100 bytes each.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import polars as pl
import pyarrow as pa

from tweetprofile.data.files.scratch import UsesScratch, no_room
from tweetprofile.importers.users import DumpUser

_FILES = 64

_PHOTOS_IN_MEMORY = 1 << 17
"""The photos to collect before they are written."""

_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("tweet", pa.int64()),
        ("position", pa.int64()),
        ("path", pa.string()),
    ]
)

Row = tuple[str, int, int, str]


class PhotoSorter(UsesScratch):
    """Collect photos and return them by user; use it in a `with` block.

    Raises:
        WriteError: Temporary files cannot be written.
    """

    def __init__(self) -> None:
        self._rows: list[list[Row]] = [[] for _ in range(_FILES)]
        self._count = 0
        self._parts = 0

    def __enter__(self) -> Self:
        self.make_scratch()  # at once, so that lack of room shows before any work is done
        return self

    def add(self, user_id: str, tweet: int, position: int, path: str) -> None:
        """Add a photo: its user, its tweet, its position in the tweet, and the path of its file."""
        self._rows[zlib.crc32(user_id.encode()) % _FILES].append((user_id, tweet, position, path))
        self._count += 1
        if self._count >= _PHOTOS_IN_MEMORY:
            self._write()

    def users(self) -> Iterator[DumpUser]:
        """Yield all users, in an order that depends on their ids alone."""
        self._write()
        for number in range(_FILES):
            yield from self._users_of(number)

    def _write(self) -> None:
        try:
            for number, rows in enumerate(self._rows):
                if rows:
                    columns = [pa.array(column, field.type) for column, field in
                               zip(zip(*rows, strict=True), _SCHEMA, strict=True)]  # fmt: skip
                    table = pa.Table.from_arrays(columns, schema=_SCHEMA)
                    pl.from_arrow(table).write_ipc(self._file(number, self._parts))  # type: ignore[union-attr]
        except OSError as error:
            raise no_room(error) from error
        self._rows, self._count, self._parts = [[] for _ in range(_FILES)], 0, self._parts + 1

    def _file(self, number: int, part: int) -> Path:
        return self.scratch / f"{number:02}-{part:06}.arrow"

    def _users_of(self, number: int) -> Iterator[DumpUser]:
        parts = sorted(self.scratch.glob(f"{number:02}-*.arrow"))
        if not parts:
            return
        photos = pl.concat([pl.read_ipc(part) for part in parts])
        # Dumps hold the same tweet many times over.
        photos = photos.sort("user_id", "tweet", "position", "path").unique(
            ["user_id", "tweet", "path"], keep="first", maintain_order=True
        )
        users = photos.group_by("user_id", maintain_order=True).agg("path")
        for user_id, paths in users.iter_rows():
            yield DumpUser(user_id, paths)
