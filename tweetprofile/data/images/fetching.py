"""Concurrent reads from an object store, none of which can block the others forever.

A server can send an object byte by byte, and nothing in the store's client library ends that. So a
read that takes far longer than other reads of its size is abandoned: its thread stays stuck, and a
new thread replaces it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from queue import SimpleQueue
from statistics import median
from typing import Generic, TypeVar

from tweetprofile.data.manifests.users import Encoded
from tweetprofile.errors import CONTINUE, Reason, StoreError
from tweetprofile.plurals import count_of, one_or_many

SECONDS = 20.0
"""The time in seconds for a read of any size, enough for several requests to a throttling store."""

_TIMES_SLOWER = 8
"""A read is abandoned when it takes, beyond `SECONDS`, this many times the usual time."""

_USUAL_RATE = 256 * 1024.0
"""Bytes per second of one read among many, until the usual rate has been measured."""

_RATES_KEPT = 64
_RATED_BYTES = 16 * 1024
"""Smaller reads are not measured: they take one round trip, which says nothing about the rate."""

_MOST_STUCK = 256
"""The largest number of threads that may be stuck in a read; with more, the store itself does not
answer."""

Item = TypeVar("Item")


@dataclass(slots=True)
class ReadProgress:
    """The progress of one read.

    Attributes:
        began: When the current attempt began; None while the read waits for a thread.
        size: The number of bytes to read, once it is known.
    """

    began: float | None = None
    size: int = 0

    def begin(self) -> None:
        """Note that an attempt begins now; pauses between attempts do not count."""
        self.began = time.monotonic()

    def expect(self, size: int) -> None:
        """Note the number of bytes to read."""
        self.size = size


@dataclass(slots=True)
class _Fetch(Generic[Item]):
    item: Item
    progress: ReadProgress = field(default_factory=ReadProgress)
    future: "Future[Encoded | Reason]" = field(default_factory=Future)
    abandoned: bool = False


class Fetcher(Generic[Item]):
    """Reads items in threads, ahead of their use.

    Args:
        read: Reads one item, and reports each attempt and the size to its `ReadProgress`.
        threads: The number of concurrent reads.
        seconds: The time that a read may take, however small it is.
    """

    def __init__(
        self,
        read: Callable[[Item, ReadProgress], Encoded | Reason],
        threads: int,
        seconds: float = SECONDS,
    ) -> None:
        self._read = read
        self._threads = threads
        self._seconds = seconds
        self._queue: SimpleQueue[_Fetch[Item]] = SimpleQueue()
        self._rates: deque[float] = deque(maxlen=_RATES_KEPT)
        self._stuck = 0
        self._lock = threading.Lock()
        for _ in range(threads):
            self._start_thread()

    def fetch_all(self, items: Iterable[Item]) -> Iterator[Encoded | Reason]:
        """Yield the result of reading each item, in order; `Reason.TOO_SLOW` if it is abandoned.

        Raises:
            StoreError: So many reads are stuck that the store itself must have failed.
        """
        ahead: deque[_Fetch[Item]] = deque()
        for item in items:
            fetch = _Fetch(item)
            self._queue.put(fetch)
            ahead.append(fetch)
            if len(ahead) > self._threads:
                yield self._wait_for(ahead.popleft())
        while ahead:
            yield self._wait_for(ahead.popleft())

    def _start_thread(self) -> None:
        # A daemon thread, since a stuck one must not keep the process alive.
        threading.Thread(target=self._work, name="tweetprofile-read", daemon=True).start()

    def _work(self) -> None:
        abandoned = False
        while not abandoned:
            fetch = self._queue.get()
            fetch.progress.begin()
            try:
                fetch.future.set_result(self._read(fetch.item, fetch.progress))
            except BaseException as error:  # raised where the item is waited for
                fetch.future.set_exception(error)
            with self._lock:
                abandoned = fetch.abandoned
                self._stuck -= abandoned
            self._rate(fetch.progress)

    def _wait_for(self, fetch: _Fetch[Item]) -> Encoded | Reason:
        # The items before it are done or abandoned, so that a thread takes it at once.
        while (left := self._seconds_left(fetch.progress)) > 0:
            try:
                return fetch.future.result(left)
            except FutureTimeoutError:
                continue  # its size may be known by now, or another attempt may have begun
        return Reason.TOO_SLOW if self._abandon(fetch) else fetch.future.result()

    def _seconds_left(self, progress: ReadProgress) -> float:
        allowed = self._seconds + progress.size * _TIMES_SLOWER / self._usual_rate()
        return allowed if progress.began is None else progress.began + allowed - time.monotonic()

    def _abandon(self, fetch: _Fetch[Item]) -> bool:
        """Abandon a read, and return True; return False if it has just ended."""
        with self._lock:
            if fetch.future.done():
                return False
            fetch.abandoned = True
            self._stuck += 1
            stuck = self._stuck
        if stuck > _MOST_STUCK:
            raise StoreError(
                f"the store does not answer: {count_of(stuck, 'read')} "
                f"{one_or_many(stuck, 'has', 'have')} been stuck for more than {self._seconds:g} s "
                f"each; check the connection, and {CONTINUE}."
            )
        self._start_thread()
        return True

    def _rate(self, progress: ReadProgress) -> None:
        """Note the rate of a read, which others are compared with."""
        if progress.began is not None and progress.size >= _RATED_BYTES:
            seconds = max(time.monotonic() - progress.began, 1e-6)
            self._rates.append(progress.size / seconds)

    def _usual_rate(self) -> float:
        """Return the bytes per second that one of several concurrent reads usually gets."""
        rates = list(self._rates)
        return min(_USUAL_RATE, median(rates)) if rates else _USUAL_RATE
