"""Errors of writing the files of a run, whose disk may be full."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tweetprofile.errors import OutputError, WriteError


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Turn errors of writing a file of the run into one sentence that says how to continue.

    Args:
        path: The file that the block writes.

    Raises:
        WriteError: The block raised an OSError or, since an output is checked once more just before
            it is replaced, an OutputError.
    """
    try:
        yield
    except (OSError, OutputError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WriteError(
            f"cannot write {path} ({reason.rstrip('.')}); make room there, then run the same "
            "command with `resume=True`."
        ) from error
