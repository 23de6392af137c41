"""Temporary databases, for data that may not fit in memory and must be found again by a key."""

import sqlite3
from abc import abstractmethod
from typing import Self

from tweetprofile.data.files.scratch import UsesScratch, no_room


class ScratchDatabase(UsesScratch):
    """Base of classes that keep data in a temporary database; use them in a `with` block.

    Raises:
        WriteError: On entering: the database cannot be written.
    """

    def __enter__(self) -> Self:
        self._database = sqlite3.connect(self.scratch / "scratch.sqlite")
        try:
            # The database is worthless after a crash, so it need not survive one.
            self._database.execute("PRAGMA journal_mode = OFF")
            self._database.execute("PRAGMA synchronous = OFF")
            self._fill(self._database)
        except BaseException as error:
            self.close()
            if isinstance(error, sqlite3.Error):
                raise no_room(error) from error
            raise
        return self

    @abstractmethod
    def _fill(self, database: sqlite3.Connection) -> None:
        """Make the tables, and fill them."""

    def close(self) -> None:
        """Close the database and remove it."""
        self._database.close()
        super().close()
