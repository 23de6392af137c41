"""The watchdog of a worker: which tasks make progress, and which images take too long."""

import os
import time
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from tweetprofile.engines.shared_progress import SharedProgress, ThreadProgress

_CHECK_SECONDS = 1.0
_CHECKS_PER_DEADLINE = 4
"""A worker is checked once per second, or more often if the deadline is short."""

_WALL_CLOCK_FACTOR = 4
"""How many times its deadline an image may take by the wall clock.

The deadline counts the processor time of the thread that decodes the image, which does not grow
while other processes keep the machine busy. A decoder that sleeps, or that works in threads of its
own, uses no processor time in that thread.
"""

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class SlowImage:
    """An image over its deadline.

    Attributes:
        task: The number of the task that contains the image.
        user: The position of the user in the task.
        index: The position of the image in the user's list.
        is_certain: Whether the thread itself has computed for that long. If not, only the wall
            clock says so, and the thread may be waiting for another one that holds Python's lock.
    """

    task: int
    user: int
    index: int
    is_certain: bool


@dataclass(slots=True)
class _LastChange:
    """When the counter of a thread last changed.

    Attributes:
        counter: The counter since then.
        wall_clock: The time, by `time.monotonic`.
        processor_time: The seconds that the thread had computed.
    """

    counter: int
    wall_clock: float
    processor_time: float


class Watchdog:
    """Watches the threads of one worker.

    Args:
        progress: The memory that the worker reports its progress in.
        process: The id of the worker's process.
        max_image_seconds: The deadline for decoding one image.
    """

    def __init__(self, progress: SharedProgress, process: int, max_image_seconds: float) -> None:
        self._progress = progress
        self._threads = Path(f"/proc/{process}/task")
        self._deadline = max_image_seconds
        self._changes: dict[int, _LastChange] = {}
        self._last_check = time.monotonic()

    @property
    def check_seconds(self) -> float:
        """The longest time between two calls of `check`."""
        return min(_CHECK_SECONDS, self._deadline / _CHECKS_PER_DEADLINE)

    def check(self) -> tuple[Set[int], list[SlowImage]]:
        """Return the tasks that have made progress since the last check, and slow images."""
        now = time.monotonic()
        if now - self._last_check < self.check_seconds:
            return frozenset(), []
        self._last_check = now
        progressed: set[int] = set()
        slow: list[SlowImage] = []
        for thread in self._progress.read():
            last = self._changes.get(thread.thread)
            if last is None or last.counter != thread.counter:
                progressed.add(thread.task)
                self._changes[thread.thread] = _LastChange(
                    thread.counter, now, self._processor_time(thread)
                )
            elif thread.is_decoding:
                computed = self._processor_time(thread) - last.processor_time
                waited = (now - last.wall_clock) / _WALL_CLOCK_FACTOR
                if max(computed, waited) >= self._deadline:
                    is_certain = computed >= self._deadline
                    slow.append(SlowImage(thread.task, thread.user, thread.index, is_certain))
        return progressed, slow

    def _processor_time(self, thread: ThreadProgress) -> float:
        """Return the seconds that a thread has computed; 0 if the system does not say."""
        try:
            status = (self._threads / str(thread.thread) / "stat").read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return 0.0
        user, system = status.rpartition(")")[2].split()[11:13]  # the name may contain spaces
        return (int(user) + int(system)) / _TICKS_PER_SECOND
