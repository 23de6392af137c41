"""What can go wrong, as one tree.

::

    TweetprofileError            exit code 1: the run failed
    ├── InputError               exit code 2: usage or unusable input, before any work
    │   ├── ManifestError        the manifest, or a row or column of it
    │   ├── SchemaError          traits and classes that make no sense, or that nobody knows
    │   ├── CheckpointError      a checkpoint that is missing, foreign, damaged or too new
    │   ├── PredictionsError     predictions that are none, or do not fit the manifest
    │   ├── OptionError          an option that this machine or this input cannot honour
    │   └── OutputError          a place that cannot be written to, or must not be overwritten
    ├── TrainingError            exit code 1: training cannot go on
    ├── WriteError               exit code 1: writing failed in mid-run (a full disk)
    ├── WorkerError              exit code 1: worker processes die before they can begin
    ├── InterruptedRunError      exit code 130: stopped from outside, and can be resumed
    ├── TooManyFailuresError     exit code 3: finished, but more images failed than allowed
    └── ImageError               one unusable image; becomes a row's `image_errors`, never an exit

Every message is one sentence that names the file, row or option, and the mend.
"""

from enum import StrEnum
from typing import ClassVar


class TweetprofileError(Exception):
    """The root of the tree: catch this to catch all that tweetprofile raises on purpose."""

    exit_code: ClassVar[int] = 1


class InputError(TweetprofileError):
    """Usage or input that cannot be worked with, found before any work was done."""

    exit_code = 2


class ManifestError(InputError):
    """The manifest cannot be read, or a column or row of it breaks the contract."""


class SchemaError(InputError):
    """Traits and classes that are malformed, or a name that stands for no schema."""


class CheckpointError(InputError):
    """The file is no checkpoint of ours, is damaged, or is of a newer format."""


class PredictionsError(InputError):
    """The file holds no predictions, or they and the labels do not go together."""


class OptionError(InputError):
    """An option's value is out of range, or this machine cannot honour it."""


class OutputError(InputError):
    """The output exists already, or cannot be written where it was asked for."""


class TrainingError(TweetprofileError):
    """Training cannot go on, or found nothing to learn from."""


class WriteError(TweetprofileError):
    """Output could not be written, although the run had begun well: the disk is full, say."""


class WorkerError(TweetprofileError):
    """A worker process died again and again while no user could be to blame."""


class InterruptedRunError(TweetprofileError):
    """The run was stopped by Ctrl-C or SIGTERM; what is finished is kept."""

    exit_code = 130


class TooManyFailuresError(TweetprofileError):
    """The run finished, but more images failed than `max_failed` allows."""

    exit_code = 3


class Reason(StrEnum):
    """Why an image is unusable: the closed set of `image_errors.reason`."""

    MISSING = "missing"
    """No such file, or a null where an image should be."""
    EMPTY = "empty"
    """Zero bytes."""
    NOT_AN_IMAGE = "not_an_image"
    """The bytes are no image format at all (an HTML error page, text, zeros)."""
    UNSUPPORTED_FORMAT = "unsupported_format"
    """An image format that no decoder here reads."""
    TRUNCATED = "truncated"
    """An image that ends before it is complete."""
    CORRUPT = "corrupt"
    """A known format whose content cannot be decoded."""
    TOO_LARGE = "too_large"
    """More pixels or more bytes than the caps allow."""
    TOO_SLOW = "too_slow"
    """An image that takes more work or time than the caps allow."""
    OUTSIDE_ROOT = "outside_root"
    """A path that leads out of the image root."""
    NOT_A_FILE = "not_a_file"
    """A folder, device, pipe or socket."""
    UNSUPPORTED_URI = "unsupported_uri"
    """A URI of a scheme that is not read."""
    UNREADABLE = "unreadable"
    """The operating system refused to read it."""


class ImageError(TweetprofileError):
    """One image is unusable.

    Attributes:
        reason: the member of `Reason` that goes to the output.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason
