"""Read files one after the other while they are in memory, and several at once from a disk.

A file that the system has in memory is read in 20 us, which is less than handing it to another
thread takes. A file on a cold disk or a network drive takes milliseconds, nearly all of them spent
waiting, and most disks answer many requests at once as fast as a single one.
"""

import resource
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Generic, TypeVar

_PROBED = 8
"""Items that are read one after the other, to see whether reading waits."""

_READ_PER_TURN = 32
"""Items that are read in one turn. A turn costs as much as reading one item."""

_THREADS = 16

_SLOW_SECONDS = 0.02
"""Time per item that only a slow drive takes. Python's lock, for which the threads of a process
wait, can delay a read by some milliseconds."""

_THIS_THREAD = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)  # Linux counts by thread

Item = TypeVar("Item")
Result = TypeVar("Result")


class ReadAhead(Generic[Item, Result]):
    """Reads items in order, ahead of their use if reading waits for a disk.

    Args:
        read: Reads one item; it is called from several threads.
    """

    def __init__(self, read: Callable[[Item], Result]) -> None:
        self._read = read
        self._pool: ThreadPoolExecutor | None = None

    def read_all(
        self, items: Iterable[Item], turn: AbstractContextManager[object] | None = None
    ) -> Iterator[Result]:
        """Yield the result of reading each item, in order.

        Args:
            items: The items.
            turn: The context in which threads take turns at reading from memory. None if they need
                not take turns.
        """
        remaining = iter(items)
        blocks, seconds = _blocks_read(), 0.0
        for item in islice(remaining, _PROBED):
            began = time.perf_counter()
            result = self._read(item)
            seconds += time.perf_counter() - began  # without the time until the next is asked for
            yield result
        if _blocks_read() > blocks or seconds > _SLOW_SECONDS * _PROBED:
            yield from self._read_concurrently(remaining)
        else:
            yield from self._read_in_turns(remaining, turn or nullcontext())

    def _read_in_turns(
        self, items: Iterator[Item], turn: AbstractContextManager[object]
    ) -> Iterator[Result]:
        while block := list(islice(items, _READ_PER_TURN)):
            with turn:
                results = [self._read(item) for item in block]
            yield from results

    def _read_concurrently(self, items: Iterable[Item]) -> Iterator[Result]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, "tweetprofile-read")
        ahead: deque[Future[Result]] = deque()
        for item in items:
            ahead.append(self._pool.submit(self._read, item))
            if len(ahead) > _THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _blocks_read() -> int:
    """Return the number of blocks that this thread has read from disks so far."""
    return resource.getrusage(_THIS_THREAD).ru_inblock
