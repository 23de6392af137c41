"""A supervised process a device: hand out batches, collect their rows, outlive whoever dies.

The supervisor touches neither CUDA nor an image, and does not even load torch. A worker says which
batches it has begun, so that when it dies or hangs, it is known of what it may have been.
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
from typing import BinaryIO, Generic, Self, TypeVar, cast, overload

import pyarrow as pa

from tweetprofile.data.files.logs import open_log
from tweetprofile.data.files.scratch import Closing
from tweetprofile.data.manifests.manifest import UserBatch
from tweetprofile.engines.messages import (
    Begun,
    Done,
    ExamineJob,
    ExtractJob,
    Job,
    PredictJob,
    Ready,
    Refused,
    Task,
    pack,
    unpack,
)
from tweetprofile.engines.process import WorkerProcess, wait_for
from tweetprofile.engines.replacement import cannot_replace, require_same_model
from tweetprofile.engines.rescue import Attempt, Workload
from tweetprofile.engines.seats import Held, Seat
from tweetprofile.engines.shards import ShardSource
from tweetprofile.engines.watchdog import SlowImage, Watchdog
from tweetprofile.errors import OptionError, WorkerError
from tweetprofile.job import ExaminerFacts, ExtractorFacts, PredictorFacts, usable_processors
from tweetprofile.stages import Stage, StageClock

_START_SECONDS = 300.0
"""Time for a worker to be ready: imports from a slow network drive take minutes."""

_STARTS = 3
"""A worker that dies so many times in a row before it is ready will never be."""

_LOG_BYTES = 16 * 1024 * 1024
"""A log that nobody asked to keep is emptied when it is larger."""

_PROCESSORS_A_WORKER = 4
"""Lanes of one process share Python's lock, each holding it for an estimated tenth of its time."""

_USERS_AT_LEAST = 8
"""Users handed to a worker at a time, so that what a task costs by itself is shared by several."""

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a `LocalEngine` works.

    Attributes:
        devices: `auto`, `cpu`, `cuda`, `cuda:N`, or several with commas between; a worker each.
        stall_seconds: a worker that finishes nothing for so long, not even an image, hangs.
        log: path whose name begins the names of logs to keep; None to keep none.
        processors: that workers on the CPU share; None for all that this process may use.

    Raises:
        OptionError: a value out of range.
    """

    devices: str = "auto"
    stall_seconds: float = 300.0
    log: Path | None = None
    processors: int | None = None

    def __post_init__(self) -> None:
        if not self.stall_seconds > 0:
            raise OptionError(f"--stall-seconds {self.stall_seconds} must be above 0.")
        names = self.device_names
        if not all(map(_DEVICE.fullmatch, names)) or (len(names) > 1 and "auto" in names):
            raise OptionError(
                f"--devices {self.devices}: give auto, cpu, cuda, cuda:N, or several of the last "
                "three with commas between."
            )
        if len({name.partition(":")[0] for name in names}) > 1:
            raise OptionError(
                f"--devices {self.devices}: CPU and CUDA give slightly different numbers; "
                "name devices of one kind."
            )

    @property
    def usable(self) -> int:
        """The processors to share."""
        return self.processors or usable_processors()

    @property
    def device_names(self) -> tuple[str, ...]:
        """The devices, one by one."""
        return tuple(self.devices.split(","))


_Ended = tuple[Attempt, pa.Table | None]
"""An attempt that has come to an end: its rows, or None where the worker died of it."""

FactsT = TypeVar("FactsT", PredictorFacts, ExtractorFacts, ExaminerFacts)
"""What the workers of an engine say of themselves, by their job."""


class LocalEngine(Closing, Generic[FactsT]):
    """Does batches of users in processes of this machine, for the time of a `with` block.

    Args:
        job: what each worker is to be; its device is replaced by the options'.
        options: how.

    Attributes:
        facts: what the workers came to be, once the block is entered.
        deaths: how workers died, in words, in order.
        clock: has counted what the lanes of all workers did for the last call of `run`.
        beside: has counted what was done beside them, in this process.

    Raises:
        TweetprofileError: on entering, if the job cannot be done here.
        WorkerError: a worker dies again and again before it is ready.
    """

    facts: FactsT

    @overload
    def __init__(
        self: "LocalEngine[PredictorFacts]", job: PredictJob, options: EngineOptions
    ) -> None: ...
    @overload
    def __init__(
        self: "LocalEngine[ExtractorFacts]", job: ExtractJob, options: EngineOptions
    ) -> None: ...
    @overload
    def __init__(
        self: "LocalEngine[ExaminerFacts]", job: ExamineJob, options: EngineOptions
    ) -> None: ...
    def __init__(self, job: Job, options: EngineOptions) -> None:
        self._job = job
        self._options = options
        self._seats: list[Seat] = []
        self._logs = ExitStack()
        self._numbers = count()
        self.deaths: list[str] = []
        self.clock = StageClock()
        self.beside = StageClock()

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of each worker."""
        return tuple(seat.device for seat in self._seats)

    def __enter__(self) -> Self:
        try:
            names = self._options.device_names
            processors = _share(self._options.usable, len(names))
            self._take_seats(names, processors)
            self._wait_until_ready()
            if names in (("auto",), ("cpu",), ("cuda",)):
                self._take_seats(self._others(), processors)
            if self.facts.device == "cuda":  # more CPU workers are like the first, and may be late
                self._wait_until_ready()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End all workers."""
        for seat in self._seats:
            seat.process.kill()
        self._logs.close()

    @property
    def users_per_task(self) -> int:
        """Users that a worker gets at a time: whole forward passes."""
        passes = -(-_USERS_AT_LEAST // self.facts.batch_size)
        return passes * self.facts.batch_size

    @property
    def turns(self) -> int:
        """Lanes that compute at a time, of all workers together."""
        return sum(seat.turns for seat in self._seats)

    def run(self, batches: Iterator[UserBatch]) -> Iterator[tuple[UserBatch, pa.Table]]:
        """The rows of each batch, without `user_id`, as they are finished: not always in order.

        Args:
            batches: of `users_per_task` users each, or fewer.

        Raises:
            WorkerError: a worker died again and again with no user to blame.
        """
        self._forget_earlier_work()
        workload = Workload(batches, self.facts)
        while self._hand_out(workload):
            for attempt, rows in self._news(workload):
                if (whole := workload.settle(attempt, rows)) is not None:
                    self._hand_out(workload)  # before the caller takes its time
                    yield attempt.batch, whole

    def run_shards(
        self, source: ShardSource, shards: Sequence[int]
    ) -> Iterator[tuple[UserBatch, pa.Table]]:
        """The batches of those shards and the rows of each; see `run`."""
        yield from self.run(self._timed(source.batches(shards, self.users_per_task)))

    def _timed(self, batches: Iterator[UserBatch]) -> Iterator[UserBatch]:
        while True:
            with self.beside.timing(Stage.MANIFEST):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _others(self) -> list[str]:
        """The devices besides the first, where all of a kind are meant."""
        if self.facts.device == "cuda":
            return [f"cuda:{number}" for number in range(1, self.facts.cuda_devices)]
        return ["cpu"] * (_workers_on_cpu(self._options.usable) - 1)

    # --- seats -------------------------------------------------------------------------------

    def _take_seats(self, devices: Sequence[str], processors: int) -> None:
        for device in devices:
            options = replace(self._job.options, device=device)
            job = replace(self._job, options=options, processors=processors)
            log = self._logs.enter_context(self._open_log(len(self._seats)))
            process, watchdog = self._start(job, log)
            self._seats.append(Seat(job, log, process, time.monotonic(), watchdog))

    def _open_log(self, number: int) -> BinaryIO:
        if (path := self._options.log) is None:
            return cast(BinaryIO, tempfile.TemporaryFile("a+b"))
        return open_log(path, number)

    def _start(self, job: Job, log: BinaryIO) -> tuple[WorkerProcess, Watchdog]:
        process = WorkerProcess(log, self._options.stall_seconds)
        process.send(job)  # where it is not taken, the process is dead, which shows soon enough
        return process, Watchdog(process.board, process.number, job.options.max_image_seconds)

    def _wait_until_ready(self) -> None:
        while not all(seat.ready for seat in self._seats):
            for _ in self._news(None):
                pass

    # --- work --------------------------------------------------------------------------------

    def _forget_earlier_work(self) -> None:
        """Replace who is still busy with batches that nobody waits for any more."""
        self.clock.take()
        for seat in self._seats:
            if seat.held:
                seat.process.kill()
                self._seat_anew(seat)

    def _hand_out(self, workload: Workload) -> bool:
        """Give every worker as much to do as it has room for; False when all is done."""
        for seat in self._seats:
            while seat.has_room and (attempt := workload.take(idle=not seat.held)):
                self._give(seat, attempt, workload)
        # Reading goes on while workers work: what they find at hand costs them no time.
        workload.read_ahead(len(self._seats))
        return workload.waiting or any(seat.held for seat in self._seats)

    def _give(self, seat: Seat, attempt: Attempt, workload: Workload) -> None:
        number = next(self._numbers)
        task = Task(number, attempt.decoder, attempt.too_slow)
        if seat.process.send(task, memoryview(pack(attempt.users))):
            seat.held[number] = Held(attempt, time.monotonic())
        else:
            workload.put_back(attempt)
            seat.lanes = 0  # it is dead; what it said before is still to be heard

    def _news(self, workload: Workload | None) -> Iterator[_Ended]:
        """Wait for a worker to say something, to die or to be overdue."""
        active = [seat for seat in self._seats if seat.held or not seat.ready]
        soonest = min(-seat.overdue(self._patience(seat)) for seat in active)
        soonest = min(soonest, *(seat.watchdog.look_seconds for seat in active))
        heard = wait_for([seat.process for seat in active], max(0.0, soonest))
        for seat in active:
            if seat.process in heard:
                yield from self._listen(seat, workload)
            elif slow := seat.look():
                assert workload is not None
                self._give_up(seat, slow, workload)
            elif seat.overdue(self._patience(seat)) >= 0:
                seat.process.kill()
                how = f"hung for {self._patience(seat):.0f} s"
                yield from self._bury(seat, how, workload)

    def _patience(self, seat: Seat) -> float:
        return self._options.stall_seconds if seat.ready else _START_SECONDS

    def _listen(self, seat: Seat, workload: Workload | None) -> Iterator[_Ended]:
        match seat.process.receive():
            case Ready(facts, lanes, turns):
                if hasattr(self, "facts"):
                    require_same_model(self.facts, facts, seat.device)
                else:
                    self.facts = cast(FactsT, facts)
                seat.lanes, seat.turns = lanes, turns
            case Refused(error):
                raise (
                    cannot_replace(seat.device, error) if self.deaths and not seat.ready else error
                )
            case Begun(number):
                seat.held[number].moved = time.monotonic()
            case Done(number, table, seconds):
                seat.failed_starts = 0
                self.clock.add(seconds)
                yield seat.held.pop(number).attempt, unpack(table)
            case _:
                yield from self._bury(seat, seat.process.death(), workload)

    def _bury(self, seat: Seat, how: str, workload: Workload | None) -> list[_Ended]:
        """Start a worker in place of one that died; what it may have died of."""
        suspects = [held.attempt for held in seat.held.values() if held.moved is not None]
        innocent = [held.attempt for held in seat.held.values() if held.moved is None]
        self.deaths.append(f"the worker on {seat.device} {how}, {_of(suspects)}")
        if not suspects:
            self._count_failed_start(seat)
        self._seat_anew(seat)
        for attempt in reversed(innocent):
            assert workload is not None
            workload.put_back(attempt)
        return [(attempt, None) for attempt in suspects]

    def _give_up(self, seat: Seat, slow: list[SlowImage], workload: Workload) -> None:
        """Start a worker in place of one that decodes images for too long, and leave those out."""
        seat.process.kill()
        certain = [each for each in slow if each.is_certain]
        attempts = [
            held.attempt.after([each for each in certain or slow if each.task == number])
            for number, held in seat.held.items()
        ]
        self._seat_anew(seat)
        for attempt in reversed(attempts):
            workload.put_back(attempt)

    def _seat_anew(self, seat: Seat) -> None:
        if self._options.log is None and os.fstat(seat.log.fileno()).st_size > _LOG_BYTES:
            seat.log.truncate(0)
        seat.process, seat.watchdog = self._start(seat.job, seat.log)
        seat.started = time.monotonic()
        seat.lanes = 0
        seat.held.clear()

    def _count_failed_start(self, seat: Seat) -> None:
        seat.failed_starts += 1
        if seat.failed_starts == _STARTS:
            words = seat.process.last_words() or "(nothing)"
            raise WorkerError(
                f"{self.deaths[-1]}, {_STARTS} times in a row, so it is not the images: mend what "
                "it says or try other --devices or another --decoder. It printed:",
                words,
            )


def _workers_on_cpu(processors: int) -> int:
    return -(-processors // _PROCESSORS_A_WORKER)


def _share(processors: int, workers: int) -> int:
    """Processors for each of so many workers; of a single one, as many as it can use."""
    workers = workers if workers > 1 else _workers_on_cpu(processors)
    return -(-processors // workers)


def _of(suspects: list[Attempt]) -> str:
    if not suspects:
        return "having nothing to do with any user"
    return "of " + " or ".join(map(_name, suspects))


def _name(attempt: Attempt) -> str:
    if attempt.alone is not None:
        return f"user {attempt.batch.table['user_id'][attempt.alone]}"
    first = attempt.batch.first
    return f"users {first} to {first + len(attempt.batch) - 1}"
