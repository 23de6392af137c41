"""Shared memory in which the threads of a worker report which image they are decoding.

A worker whose library hangs can no longer send messages, and a worker that decodes a thousand
images per second should not send a message for each. So its threads write what they are doing to
memory that the supervisor can read at any time: one row of five numbers per thread.
"""

import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

_ROWS = 1024
"""More than the threads of a worker that decode: two per processor, or nine per worker thread that
uses a GPU."""

_COUNTER, _THREAD, _TASK, _USER, _INDEX = range(5)
_NUMBERS = 5
_BYTES = _ROWS * _NUMBERS * 8


def create_shared_memory() -> int:
    """Return the file descriptor of new memory, for `SharedProgress` here and in the worker.

    If the size of files is limited to less (`ulimit -f`), each process gets memory of its own. The
    supervisor then sees no progress, and can tell only that a worker as a whole hangs.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("tweetprofile-progress")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        os.ftruncate(descriptor, _BYTES)
    except OSError:
        os.close(descriptor)
        return os.open("/dev/zero", os.O_RDWR)
    return descriptor


@dataclass(frozen=True, slots=True)
class ThreadProgress:
    """What a thread has reported.

    Attributes:
        counter: A number that changes whenever the thread begins an image or finishes something.
        thread: The id of the thread in the operating system.
        task: The number of the task that the thread works on.
        user: The position of the user in the task.
        index: The position of the image in the user's list.
    """

    counter: int
    thread: int
    task: int
    user: int
    index: int

    @property
    def is_decoding(self) -> bool:
        """Whether the thread is decoding that image now, rather than has decoded it last."""
        return self.counter % 2 == 1


class SharedProgress:
    """The view that one process has of the shared memory.

    Args:
        descriptor: The descriptor from `create_shared_memory`. It may be closed afterwards.
    """

    def __init__(self, descriptor: int) -> None:
        # A view of this type copies each number in one operation, so no number is half written.
        self._numbers = memoryview(mmap.mmap(descriptor, _BYTES)).cast("q")
        self._free_rows = count()

    def read(self) -> Iterator[ThreadProgress]:
        """Yield what each thread has reported, always in the same order."""
        for start in range(0, len(self._numbers), _NUMBERS):
            progress = self._row(start)
            if not progress.thread:
                return
            # If the thread wrote meanwhile, the row may mix old and new numbers: read it again.
            unchanged = self._numbers[start + _COUNTER] == progress.counter
            yield progress if unchanged else self._row(start)

    def _row(self, start: int) -> ThreadProgress:
        return ThreadProgress(*self._numbers[start : start + _NUMBERS])

    def claim_row(self) -> int:
        """Return the position of a row that the calling thread may write to from now on."""
        start = next(self._free_rows) * _NUMBERS
        self._numbers[start + _THREAD] = threading.get_native_id()
        return start

    def begin_image(self, start: int, task: int, user: int, index: int) -> None:
        """Report that the thread of this row begins to decode an image."""
        numbers = self._numbers
        numbers[start + _TASK] = task
        numbers[start + _USER] = user
        numbers[start + _INDEX] = index
        numbers[start + _COUNTER] |= 1

    def end_step(self, start: int, task: int) -> None:
        """Report that the thread of this row has finished an image or another step."""
        self._numbers[start + _TASK] = task
        self._numbers[start + _COUNTER] = (self._numbers[start + _COUNTER] | 1) + 1


class ProgressReporter:
    """Reports the progress of one worker thread, and of the threads that decode for it.

    It is the `ImageObserver` of the actors of that thread. Users are named by their position.

    Attributes:
        task: The number of the task that the worker thread works on.
    """

    def __init__(self, progress: SharedProgress) -> None:
        self._progress = progress
        self._local = threading.local()
        self.task = 0

    def begin(self, user_id: str | int, index: int) -> None:
        """See `ImageObserver.begin`."""
        self._progress.begin_image(self._row(), self.task, int(user_id), index)

    def end(self) -> None:
        """See `ImageObserver.end`."""
        self._progress.end_step(self._row(), self.task)

    def _row(self) -> int:
        try:
            start: int = self._local.start
        except AttributeError:
            start = self._local.start = self._progress.claim_row()
        return start
