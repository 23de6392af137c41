"""Labels from a table beside the dump, joined to its users by their ids."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from tweetprofile.errors import OptionError
from tweetprofile.importers.losses import Loss, Losses
from tweetprofile.importers.users import DumpUser
from tweetprofile.traits import RESERVED_COLUMNS

_USERS_A_BATCH = 1 << 12


class LabelTable:
    """A CSV or Parquet file with the column `user_id` and one of text a label.

    Args:
        file: the table.

    Raises:
        OptionError: it cannot be read, has no column to take, or names a user twice.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        table = _read(file)
        if "user_id" not in table.columns:
            raise OptionError(f"{file} has no column 'user_id'; it has {', '.join(table.columns)}.")
        columns = [name for name in table.columns if name != "user_id"]
        if taken := RESERVED_COLUMNS.intersection(columns):
            raise OptionError(f"{file}: no label can be called '{min(taken)}'; rename the column.")
        if not columns:
            raise OptionError(f"{file} has no column beside 'user_id'; add one a trait.")
        # An empty cell is no label, in whichever way a CSV writes it.
        labels = pl.col(columns).cast(pl.String).replace("", None)
        self._table = table.select(pl.col("user_id").cast(pl.String), labels).with_row_index("row")
        repeated = self._table.filter(pl.col("user_id").is_duplicated()).head(1)
        for user_id in repeated["user_id"]:
            raise OptionError(f"{file} has user '{user_id}' twice; keep one row a user.")
        self.columns = tuple(columns)
        self._met = np.zeros(len(self._table), bool)

    def attach(self, users: Iterator[DumpUser]) -> Iterator[DumpUser]:
        """The users with their labels, which stand above what the dump itself says."""
        while batch := list(islice(users, _USERS_A_BATCH)):
            wanted = pl.DataFrame({"user_id": [user.user_id for user in batch]})
            joined = wanted.join(self._table, on="user_id", how="left", maintain_order="left")
            self._met[joined["row"].drop_nulls().to_numpy()] = True
            rows = joined.select(self.columns).iter_rows(named=True)
            for user, labels in zip(batch, rows, strict=True):
                yield replace(user, labels={**user.labels, **labels})

    def note_unmet(self, losses: Losses) -> None:
        """Note the users of the table whom the dump does not have."""
        unmet = self._table.filter(~pl.Series(self._met))
        for row, user_id in unmet.select("row", "user_id").iter_rows():
            losses.note(Loss.NO_SUCH_USER, self.file, row + 1, f"row {row + 1}: {user_id}")


def _read(file: Path) -> pl.DataFrame:
    try:
        if file.suffix.lower() == ".parquet":
            return pl.read_parquet(file)
        return pl.read_csv(file, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OptionError(f"{file} cannot be read as CSV or Parquet: {first}.") from error
