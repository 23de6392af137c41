"""All errors that tweetprofile raises on purpose, as one tree.

::

    TweetprofileError            exit code 1: the run failed
    ├── InputError               exit code 2: wrong usage or unusable input, before any work
    │   ├── ManifestError        the manifest, or a row or column of it
    │   ├── SchemaError          traits and classes that are malformed, or an unknown schema
    │   ├── CheckpointError      a checkpoint that is missing, foreign, damaged or too new
    │   ├── PredictionsError     unreadable predictions, or ones that do not fit the manifest
    │   ├── OptionError          an option that this machine or input does not allow
    │   └── OutputError          an output that cannot be written, or must not be overwritten
    ├── TrainingError            exit code 1: training cannot continue
    ├── WriteError               exit code 1: writing failed during a run (a full disk)
    ├── ChangedInputError        exit code 1: an input was replaced or rewritten during a run
    ├── StoreError               exit code 1: an object store stopped answering during a run
    ├── WorkerError              exit code 1: worker processes die before they can start
    ├── InterruptedRunError      exit code 130: stopped by a signal; the run can be resumed
    ├── ReaderGoneError          exit code 141: standard output was closed by its reader
    ├── TooManyFailuresError     exit code 3: finished, but more images failed than allowed
    └── ImageError               one unusable image; becomes a row's `image_errors`, never an exit

Every message is one sentence that names the file, row or option, and how to fix the problem.
Messages name options as Python parameters in backticks, such as `max_pixels`; the command line
shows them as --max-pixels.
"""

from enum import StrEnum
from typing import ClassVar

CONTINUE = "pass `resume=True` to continue the run"
"""The advice on how to continue, in errors of rooms that several commands share.

For a command that cannot be resumed, the command line shows "run the command again" instead."""

CONTINUE_OR_RESTART = f"{CONTINUE}, or pass `overwrite=True` to start again"
"""The same advice where the run may also start again."""


class TweetprofileError(Exception):
    """The base of all errors that tweetprofile raises on purpose."""

    exit_code: ClassVar[int] = 1


class InputError(TweetprofileError):
    """The usage is wrong or an input is unusable; raised before any work is done."""

    exit_code = 2


class ManifestError(InputError):
    """The manifest cannot be read, or one of its columns or rows is invalid."""


class SchemaError(InputError):
    """Traits or classes are malformed, or there is no schema with a given name."""


class CheckpointError(InputError):
    """The file is not a checkpoint of tweetprofile, is damaged, or has a newer format."""


class PredictionsError(InputError):
    """The file holds no predictions, or they do not fit the labels."""


class OptionError(InputError):
    """The value of an option is out of range, or not possible on this machine."""


class OutputError(InputError):
    """The output exists already, or cannot be written at the requested path."""


class TrainingError(TweetprofileError):
    """Training cannot continue, or there is nothing to learn from."""


class WriteError(TweetprofileError):
    """Output could not be written during a run, for example because the disk is full."""


class ChangedInputError(TweetprofileError):
    """A manifest or checkpoint has changed since the run began."""


class StoreError(TweetprofileError):
    """An object store stopped answering, or no longer accepts the credentials."""


class WorkerError(TweetprofileError):
    """A worker process died repeatedly, and no user can be the cause.

    Attributes:
        sentence: How the worker died, as a sentence.
        printed: The last lines that the worker printed, which may hold anything.
    """

    def __init__(self, sentence: str, printed: str = "") -> None:
        super().__init__(sentence, printed)
        self.sentence = sentence
        self.printed = printed

    def __str__(self) -> str:
        return "\n".join(filter(None, (self.sentence, self.printed)))


class InterruptedRunError(TweetprofileError):
    """The run was stopped by Ctrl-C or SIGTERM; its finished shards are kept."""

    exit_code = 130


class ReaderGoneError(TweetprofileError):
    """Standard output is a pipe that was closed by its reader."""

    exit_code = 141  # the exit code that shells use for SIGPIPE


class TooManyFailuresError(TweetprofileError):
    """The run finished, but more images failed than `max_failed` allows."""

    exit_code = 3


class Reason(StrEnum):
    """Why an image is unusable: all values of `image_errors.reason`."""

    MISSING = "missing"
    """There is no such file, or the image is null."""
    EMPTY = "empty"
    """The image has zero bytes."""
    NOT_AN_IMAGE = "not_an_image"
    """The bytes are not an image (an HTML error page, text, zeros)."""
    UNSUPPORTED_FORMAT = "unsupported_format"
    """The image has a format that no decoder reads."""
    TRUNCATED = "truncated"
    """The image ends before it is complete."""
    CORRUPT = "corrupt"
    """The image has a known format, but its content cannot be decoded."""
    TOO_LARGE = "too_large"
    """The image has more pixels or bytes than the limits allow."""
    TOO_SLOW = "too_slow"
    """The image takes more work or time than the limits allow."""
    OUTSIDE_ROOT = "outside_root"
    """The path leads outside the image root."""
    NOT_A_FILE = "not_a_file"
    """The path leads to a folder, device, pipe or socket."""
    UNSUPPORTED_URI = "unsupported_uri"
    """The URI has a scheme that is not supported."""
    UNREADABLE = "unreadable"
    """The operating system refused to read the file."""


class ImageError(TweetprofileError):
    """One image is unusable.

    Attributes:
        reason: The reason that is written to the output.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason
