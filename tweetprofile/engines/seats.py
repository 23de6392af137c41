"""The place of a worker: what it is to be, what it holds, and whether it takes too long."""

import time
from dataclasses import dataclass, field
from typing import BinaryIO

from tweetprofile.engines.messages import Job
from tweetprofile.engines.process import WorkerProcess
from tweetprofile.engines.rescue import Attempt


@dataclass(slots=True)
class Held:
    """An attempt that a worker holds: since when, and since when it is at it."""

    attempt: Attempt
    given: float
    begun: float | None = None


@dataclass(slots=True)
class Seat:
    """The place of a worker: who dies in it is replaced."""

    job: Job
    log: BinaryIO
    process: WorkerProcess
    started: float
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
        """Whether it may be given one more: a task a lane, and one ahead, but who is alone."""
        alone = any(held.attempt.alone is not None for held in self.held.values())
        return self.ready and not alone and len(self.held) <= self.lanes

    def overdue(self, seconds: float) -> float:
        """Seconds by which its worker has had more than its time for something, if above 0."""
        now = time.monotonic()
        begun = [held.begun for held in self.held.values() if held.begun is not None]
        given = [held.given for held in self.held.values()]
        since = begun or given or [now if self.ready else self.started]
        return now - min(since) - seconds
