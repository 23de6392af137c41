"""Reads from a store, several at a time, none of which may hold up the others for ever.

A server can send an object a byte at a time, and nothing in the store's own library ends that. A
read that takes far longer than others of its size is given up: its thread is left behind, and
another one takes its place.
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

from tweetprofile.errors import Reason, StoreError

SECONDS = 20.0
"""For a read of any size: within it, a store that throttles has been asked several times."""

_TIMES_SLOWER = 8
"""A read is given up when it takes, beyond `SECONDS`, so many times what others of its size do."""

_USUAL_RATE = 256 * 1024.0
"""Bytes per second of one read among many, until some have shown what is usual here."""

_RATES_KEPT = 64
_RATED_BYTES = 16 * 1024
"""Of a smaller read, most of the time is the round trip, which says nothing of the rate."""

_MOST_LEFT_BEHIND = 256
"""Threads that are stuck in a read; where there are more, it is the store that does not answer."""

Item = TypeVar("Item")


@dataclass(slots=True)
class ReadProgress:
    """A read that is under way.

    Attributes:
        began: when its present attempt began; None as long as it waits for a thread.
        size: bytes to be read, once they are known.
    """

    began: float | None = None
    size: int = 0

    def begin(self) -> None:
        """Note that an attempt begins now: pauses between attempts do not count."""
        self.began = time.monotonic()

    def expect(self, size: int) -> None:
        """Note how many bytes are to be read."""
        self.size = size


@dataclass(slots=True)
class _Fetch(Generic[Item]):
    item: Item
    progress: ReadProgress = field(default_factory=ReadProgress)
    future: "Future[bytes | Reason]" = field(default_factory=Future)
    given_up: bool = False


class Fetcher(Generic[Item]):
    """Reads items in threads, ahead of what is asked for.

    Args:
        read: reads one item; it tells its `ReadProgress` of each attempt, and the size it finds.
        threads: reads at a time.
        seconds: that a read may take, however small it is.
    """

    def __init__(
        self,
        read: Callable[[Item, ReadProgress], bytes | Reason],
        threads: int,
        seconds: float = SECONDS,
    ) -> None:
        self._read = read
        self._threads = threads
        self._seconds = seconds
        self._queue: SimpleQueue[_Fetch[Item]] = SimpleQueue()
        self._rates: deque[float] = deque(maxlen=_RATES_KEPT)
        self._left_behind = 0
        self._lock = threading.Lock()
        for _ in range(threads):
            self._start_thread()

    def fetch_all(self, items: Iterable[Item]) -> Iterator[bytes | Reason]:
        """What reading each item gives, in order; `Reason.TOO_SLOW` for one that is given up.

        Raises:
            StoreError: so many reads are stuck that the store must be to blame.
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
        # A daemon, as one that is stuck must not keep the process from ending.
        threading.Thread(target=self._work, name="tweetprofile-read", daemon=True).start()

    def _work(self) -> None:
        given_up = False
        while not given_up:
            fetch = self._queue.get()
            fetch.progress.begin()
            try:
                fetch.future.set_result(self._read(fetch.item, fetch.progress))
            except BaseException as error:  # whoever waits for the item gets it
                fetch.future.set_exception(error)
            with self._lock:
                given_up = fetch.given_up
                self._left_behind -= given_up
            self._rate(fetch.progress)

    def _wait_for(self, fetch: _Fetch[Item]) -> bytes | Reason:
        # The items before it are done or given up, so that a thread takes it up at once.
        while (left := self._seconds_left(fetch.progress)) > 0:
            try:
                return fetch.future.result(left)
            except FutureTimeoutError:
                continue  # by now its size may be known, or it is being tried again
        return Reason.TOO_SLOW if self._give_up(fetch) else fetch.future.result()

    def _seconds_left(self, progress: ReadProgress) -> float:
        allowed = self._seconds + progress.size * _TIMES_SLOWER / self._usual_rate()
        return allowed if progress.began is None else progress.began + allowed - time.monotonic()

    def _give_up(self, fetch: _Fetch[Item]) -> bool:
        """Leave its thread behind, unless the read has just ended."""
        with self._lock:
            if fetch.future.done():
                return False
            fetch.given_up = True
            self._left_behind += 1
            left_behind = self._left_behind
        if left_behind > _MOST_LEFT_BEHIND:
            raise StoreError(
                f"the store does not answer: {left_behind} reads are stuck for more than "
                f"{self._seconds:g} s each; check the connection and continue with --resume."
            )
        self._start_thread()
        return True

    def _rate(self, progress: ReadProgress) -> None:
        """Note how fast a read was, for others to be compared with."""
        if progress.began is not None and progress.size >= _RATED_BYTES:
            seconds = max(time.monotonic() - progress.began, 1e-6)
            self._rates.append(progress.size / seconds)

    def _usual_rate(self) -> float:
        """Bytes per second that a read gets here, among those that are under way beside it."""
        rates = list(self._rates)
        return min(_USUAL_RATE, median(rates)) if rates else _USUAL_RATE
