"""Writing the files of a run, whose disk may be full."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tweetprofile.errors import OutputError, WriteError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one sentence, with the mend, that a file of the run could not be written.

    Raises:
        WriteError: for an error of the system in the block, or the OutputError of a file that is
            written when the run is almost over.
    """
    try:
        yield
    except (OSError, OutputError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WriteError(
            f"{path} cannot be written ({reason.rstrip('.')}); make room there, then give the same "
            "command with --resume."
        ) from error
