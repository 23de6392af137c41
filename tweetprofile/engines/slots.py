"""A worker slot: the supervisor's record of one worker, its state and its tasks in flight."""

import time
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from tweetprofile.engines.jobs import Job
from tweetprofile.engines.process import WorkerProcess
from tweetprofile.engines.retries import Attempt
from tweetprofile.engines.watchdog import SlowImage, Watchdog


@dataclass(slots=True)
class TaskInFlight:
    """A task that a worker has been given and has not finished.

    Attributes:
        attempt: The users to process, and how.
        given: When the worker got the task, by `time.monotonic`.
        last_progress: When the worker last made progress with it; None if it has not begun.
    """

    attempt: Attempt
    given: float
    last_progress: float | None = None


@dataclass(slots=True)
class WorkerSlot:
    """One worker of an engine; if its process ends, another one takes its place in the slot.

    Attributes:
        number: The number of the slot, from 0.
        job: The job that each process of this slot gets.
        log: The file that receives what the process prints.
        process: The current process.
        started: When the process was started, by `time.monotonic`.
        watchdog: Finds images that take too long.
        threads: The number of worker threads; 0 until the worker is ready.
        compute_slots: The number of worker threads that may compute at the same time.
        in_flight: The tasks in flight, by number.
        failed_starts: The number of times in a row that the process ended without finishing a task.
    """

    number: int
    job: Job[Any]
    log: BinaryIO
    process: WorkerProcess
    started: float
    watchdog: Watchdog
    threads: int = 0
    compute_slots: int = 0
    in_flight: dict[int, TaskInFlight] = field(default_factory=dict)
    failed_starts: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether the worker accepts tasks."""
        return self.threads > 0

    @property
    def device(self) -> str:
        """The device that the worker computes on."""
        return self.job.options.device

    @property
    def has_room(self) -> bool:
        """Whether the worker may be given another task.

        It gets one task per worker thread and one in reserve, or a single exclusive one.
        """
        exclusive = any(task.attempt.exclusive for task in self.in_flight.values())
        return self.is_ready and not exclusive and len(self.in_flight) <= self.threads

    def find_slow_images(self) -> list[SlowImage]:
        """Note which tasks have made progress; return the images that are over their deadline."""
        progressed, slow = self.watchdog.check()
        now = time.monotonic()
        for number in progressed & self.in_flight.keys():
            self.in_flight[number].last_progress = now
        return [image for image in slow if image.task in self.in_flight]

    def seconds_overdue(self, limit: float) -> float:
        """Return by how many seconds the worker has exceeded the limit without any progress.

        The result is negative if it has not. Progress of one worker thread is enough, because the
        others may be waiting for a compute slot.
        """
        now = time.monotonic()
        progressed = [
            task.last_progress for task in self.in_flight.values() if task.last_progress is not None
        ]
        given = [task.given for task in self.in_flight.values()]
        if progressed:
            return now - max(progressed) - limit
        since = given or [now if self.is_ready else self.started]
        return now - min(since) - limit
