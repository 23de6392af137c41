"""The place of a worker: what it is to be, what it holds, and whether it takes too long."""

import time
from dataclasses import dataclass, field
from typing import BinaryIO

from tweetprofile.engines.messages import Job
from tweetprofile.engines.process import WorkerProcess
from tweetprofile.engines.rescue import Attempt
from tweetprofile.engines.watchdog import SlowImage, Watchdog


@dataclass(slots=True)
class Held:
    """An attempt that a worker holds: since when, and when it last got on with it."""

    attempt: Attempt
    given: float
    moved: float | None = None


@dataclass(slots=True)
class Seat:
    """The place of a worker: who dies in it is replaced."""

    job: Job
    log: BinaryIO
    process: WorkerProcess
    started: float
    watchdog: Watchdog
    lanes: int = 0
    turns: int = 0
    held: dict[int, Held] = field(default_factory=dict)
    failed_starts: int = 0

    @property
    def ready(self) -> bool:
        """Whether its worker takes tasks."""
        return self.lanes > 0

    @property
    def device(self) -> str:
        """What its worker computes on."""
        return self.job.options.device

    @property
    def has_room(self) -> bool:
        """Whether it may be given one more: a task a lane, and one ahead, if none is exclusive."""
        exclusive = any(held.attempt.exclusive for held in self.held.values())
        return self.ready and not exclusive and len(self.held) <= self.lanes

    def look(self) -> list[SlowImage]:
        """Note which tasks have moved; the images in them that are over their deadline."""
        moved, slow = self.watchdog.look()
        now = time.monotonic()
        for number in moved & self.held.keys():
            self.held[number].moved = now
        return [image for image in slow if image.task in self.held]

    def overdue(self, seconds: float) -> float:
        """Seconds by which its worker has moved nothing for too long, if above 0.

        One lane that moves is enough: the others may be waiting for their turn.
        """
        now = time.monotonic()
        moved = [held.moved for held in self.held.values() if held.moved is not None]
        given = [held.given for held in self.held.values()]
        if moved:
            return now - max(moved) - seconds
        since = given or [now if self.ready else self.started]
        return now - min(since) - seconds
