"""The log files of workers, kept next to the output for debugging."""

import glob
import os
from pathlib import Path
from typing import BinaryIO

from tweetprofile.data.files.protection import Inputs, refuse_foreign
from tweetprofile.data.files.provenance import Kind
from tweetprofile.errors import OutputError
from tweetprofile.version import __version__

_FIRST_LINE = f"# tweetprofile {__version__}: what a worker and its libraries print.\n"


def check_logs(out: Path, inputs: Inputs) -> None:
    """Raise OutputError if a foreign file has the name of a log.

    Args:
        out: The output path, whose name is the beginning of the log names.
        inputs: The files that the run reads.
    """
    for path in out.parent.glob(f"{glob.escape(out.name)}.worker-*.log"):
        inputs.refuse(path, path)
        refuse_foreign(path, Kind.LOG, path)


def open_log(out: Path, number: int) -> BinaryIO:
    """Open the log of a worker for reading and appending; an earlier log is appended to.

    Raises:
        OutputError: A foreign file has the log's name, or the log cannot be written.
    """
    path = out.with_name(f"{out.name}.worker-{number}.log")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_FIRST_LINE)
    except FileExistsError:
        return _open_earlier(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
    return path.open("a+b")


def _open_earlier(path: Path) -> BinaryIO:
    refuse_foreign(path, Kind.LOG, path)
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags), "a+b")
