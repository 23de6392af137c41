"""How a failure to write an output is shown: as one sentence that says how to continue."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from tweetprofile.data.files.storage import why
from tweetprofile.errors import OutputError, WriteError


@contextmanager
def writing(out: str) -> Iterator[None]:
    """Turn errors of the file system and of Arrow into a `WriteError` that names the output."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or why(error)
        raise WriteError(
            f"{out} cannot be written: {reason}; fix that, and run it again with `resume=True`."
        ) from error


@contextmanager
def finishing() -> Iterator[None]:
    """Turn an `OutputError` into a `WriteError`, because all shards are kept.

    It means that something that must not be replaced has appeared since the run began.
    """
    try:
        yield
    except OutputError as error:
        sentence = str(error).rstrip(".")
        raise WriteError(f"{sentence}, and then run it again with `resume=True`.") from error
