"""The engine of a single machine: one supervised worker process per device.

The supervisor hands out batches, collects their rows, and replaces workers that crash or hang. It
touches neither CUDA nor an image, and does not even load torch. A worker reports which batches it
has begun, so that after a crash it is known which of them may be the cause.
"""

import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import BinaryIO, Generic, Self, cast

import pyarrow as pa

from tweetprofile.data.files.logs import open_log
from tweetprofile.data.files.scratch import Closing
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.engines.jobs import FactsT, Job
from tweetprofile.engines.messages import Begun, Done, Ready, Refused, pack, unpack
from tweetprofile.engines.process import WorkerProcess, wait_for
from tweetprofile.engines.replacement import cannot_replace, require_same_model
from tweetprofile.engines.retries import Attempt, Workload, users_of_attempts
from tweetprofile.engines.shards import ShardSource
from tweetprofile.engines.slots import TaskInFlight, WorkerSlot
from tweetprofile.engines.visible_devices import only_visible
from tweetprofile.engines.watchdog import SlowImage, Watchdog
from tweetprofile.errors import OptionError, WorkerError
from tweetprofile.job import most_small_workers, usable_processors
from tweetprofile.stages import Stage, StageClock

_START_SECONDS = 300.0
"""Time for a worker to become ready; imports from a slow network drive take minutes."""

_MOST_FAILED_STARTS = 3
"""A worker that ends this often in a row before it is ready will never be ready."""

_LOG_BYTES = 16 * 1024 * 1024
"""A log that is not to be kept is emptied when it grows beyond this."""

_BATCHES_PER_STRETCH = 32
"""Successive batches of a worker that reads its images itself: on a GPU, some 2,000 users, which it
predicts in about a second."""

_FEWEST_USERS_PER_TASK = 8
"""So that several users share the fixed costs of a task."""

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a `LocalEngine` works.

    Attributes:
        devices: `auto`, `cpu`, `cuda`, `cuda:N`, or several separated by commas; one worker each.
        stall_seconds: The time after which a worker that finishes nothing, not even an image,
            counts as hung.
        log: The path whose name begins the names of the workers' logs; None to keep no logs.
        processors: The number of processors that workers share; None for all that this process may
            use.
        worker_threads: The number of worker threads per worker, all of which may compute at the
            same time; None for the number that suits the device.
        users: The number of users of the run, which decides whether more workers are worth their
            start where each keeps few processors busy; None if it is not known.

    Raises:
        OptionError: A value is out of range.
    """

    devices: str = "auto"
    stall_seconds: float = 300.0
    log: Path | None = None
    processors: int | None = None
    worker_threads: int | None = None
    users: int | None = None

    def __post_init__(self) -> None:
        if self.worker_threads is not None and self.worker_threads < 1:
            raise OptionError(f"`worker_threads` is {self.worker_threads}; it must be at least 1.")
        if not self.stall_seconds > 0:
            raise OptionError(f"`stall_seconds` is {self.stall_seconds}; it must be above 0.")
        names = self.device_names
        if not all(map(_DEVICE.fullmatch, names)) or (len(names) > 1 and "auto" in names):
            raise OptionError(
                f"`devices` is '{self.devices}'; give auto, cpu, cuda, cuda:N, or several of the "
                "last three separated by commas."
            )
        if len({name.partition(":")[0] for name in names}) > 1:
            raise OptionError(
                f"`devices` is '{self.devices}', but CPU and CUDA give slightly different numbers; "
                "name devices of one kind."
            )

    @property
    def usable_processors(self) -> int:
        """The number of processors that workers share."""
        return self.processors or usable_processors()

    @property
    def uses_all(self) -> bool:
        """Whether all devices of a kind are used, or all processors."""
        return self.devices in ("auto", "cpu", "cuda")

    @property
    def device_names(self) -> tuple[str, ...]:
        """The names of the devices."""
        return tuple(self.devices.split(","))


_Result = tuple[Attempt, pa.Table | None]
"""An attempt that has ended: its rows, or None if the worker crashed or hung."""


class LocalEngine(Closing, Generic[FactsT]):
    """Processes batches of users in worker processes on this machine.

    The workers start when the `with` block is entered and end when it is left. For predicting, this
    is a `ShardEngine`; see there for what it promises.

    Args:
        job: The job of each worker. The device in its options is replaced by `options.devices`.
        options: The devices to use, and how to supervise the workers; see `EngineOptions`.

    Attributes:
        facts: What the workers reported about themselves. Set once the block is entered.
        deaths: Sentences on how workers crashed or hung, in the order in which it happened.
        clock: The seconds per stage that the worker threads of all workers have spent in the last
            call of `run`.
        supervisor_clock: The seconds per stage that this process itself has spent.

    Raises:
        TweetprofileError: On entering: the job cannot be done on this machine.
        WorkerError: A worker ends again and again before it is ready.
    """

    facts: FactsT

    def __init__(self, job: Job[FactsT], options: EngineOptions) -> None:
        self._job = job
        self._options = options
        self._slots: list[WorkerSlot] = []
        self._logs = ExitStack()
        self._numbers = count()
        self.deaths: list[str] = []
        self.clock = StageClock()
        self.supervisor_clock = StageClock()

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of each worker."""
        return tuple(slot.device for slot in self._slots)

    def __enter__(self) -> Self:
        try:
            self._start_workers(self._options.device_names)
            self._wait_until_ready()
            if self._options.uses_all:
                self._start_workers(self._further_devices())
            if self.facts.device == "cuda":  # more workers on the CPU need not be awaited
                self._wait_until_ready()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End all workers."""
        for slot in self._slots:
            slot.process.kill()
        self._logs.close()

    @property
    def users_per_task(self) -> int:
        """The number of users in a task: those of one or several whole forward passes."""
        passes = -(-_FEWEST_USERS_PER_TASK // self.facts.batch_size)
        return passes * self.facts.batch_size

    @property
    def compute_slots(self) -> int:
        """The number of worker threads that may compute at the same time, over all workers."""
        return sum(slot.compute_slots for slot in self._slots)

    def run(self, batches: Iterator[UserBatch]) -> Iterator[tuple[UserBatch, pa.Table]]:
        """Process batches.

        Args:
            batches: The batches, of at most `users_per_task` users each.

        Yields:
            Each batch as soon as it is finished, not always in the given order, with one row per
            user and without `user_id`.

        Raises:
            WorkerError: Workers keep crashing, and no user is the cause.
        """
        self._drop_earlier_tasks()
        stretch = 1 if self._job.rows is None else _BATCHES_PER_STRETCH
        workload = Workload(batches, self._job, self.facts, stretch)
        while self._hand_out(workload):
            for attempt, rows in self._wait_for_results(workload):
                if (complete := workload.settle(attempt, rows)) is not None:
                    self._hand_out(workload)  # before the caller uses the rows, which takes time
                    yield attempt.batch, complete

    def run_shards(
        self, source: ShardSource, shards: Sequence[int]
    ) -> Iterator[tuple[UserBatch, pa.Table]]:
        """See `ShardEngine.run_shards`."""
        batches = source.batches(shards, self.users_per_task, content=self._job.rows is None)
        yield from self.run(self._timed(batches))

    def _timed(self, batches: Iterator[UserBatch]) -> Iterator[UserBatch]:
        while True:
            with self.supervisor_clock.timing(Stage.MANIFEST):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _further_devices(self) -> list[str]:
        """Return the devices besides the first one, if all devices of a kind are to be used."""
        if self.facts.device == "cuda":
            return [f"cuda:{number}" for number in range(1, self.facts.cuda_devices)]
        usable, most = self._options.usable_processors, most_small_workers(self._options.users)
        return ["cpu"] * (self.facts.workers_on_cpu(usable, most) - 1)

    # --- starting and replacing workers ------------------------------------------------------

    def _start_workers(self, devices: Sequence[str]) -> None:
        for device in devices:
            options = replace(self._job.options, device=device)
            job = replace(
                self._job,
                options=options,
                processors=self._processors_for(device),
                most_small_workers=(
                    most_small_workers(self._options.users) if self._options.uses_all else None
                ),
                worker_threads=self._options.worker_threads,
            )
            number = len(self._slots)
            log = self._logs.enter_context(self._open_log(number))
            process, watchdog = self._start(job, log)
            slot = WorkerSlot(number, job, log, process, time.monotonic(), watchdog)
            self._slots.append(slot)

    def _processors_for(self, device: str) -> int:
        """Return the number of processors for each worker on devices like this one.

        Where all are to be used, the number of workers is known only once one has started.
        """
        usable, workers = self._options.usable_processors, len(self._options.device_names)
        if device.startswith("cuda:"):
            known = self.facts.cuda_devices if hasattr(self, "facts") else 1
            return -(-usable // max(workers, known))
        return -(-usable // workers)

    def _open_log(self, number: int) -> BinaryIO:
        if (path := self._options.log) is None:
            return cast(BinaryIO, tempfile.TemporaryFile("a+b"))
        return open_log(path, number)

    def _start(self, job: Job[FactsT], log: BinaryIO) -> tuple[WorkerProcess, Watchdog]:
        environment = only_visible(job.options.device, os.environ)
        process = WorkerProcess(log, self._options.stall_seconds, environment)
        process.send(job)  # if this fails, the process has ended, which will be noticed soon
        return process, Watchdog(process.progress, process.number, job.options.max_image_seconds)

    def _wait_until_ready(self) -> None:
        while not all(slot.is_ready for slot in self._slots):
            for _ in self._wait_for_results(None):
                pass

    def _restart(self, slot: WorkerSlot) -> None:
        if self._options.log is None and os.fstat(slot.log.fileno()).st_size > _LOG_BYTES:
            slot.log.truncate(0)
        slot.process, slot.watchdog = self._start(slot.job, slot.log)
        slot.started = time.monotonic()
        slot.threads = 0
        slot.in_flight.clear()

    def _replace_failed(
        self, slot: WorkerSlot, how: str, workload: Workload[FactsT] | None
    ) -> list[_Result]:
        """Replace a worker that crashed or hung; return the attempts that may be the cause."""
        tasks = slot.in_flight.values()
        begun = [task.attempt for task in tasks if task.last_progress is not None]
        not_begun = [task.attempt for task in tasks if task.last_progress is None]
        self.deaths.append(
            f"the worker on {slot.device} {how} while processing {users_of_attempts(begun)}"
        )
        if not begun:
            self._count_failed_start(slot)
        self._restart(slot)
        for attempt in reversed(not_begun):
            assert workload is not None
            workload.put_back(attempt)
        return [(attempt, None) for attempt in begun]

    def _replace_slow(
        self, slot: WorkerSlot, slow: list[SlowImage], workload: Workload[FactsT]
    ) -> None:
        """Replace a worker that decodes images for too long; these are not tried again."""
        slot.process.kill()
        certain = [each for each in slow if each.is_certain]
        attempts = [
            task.attempt.after([each for each in certain or slow if each.task == number])
            for number, task in slot.in_flight.items()
        ]
        self._restart(slot)
        for attempt in reversed(attempts):
            workload.put_back(attempt)

    def _count_failed_start(self, slot: WorkerSlot) -> None:
        slot.failed_starts += 1
        if slot.failed_starts == _MOST_FAILED_STARTS:
            raise WorkerError(
                f"{self.deaths[-1]}, {_MOST_FAILED_STARTS} times in a row, so the images are not "
                "the cause: fix what it reports, or try other `devices` or another `decoder`. It "
                "printed:",
                slot.process.end_of_log() or "(nothing)",
            )

    # --- tasks and results -------------------------------------------------------------------

    def _drop_earlier_tasks(self) -> None:
        """Replace workers that are busy with batches that nothing waits for any more."""
        self.clock.take()
        for slot in self._slots:
            if slot.in_flight:
                slot.process.kill()
                self._restart(slot)

    def _hand_out(self, workload: Workload[FactsT]) -> bool:
        """Give every worker as many tasks as it has room for; return False when all is done."""
        for slot in self._slots:
            while slot.has_room and (
                attempt := workload.take(slot.number, idle=not slot.in_flight)
            ):
                self._give(slot, attempt, workload)
        # The supervisor reads on while workers work, so that they never wait for the manifest.
        workload.read_ahead(len(self._slots))
        return workload.waiting or any(slot.in_flight for slot in self._slots)

    def _give(self, slot: WorkerSlot, attempt: Attempt, workload: Workload[FactsT]) -> None:
        number = next(self._numbers)
        task = attempt.task(number)
        users = memoryview(pack(attempt.users)) if task.rows is None else None
        if slot.process.send(task, users):
            slot.in_flight[number] = TaskInFlight(attempt, time.monotonic())
        else:
            workload.put_back(attempt)
            slot.threads = 0  # it has ended; the messages that it sent before are still received

    def _wait_for_results(self, workload: Workload[FactsT] | None) -> Iterator[_Result]:
        """Wait until a worker sends a message, ends, or is overdue; yield attempts that ended."""
        active = [slot for slot in self._slots if slot.in_flight or not slot.is_ready]
        soonest = min(-slot.seconds_overdue(self._time_limit(slot)) for slot in active)
        soonest = min(soonest, *(slot.watchdog.check_seconds for slot in active))
        heard = wait_for([slot.process for slot in active], max(0.0, soonest))
        for slot in active:
            if slot.process in heard:
                yield from self._receive(slot, workload)
            elif slow := slot.find_slow_images():
                assert workload is not None
                self._replace_slow(slot, slow, workload)
            elif slot.seconds_overdue(self._time_limit(slot)) >= 0:
                slot.process.kill()
                how = f"hung for {self._time_limit(slot):.0f} s"
                yield from self._replace_failed(slot, how, workload)

    def _time_limit(self, slot: WorkerSlot) -> float:
        return self._options.stall_seconds if slot.is_ready else _START_SECONDS

    def _receive(self, slot: WorkerSlot, workload: Workload[FactsT] | None) -> Iterator[_Result]:
        match slot.process.receive():
            case Ready(facts, threads, compute_slots):
                if hasattr(self, "facts"):
                    require_same_model(self.facts, facts, slot.device)
                else:
                    self.facts = cast(FactsT, facts)
                slot.threads, slot.compute_slots = threads, compute_slots
            case Refused(error):
                if self.deaths and not slot.is_ready:
                    raise cannot_replace(slot.device, error)
                raise error
            case Begun(number):
                slot.in_flight[number].last_progress = time.monotonic()
            case Done(number, table, seconds):
                slot.failed_starts = 0
                self.clock.add(seconds)
                yield slot.in_flight.pop(number).attempt, unpack(table)
            case _:
                yield from self._replace_failed(slot, slot.process.why_ended(), workload)
