"""Memory that a worker shares with its supervisor: what each of its threads is decoding.

A worker whose library hangs says nothing any more, and one that decodes a thousand images a second
should not send a message for each. So its threads write what they are at where the supervisor can
look whenever it likes: a slot a thread, five numbers a slot.
"""

import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

_SLOTS = 1024
"""More than a worker has threads that decode: two a processor, or nine for each lane of a GPU."""

_BEAT, _THREAD, _TASK, _USER, _INDEX = range(5)
_NUMBERS = 5
_BYTES = _SLOTS * _NUMBERS * 8


def make_board() -> int:
    """The file descriptor of a new board, for `Board` here and in the worker.

    Where the size of files is limited to less (`ulimit -f`), each side gets memory of its own: the
    supervisor then sees nothing, and knows of a hung worker alone.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("tweetprofile-board")
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
class Sight:
    """What a thread was seen at.

    Attributes:
        beat: changes whenever the thread begins an image or has finished something.
        thread: id of the thread, by which the system knows it.
        task: number of the task that it works on.
        user: position of a user in the task.
        index: position of an image in the user's list.
    """

    beat: int
    thread: int
    task: int
    user: int
    index: int

    @property
    def is_decoding(self) -> bool:
        """Whether it is decoding that image now, or has only done so last."""
        return self.beat % 2 == 1


class Board:
    """One side's view of the shared memory.

    Args:
        descriptor: of `make_board`; not needed any more afterwards.
    """

    def __init__(self, descriptor: int) -> None:
        # Numbers are written whole, as views of this kind copy them in one go.
        self._numbers = memoryview(mmap.mmap(descriptor, _BYTES)).cast("q")
        self._free = count()

    def look(self) -> Iterator[Sight]:
        """What each thread is at; a thread keeps its place in the order."""
        for start in range(0, len(self._numbers), _NUMBERS):
            sight = self._sight(start)
            if not sight.thread:
                return
            # One that has moved meanwhile may have been read half before and half after.
            yield sight if self._numbers[start + _BEAT] == sight.beat else self._sight(start)

    def _sight(self, start: int) -> Sight:
        return Sight(*self._numbers[start : start + _NUMBERS])

    def claim(self) -> int:
        """A slot for the calling thread: the position of its numbers."""
        start = next(self._free) * _NUMBERS
        self._numbers[start + _THREAD] = threading.get_native_id()
        return start

    def write(self, start: int, task: int, user: int, index: int) -> None:
        """The thread of the slot begins to decode an image."""
        numbers = self._numbers
        numbers[start + _TASK] = task
        numbers[start + _USER] = user
        numbers[start + _INDEX] = index
        numbers[start + _BEAT] |= 1

    def beat(self, start: int, task: int) -> None:
        """The thread of the slot has finished something."""
        self._numbers[start + _TASK] = task
        self._numbers[start + _BEAT] = (self._numbers[start + _BEAT] | 1) + 1


class LaneWatch:
    """What one lane writes on the board: an `ImageObserver`, whose users are named by position.

    Attributes:
        task: number of the task that the lane works on.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._slots = threading.local()
        self.task = 0

    def begin(self, user_id: str | int, index: int) -> None:
        """See `ImageObserver.begin`."""
        self._board.write(self._slot(), self.task, int(user_id), index)

    def end(self) -> None:
        """See `ImageObserver.end`."""
        self._board.beat(self._slot(), self.task)

    def _slot(self) -> int:
        try:
            start: int = self._slots.start
        except AttributeError:
            start = self._slots.start = self._board.claim()
        return start
