"""Join the labels of a table to the users of a dump, by their ids."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from tweetprofile.errors import OptionError
from tweetprofile.importers.label_files import LabelFile
from tweetprofile.importers.skipped import Skipped, SkipReason
from tweetprofile.importers.users import DumpUser
from tweetprofile.plurals import one_or_many
from tweetprofile.untrusted.text import printable

_USERS_PER_BATCH = 1 << 12

_CHARACTERS_PER_BATCH = 16 << 20

_IDS_SHOWN = 3


class LabelTable:
    """The labels of users, from a CSV or Parquet file.

    Args:
        file: The file, with the column `user_id` and one column per label.

    Attributes:
        columns: The names of the labels that are taken.
        notes: Sentences on columns that are not taken, and on how labels were read.
        warnings: Sentences on classes that look like one another.
        labelled: The number of users with a label per column, of those whom `count` has seen.

    Raises:
        OptionError: The table cannot be read, has no row or no column of labels, has a malformed
            row or a rounded id, or names a user twice.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        label_file = LabelFile(file)
        self.columns = label_file.columns
        self._table = label_file.read().with_row_index("row")
        described = label_file.describe_columns()
        self.notes = (*label_file.notes, *(note for each in described for note in each.notes))
        self.warnings = tuple(warning for each in described for warning in each.warnings)
        ids = pl.col("user_id")
        repeated = self._table.filter(ids.is_duplicated() & ids.is_not_null()).head(1)
        for user_id in repeated["user_id"]:
            raise OptionError(f"{file} has user '{user_id}' twice; keep one row per user.")
        self._found = np.zeros(len(self._table), bool)
        self.labelled: dict[str, int] = dict.fromkeys(self.columns, 0)
        self._first_users: list[str] = []

    def attach(self, users: Iterator[DumpUser]) -> Iterator[DumpUser]:
        """Yield the users with their labels, which override those of the dump itself."""
        unlabelled = dict.fromkeys(self.columns)
        for batch in _batches(users):
            wanted = pl.DataFrame({"user_id": [user.user_id for user in batch]})
            joined = wanted.join(self._table, on="user_id", how="left", maintain_order="left")
            self._found[joined["row"].drop_nulls().to_numpy()] = True
            rows = joined.select(self.columns).iter_rows(named=True)
            missing = _IDS_SHOWN - len(self._first_users)
            self._first_users += [user.user_id for user in batch[:missing]]
            for user, labels in zip(batch, rows, strict=True):
                known = {name: label for name, label in labels.items() if label is not None}
                yield replace(user, labels={**unlabelled, **user.labels, **known})

    def count(self, user: DumpUser) -> None:
        """Count the labels of a user who is in the manifest."""
        for name in self.columns:
            self.labelled[name] += user.labels.get(name) is not None

    def require_common_users(self) -> None:
        """Raise OptionError if none of the table's users is in the dump."""
        if self._found.any() or not self._first_users:
            return
        ids = self._table["user_id"].drop_nulls()
        none = f"none of its {len(ids):,} users is in the dump"
        none = one_or_many(len(ids), "its only user is not in the dump", none)
        raise OptionError(
            f"{self.file}: {none}; it has "
            f"{_quoted(ids[:_IDS_SHOWN])}, and the dump has {_quoted(self._first_users)}; write "
            "the dump's ids into the column user_id."
        )

    def skip_unknown_users(self, skipped: Skipped) -> None:
        """Record as skipped the users of the table who are not in the dump."""
        unknown = self._table.filter(~pl.Series(self._found))
        for row, user_id in unknown.select("row", "user_id").iter_rows():
            skipped.add(SkipReason.NO_SUCH_USER, self.file, row + 1, f"row {row + 1}: {user_id}")


def _batches(users: Iterator[DumpUser]) -> Iterator[list[DumpUser]]:
    """Yield users in lists, which are shorter if the users have many texts."""
    batch: list[DumpUser] = []
    characters = 0
    for user in users:
        batch.append(user)
        characters += sum(map(len, user.texts))
        if len(batch) == _USERS_PER_BATCH or characters >= _CHARACTERS_PER_BATCH:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _quoted(ids: Iterable[str]) -> str:
    return ", ".join(f"'{printable(each, 60)}'" for each in ids)
