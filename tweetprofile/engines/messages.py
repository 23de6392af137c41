"""What the supervising process and its workers say to each other."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tweetprofile.errors import TweetprofileError
from tweetprofile.job import (
    DecoderName,
    ExaminerFacts,
    ExtractorFacts,
    FrameSize,
    PredictorFacts,
    PredictorOptions,
)
from tweetprofile.stages import Stage


@dataclass(frozen=True, slots=True)
class PredictJob:
    """To a worker, first: predict profiles.

    Attributes:
        checkpoint: the model file.
        options: of its predictors.
        processors: that it is to keep busy if it computes on a CPU.
    """

    checkpoint: Path
    options: PredictorOptions
    processors: int = 1


@dataclass(frozen=True, slots=True)
class ExtractJob:
    """To a worker, first: extract frames.

    Attributes:
        frames: which.
        options: where images are, and how to decode them; precision is of no matter.
        processors: that it is to keep busy if it decodes on a CPU.
    """

    frames: FrameSize
    options: PredictorOptions
    processors: int = 1


@dataclass(frozen=True, slots=True)
class ExamineJob:
    """To a worker, first: find out what every image is.

    Attributes:
        frames: of a volume.
        options: where images are, and the caps; precision is of no matter.
        full_decode: whether images are decoded that their headers vouch for.
        processors: that it is to keep busy.
    """

    frames: int
    options: PredictorOptions
    full_decode: bool = False
    processors: int = 1


Job = PredictJob | ExtractJob | ExamineJob

Facts = PredictorFacts | ExtractorFacts | ExaminerFacts


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: it has done its work with one drawn image and waits for users.

    Attributes:
        facts: what its lanes came to be.
        lanes: tasks that it works on at a time.
        turns: lanes that compute at a time.
    """

    facts: Facts
    lanes: int
    turns: int


@dataclass(frozen=True, slots=True)
class Refused:
    """From a worker: its job cannot be done here, or not be continued, and why."""

    error: TweetprofileError


@dataclass(frozen=True, slots=True)
class Task:
    """To a worker: what to decode the users with that follow it, packed; its number comes back.

    They follow as bytes of their own: pickling copies images embedded in a manifest three times.

    Attributes:
        number: of the task.
        decoder: what to decode with.
        too_slow: images that are not to be tried again: user's position among the users, and
            image's position in the user's list.
    """

    number: int
    decoder: DecoderName
    too_slow: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Begun:
    """From a worker: it has begun with a task. If it dies now, this may be why."""

    number: int


@dataclass(frozen=True, slots=True)
class Done:
    """From a worker: the table (packed) that a task gave, a row a user; where the time went."""

    number: int
    table: pa.Buffer
    seconds: dict[Stage, float]


def pack(table: pa.Table) -> pa.Buffer:
    """A table as bytes; of a slice, its own rows alone."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def unpack(data: pa.Buffer | bytes) -> pa.Table:
    """What was packed; it lives in `data`."""
    with pa.ipc.open_stream(data) as stream:
        return stream.read_all()
