"""The messages between the supervisor and its workers.

The first message to a worker is a `Job` (`jobs.py`); then follow tasks. A worker answers with
`Ready`, and with `Begun` and `Done` for each task, or with `Refused`.
"""

from dataclasses import dataclass

import pyarrow as pa

from tweetprofile.data.manifests.users import RowRange
from tweetprofile.errors import TweetprofileError
from tweetprofile.job import DecoderName, WorkerFacts
from tweetprofile.stages import Stage


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: it has processed a test image and waits for tasks.

    Attributes:
        facts: What the worker reports about itself.
        threads: The number of tasks that it works on at the same time, one per worker thread.
        compute_slots: The number of worker threads that may compute at the same time.
    """

    facts: WorkerFacts
    threads: int
    compute_slots: int


@dataclass(frozen=True, slots=True)
class Refused:
    """From a worker: it cannot do or continue its job on this machine.

    Attributes:
        error: The reason.
    """

    error: TweetprofileError


@dataclass(frozen=True, slots=True)
class Task:
    """To a worker: process some users.

    Attributes:
        number: The number of the task, which `Begun` and `Done` repeat.
        decoder: The decoder to use.
        rows: The rows of the users in the job's manifest, for the worker to read. If it is None,
            the users follow as packed bytes of their own, because pickling would copy images three
            times.
        only_user: The position of the only user to read images of; None for all. This is for
            `rows`: users who follow come without the images of others.
        too_slow: The images that must not be decoded again, each as the position of the user among
            the users and the position of the image in the user's list.
    """

    number: int
    decoder: DecoderName
    rows: RowRange | None = None
    only_user: int | None = None
    too_slow: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Begun:
    """From a worker: it has begun a task. If the worker crashes now, the task may be the cause.

    Attributes:
        number: The number of the task.
    """

    number: int


@dataclass(frozen=True, slots=True)
class Done:
    """From a worker: it has finished a task.

    Attributes:
        number: The number of the task.
        table: The packed result, with one row per user.
        seconds: The time spent per stage.
    """

    number: int
    table: pa.Buffer
    seconds: dict[Stage, float]


def pack(table: pa.Table) -> pa.Buffer:
    """Return a table as bytes; of a slice, only its own rows."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def unpack(data: pa.Buffer | bytes) -> pa.Table:
    """Return the table that was packed. It refers to the memory of `data`."""
    with pa.ipc.open_stream(data) as stream:
        return stream.read_all()
