"""`with` blocks that end in `close`, and temporary folders for data that may not fit in memory."""

import os
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from tweetprofile.errors import WriteError


class Closing(ABC):
    """Base of classes that are used in a `with` block and closed at its end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Release everything that the object holds."""


class UsesScratch(Closing):
    """Base of classes that keep data in a temporary folder; `close` removes it.

    Most dumps need no such folder, so it is made when `scratch` is first used.
    """

    _scratch: "tempfile.TemporaryDirectory[str] | None" = None

    @property
    def scratch(self) -> Path:
        """The temporary folder.

        Raises:
            WriteError: The folder cannot be made.
        """
        return Path((self._scratch or self.make_scratch()).name)

    @property
    def has_scratch(self) -> bool:
        """Whether the temporary folder has been made."""
        return self._scratch is not None

    def make_scratch(self) -> "tempfile.TemporaryDirectory[str]":
        """Make the temporary folder now.

        Raises:
            WriteError: The folder cannot be made.
        """
        try:
            self._scratch = tempfile.TemporaryDirectory(prefix="tweetprofile-")
        except OSError as error:
            raise no_room(error) from error
        return self._scratch

    def close(self) -> None:
        """Remove the temporary folder."""
        if self._scratch is not None:
            self._scratch.cleanup()


def no_room(error: Exception) -> WriteError:
    """Return the error to raise when a temporary file cannot be written."""
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number else str(error)
    return WriteError(
        f"temporary files cannot be written in {tempfile.gettempdir()} ({reason}); make room, or "
        "name another folder in $TMPDIR."
    )
