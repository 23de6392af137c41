"""Temporary folders: for what grows with a dump, and must not fill memory."""

import os
import tempfile

from tweetprofile.errors import WriteError


def make_scratch() -> "tempfile.TemporaryDirectory[str]":
    """A folder that is gone when it is closed.

    Raises:
        WriteError: there is no room for one.
    """
    try:
        return tempfile.TemporaryDirectory(prefix="tweetprofile-")
    except OSError as error:
        raise no_room(error) from error


def no_room(error: Exception) -> WriteError:
    """What to raise where a temporary file cannot be written."""
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number else str(error)
    return WriteError(
        f"temporary files cannot be written in {tempfile.gettempdir()} ({reason}); make room, or "
        "name another folder in $TMPDIR."
    )
