"""Group photos and texts, which come in any order, by user; those of each user come oldest first.

Everything goes to one of 64 temporary files, chosen by its user. Then one file after the other is
sorted; one that is too large is first divided again. Memory holds a buffer, and one file.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import polars as pl
import pyarrow as pa

from tweetprofile.data.files.scratch import UsesScratch, no_room
from tweetprofile.importers.skipped import Skipped
from tweetprofile.importers.tweets.photos import Photo
from tweetprofile.importers.tweets.texts import TweetText, UserProfile
from tweetprofile.importers.users import PROFILE_FIELDS, DumpUser, newest_texts

KNOWN_FROM_OTHERS = "users of whom the dump holds only texts that others quoted or retweeted"

_FILES = 64

_ROWS_IN_MEMORY = 1 << 17
"""The rows to collect before they are written."""

_CHARACTERS_IN_MEMORY = 32 << 20
"""The characters to collect before they are written."""

_LARGEST_FILE = 256 << 20
"""The bytes of one user group that are sorted at once; more are divided again."""

_USERS_AT_ONCE = 32
"""The users whose texts are Python strings at the same time."""

_TEXT, _INNER_TEXT, _PROFILE = 0, -1, -2
"""What a row is; photos have their position in the tweet, from 1."""

_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("tweet", pa.int64()),
        ("kind", pa.int64()),
        ("value", pa.string()),
    ]
)

Row = tuple[str, int, int, str]


class TweetSorter(UsesScratch):
    """Collect photos and texts, and return them by user; use it in a `with` block.

    Args:
        skipped: Counts the users and texts that are left out.

    Raises:
        WriteError: Temporary files cannot be written.
    """

    def __init__(self, skipped: Skipped) -> None:
        self._skipped = skipped
        self._rows: list[list[Row]] = [[] for _ in range(_FILES)]
        self._profiles: dict[str, UserProfile] = {}
        self._count = self._characters = 0
        self._parts = 0

    def __enter__(self) -> Self:
        self.make_scratch()  # at once, so that lack of room shows before any work is done
        return self

    def add_photo(self, photo: Photo, path: str) -> None:
        """Add a photo and the path of its file."""
        self._add(photo.user_id, photo.tweet, photo.position, path)

    def add_text(self, text: TweetText) -> None:
        """Add the text of a tweet; of several versions of one tweet the longest counts."""
        kind = _INNER_TEXT if text.is_inner else _TEXT
        self._add(text.user_id, text.tweet, kind, text.text)

    def add_profile(self, profile: UserProfile) -> None:
        """Add a profile; of several of one user that at the time of the latest tweet counts."""
        known = self._profiles.get(profile.user_id)
        if known is None or known.tweet <= profile.tweet:
            self._profiles[profile.user_id] = profile
            self._characters += sum(len(field) for field in profile.fields if field)
            self._write_if_full()

    def users(self) -> Iterator[DumpUser]:
        """Yield all users, in an order that depends on their ids alone."""
        self._write()
        for number in range(_FILES):
            parts = sorted(self.scratch.glob(f"{number:02}-*.arrow"))
            if sum(part.stat().st_size for part in parts) <= _LARGEST_FILE:
                yield from self._users_in(parts)
            else:
                for some in self._divide(number, parts):
                    yield from self._users_in(some)

    def _add(self, user_id: str, tweet: int, kind: int, value: str) -> None:
        self._rows[_hash(user_id) % _FILES].append((user_id, tweet, kind, value))
        self._count += 1
        self._characters += len(value)
        self._write_if_full()

    def _write_if_full(self) -> None:
        is_full = self._count + len(self._profiles) >= _ROWS_IN_MEMORY
        if is_full or self._characters >= _CHARACTERS_IN_MEMORY:
            self._write()

    def _write(self) -> None:
        for each in self._profiles.values():
            row = each.user_id, each.tweet, _PROFILE, json.dumps(each.fields)
            self._rows[_hash(each.user_id) % _FILES].append(row)
        for number, rows in enumerate(self._rows):
            _write_rows(rows, self.scratch / f"{number:02}-{self._parts:06}.arrow")
        self._rows, self._profiles = [[] for _ in range(_FILES)], {}
        self._count = self._characters = 0
        self._parts += 1

    def _divide(self, number: int, parts: list[Path]) -> Iterator[list[Path]]:
        """Divide the rows of one group of users into smaller groups, on the disk."""
        for count, part in enumerate(parts):
            groups: list[list[Row]] = [[] for _ in range(_FILES)]
            for row in pl.read_ipc(part).iter_rows():
                groups[_hash(row[0]) // _FILES % _FILES].append(row)
            for group, rows in enumerate(groups):
                _write_rows(rows, self.scratch / f"group-{number:02}-{group:02}-{count:06}.arrow")
            part.unlink()
        for group in range(_FILES):
            yield sorted(self.scratch.glob(f"group-{number:02}-{group:02}-*.arrow"))

    def _users_in(self, parts: list[Path]) -> Iterator[DumpUser]:
        if not parts:
            return
        rows = pl.concat([pl.read_ipc(part) for part in parts])
        for part in parts:
            part.unlink()
        for user_id, paths, texts, profile, is_known in _by_user(rows).iter_rows(
            buffer_size=_USERS_AT_ONCE
        ):
            if not is_known:
                self._skipped.leave_out(KNOWN_FROM_OTHERS)
                continue
            fields = json.loads(profile) if profile is not None else [None] * len(PROFILE_FIELDS)
            newest = newest_texts(texts or [], self._skipped.leave_out)
            yield DumpUser(
                user_id,
                paths or [],
                texts=newest,
                profile=dict(zip(PROFILE_FIELDS, fields, strict=True)),
            )


def _by_user(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each user's paths, texts and profile, and whether the user has any of their own."""
    kind = pl.col("kind")
    users = rows.group_by("user_id").agg(is_known=(kind >= _TEXT).any()).sort("user_id")
    # Dumps hold the same tweet many times over.
    photos = (
        rows.filter(kind > _TEXT)
        .sort("user_id", "tweet", "kind", "value")
        .unique(["user_id", "tweet", "value"], keep="first", maintain_order=True)
    )
    length = pl.col("value").str.len_bytes()
    texts = (
        rows.filter(kind.is_in([_TEXT, _INNER_TEXT]))
        .sort("user_id", "tweet", length, "value")
        .unique(["user_id", "tweet"], keep="last", maintain_order=True)
    )
    profiles = rows.filter(kind == _PROFILE).sort("user_id", "tweet", "value")
    found: Sequence[tuple[str, pl.DataFrame, Any]] = (
        ("paths", photos, pl.col("value")),
        ("texts", texts, pl.col("value")),
        ("profile", profiles, pl.col("value").last()),
    )
    for name, items, value in found:
        grouped = items.group_by("user_id", maintain_order=True).agg(value.alias(name))
        users = users.join(grouped, on="user_id", how="left", maintain_order="left")
    return users.select("user_id", "paths", "texts", "profile", "is_known")


def _hash(user_id: str) -> int:
    return zlib.crc32(user_id.encode())


def _write_rows(rows: list[Row], file: Path) -> None:
    if not rows:
        return
    columns = [
        pa.array(column, field.type)
        for column, field in zip(zip(*rows, strict=True), _SCHEMA, strict=True)
    ]
    table = pa.Table.from_arrays(columns, schema=_SCHEMA)
    try:
        pl.from_arrow(table).write_ipc(file)  # type: ignore[union-attr]
    except OSError as error:
        raise no_room(error) from error
