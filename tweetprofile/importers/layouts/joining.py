"""Join the rows of a table, which come in any order, into users with the images of all their rows.

Rows stay in memory up to a bound. Beyond it, each goes to one of 128 temporary files, chosen by its
user. Then one file after the other is joined, and the joined users are merged in the order of their
first rows. Memory then holds a 128th of all rows, and one user of each file.
"""

import heapq
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tweetprofile.data.files.scratch import UsesScratch, no_room
from tweetprofile.errors import OptionError
from tweetprofile.importers.skipped import Skipped
from tweetprofile.importers.users import IMAGES_OVER_LIMIT, MOST_IMAGES, DumpUser

_FILES = 128

_CHARACTERS_IN_MEMORY = 64 << 20
"""The characters of names and labels that stay in memory."""

_ROW_OVERHEAD = 200
"""What a row takes in memory in addition, in characters."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table of users.

    Attributes:
        user_id: The id of the row's user.
        where: The file and line of the row, for messages.
        images: The paths of images.
        labels: The labels, in the order of the table's columns.
    """

    user_id: str
    where: str
    images: list[str]
    labels: list[str | None]


_JoinedUser = tuple[int, str, list[str], list[str | None]]
"""The number of the user's first row, the user's id, images and labels."""


class UserJoiner(UsesScratch):
    """Join rows by user; use it in a `with` block.

    Args:
        columns: The names of the labels.
        skipped: Counts as left out the images beyond the most that a user may have.

    Attributes:
        count: The number of rows added so far.

    Raises:
        WriteError: Temporary files cannot be written.
    """

    def __init__(self, columns: Sequence[str], skipped: Skipped) -> None:
        self._columns = columns
        self._skipped = skipped
        self._rows: list[tuple[int, TableRow]] = []
        self._characters = 0
        self.count = 0

    def add(self, row: TableRow) -> None:
        """Add a row."""
        if over_limit := len(row.images[MOST_IMAGES:]):
            self._skipped.leave_out(IMAGES_OVER_LIMIT, over_limit)
            del row.images[MOST_IMAGES:]
        self._rows.append((self.count, row))
        self.count += 1
        self._characters += _ROW_OVERHEAD + len(row.where) + sum(map(len, row.images))
        self._characters += sum(len(label) for label in row.labels if label)
        if self._characters >= _CHARACTERS_IN_MEMORY:
            self._write_rows()

    def users(self) -> Iterator[DumpUser]:
        """Yield all users, in the order of their first rows.

        Raises:
            OptionError: Two rows of a user contradict each other.
        """
        if not self.has_scratch:
            joined: Iterable[_JoinedUser] = self._join(self._rows)
        else:
            self._write_rows()
            files = [self._write_joined(number) for number in range(_FILES)]
            joined = heapq.merge(*map(_read_lines, files))
        for _, user_id, images, labels in joined:
            yield DumpUser(user_id, images, dict(zip(self._columns, labels, strict=True)))

    def _join(self, rows: Iterable[tuple[int, TableRow]]) -> list[_JoinedUser]:
        users: dict[str, tuple[int, TableRow]] = {}
        for number, row in rows:
            if row.user_id not in users:
                users[row.user_id] = number, row
                continue
            first = users[row.user_id][1]
            remaining = MOST_IMAGES - len(first.images)
            self._skipped.leave_out(IMAGES_OVER_LIMIT, len(row.images[remaining:]))
            first.images.extend(row.images[:remaining])
            self._add_labels(first, row)
        return [(number, row.user_id, row.images, row.labels) for number, row in users.values()]

    def _add_labels(self, first: TableRow, row: TableRow) -> None:
        for position, label in enumerate(row.labels):
            known = first.labels[position]
            if known is None:
                first.labels[position] = label
            elif label is not None and label != known:
                raise OptionError(
                    f"{row.where}: '{self._columns[position]}' of user '{row.user_id}' is "
                    f"'{label[:80]}', but '{known[:80]}' in {first.where}; correct one of them, or "
                    "drop the column if it does not describe users."
                )

    def _write_rows(self) -> None:
        """Move the rows from memory to the temporary files of their users."""
        lines: list[list[str]] = [[] for _ in range(_FILES)]
        for number, row in self._rows:
            line = json.dumps([number, row.user_id, row.where, row.images, row.labels])
            lines[zlib.crc32(row.user_id.encode()) % _FILES].append(f"{line}\n")
        try:
            for number, some in enumerate(lines):
                with self._file(number).open("a", encoding="utf-8") as file:
                    file.writelines(some)
        except OSError as error:
            raise no_room(error) from error
        self._rows, self._characters = [], 0

    def _write_joined(self, number: int) -> Path:
        """Join the rows of one file into a file of users, in the order of their first rows."""
        file = self._file(number)
        rows = ((row_number, TableRow(*fields)) for row_number, *fields in _read_lines(file))
        target = file.with_suffix(".joined")
        try:
            with target.open("w", encoding="utf-8") as joined:
                joined.writelines(f"{json.dumps(user)}\n" for user in self._join(rows))
        except OSError as error:
            raise no_room(error) from error
        file.unlink()
        return target

    def _file(self, number: int) -> Path:
        return self.scratch / f"{number:03}.rows"


def _read_lines(file: Path) -> Iterator[Any]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
