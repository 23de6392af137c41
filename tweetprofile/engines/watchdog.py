"""What a supervisor sees on a worker's board: progress, and images over their deadline."""

import os
import time
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from tweetprofile.engines.board import Board, Sight

_LOOK_SECONDS = 1.0
_LOOKS_A_DEADLINE = 4
"""A worker is looked at once a second, or more often where deadlines are short."""

_PATIENCE_BY_THE_CLOCK = 4
"""How many times its deadline an image may take by the clock.

Its deadline counts the processor time of the thread that decodes it, which does not grow while
other processes keep the machine busy. A decoder that sleeps, or works in threads of its own, uses
none.
"""

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class SlowImage:
    """An image over its deadline.

    Attributes:
        task: number of the task that it belongs to.
        user: position of its user in the task.
        index: its position in the user's list.
        is_certain: whether its own thread has computed for so long. Otherwise only the clock says
            so, and the thread may be waiting for another one that holds Python's lock.
    """

    task: int
    user: int
    index: int
    is_certain: bool


@dataclass(slots=True)
class _Since:
    """Since when a thread has been at what it is at, by the clock and by its processor time."""

    beat: int
    clock: float
    processor: float


class Watchdog:
    """Looks at a worker's board.

    Args:
        board: of the worker.
        process: id of the worker's process.
        max_image_seconds: what decoding an image may take.
    """

    def __init__(self, board: Board, process: int, max_image_seconds: float) -> None:
        self._board = board
        self._threads = Path(f"/proc/{process}/task")
        self._deadline = max_image_seconds
        self._seen: dict[int, _Since] = {}
        self._last_look = time.monotonic()

    @property
    def look_seconds(self) -> float:
        """How often `look` is to be called at least."""
        return min(_LOOK_SECONDS, self._deadline / _LOOKS_A_DEADLINE)

    def look(self) -> tuple[Set[int], list[SlowImage]]:
        """Tasks that have moved since the last look, and images over their deadline."""
        now = time.monotonic()
        if now - self._last_look < self.look_seconds:
            return frozenset(), []
        self._last_look = now
        moved: set[int] = set()
        slow: list[SlowImage] = []
        for sight in self._board.look():
            since = self._seen.get(sight.thread)
            if since is None or since.beat != sight.beat:
                moved.add(sight.task)
                self._seen[sight.thread] = _Since(sight.beat, now, self._processor_time(sight))
            elif sight.is_decoding:
                computed = self._processor_time(sight) - since.processor
                waited = (now - since.clock) / _PATIENCE_BY_THE_CLOCK
                if max(computed, waited) >= self._deadline:
                    is_certain = computed >= self._deadline
                    slow.append(SlowImage(sight.task, sight.user, sight.index, is_certain))
        return moved, slow

    def _processor_time(self, sight: Sight) -> float:
        """Seconds that the thread has computed; 0 where the system does not tell."""
        try:
            status = (self._threads / str(sight.thread) / "stat").read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return 0.0
        user, system = status.rpartition(")")[2].split()[11:13]  # its name may hold spaces
        return (int(user) + int(system)) / _TICKS_A_SECOND
