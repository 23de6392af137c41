"""A supervised process a device: hand out batches, collect profiles, outlive whoever dies.

The supervisor touches neither CUDA nor an image, and does not even load torch. A worker has one
batch at a time, so that when it dies or hangs, it is known of what.
"""

import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

import pyarrow as pa

from tweetprofile.engines.messages import Job, Profiles, Ready, Refused, Task, pack, unpack
from tweetprofile.engines.process import WorkerProcess, wait_for
from tweetprofile.engines.rescue import Attempt, Workload
from tweetprofile.errors import OptionError, WorkerError
from tweetprofile.job import PredictorFacts, usable_processors
from tweetprofile.manifest import UserBatch

_START_SECONDS = 300.0
"""Time for a worker to be ready: imports from a slow network drive take minutes."""

_STARTS = 3
"""A worker that dies so many times in a row before it is ready will never be."""

_LOG_BYTES = 16 * 1024 * 1024
"""A log that nobody asked to keep is emptied when it is larger."""

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a `LocalEngine` works.

    Attributes:
        devices: `auto`, `cpu`, `cuda`, `cuda:N`, or several with commas between; a worker each.
        stall_seconds: a batch that takes longer means that the worker hangs.
        log: path whose name begins the names of logs to keep; None to keep none.

    Raises:
        OptionError: a value out of range.
    """

    devices: str = "auto"
    stall_seconds: float = 300.0
    log: Path | None = None

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
    def device_names(self) -> tuple[str, ...]:
        """The devices, one by one."""
        return tuple(self.devices.split(","))


@dataclass(slots=True)
class _Seat:
    """The place of a worker: who dies in it is replaced."""

    job: Job
    log: BinaryIO
    process: WorkerProcess
    since: float
    ready: bool = False
    attempt: Attempt | None = None
    failed_starts: int = 0

    @property
    def device(self) -> str:
        """What its worker computes on."""
        return self.job.options.device

    def silent_for(self) -> float:
        """Seconds since it was given something to do."""
        return time.monotonic() - self.since


_Ended = tuple[Attempt, pa.Table | None]
"""An attempt that has come to an end: its profiles, or None where the worker died of it."""


class LocalEngine:
    """Predicts batches in processes of this machine, for the time of a `with` block.

    Args:
        job: what each worker is to be; its device is replaced by the options'.
        options: how.

    Attributes:
        facts: what the workers came to be, once the block is entered.
        deaths: how workers died, in words, in order.

    Raises:
        TweetprofileError: on entering, if the job cannot be done here.
        WorkerError: a worker dies again and again before it is ready.
    """

    facts: PredictorFacts

    def __init__(self, job: Job, options: EngineOptions) -> None:
        self._job = job
        self._options = options
        self._seats: list[_Seat] = []
        self._logs = ExitStack()
        self.deaths: list[str] = []

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of each worker."""
        return tuple(seat.device for seat in self._seats)

    def __enter__(self) -> Self:
        try:
            self._take_seats(self._options.device_names)
            self._wait_until_ready()
            if self._options.devices in ("auto", "cuda") and self.facts.device == "cuda":
                others = range(1, self.facts.cuda_devices)
                self._take_seats(tuple(f"cuda:{number}" for number in others))
                self._wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for seat in self._seats:
            seat.process.kill()
        self._logs.close()

    def profile(self, batches: Iterator[UserBatch]) -> Iterator[tuple[UserBatch, pa.Table]]:
        """The profiles of each batch, without `user_id`, as they are finished: not always in order.

        Raises:
            WorkerError: a worker died again and again with no user to blame.
        """
        self._forget_earlier_work()
        workload = Workload(batches, self.facts.decoder, self.facts.schema)
        while self._hand_out(workload):
            for attempt, profiles in self._news():
                if (whole := workload.settle(attempt, profiles)) is not None:
                    self._hand_out(workload)  # before the caller takes its time
                    yield attempt.batch, whole

    # --- seats -------------------------------------------------------------------------------

    def _take_seats(self, devices: tuple[str, ...]) -> None:
        for device in devices:
            threads = max(1, usable_processors() // len(devices)) if len(devices) > 1 else 0
            options = replace(self._job.options, device=device, threads=threads)
            job = replace(self._job, options=options)
            log = self._logs.enter_context(self._open_log(len(self._seats)))
            self._seats.append(_Seat(job, log, self._start(job, log), time.monotonic()))

    def _open_log(self, number: int) -> BinaryIO:
        if (path := self._options.log) is None:
            return cast(BinaryIO, tempfile.TemporaryFile("a+b"))
        return path.with_name(f"{path.name}.worker-{number}.log").open("a+b")

    def _start(self, job: Job, log: BinaryIO) -> WorkerProcess:
        process = WorkerProcess(log, self._options.stall_seconds)
        process.send(job)  # where it is not taken, the process is dead, which shows soon enough
        return process

    def _wait_until_ready(self) -> None:
        while not all(seat.ready for seat in self._seats):
            for _ in self._news():
                pass

    # --- work --------------------------------------------------------------------------------

    def _forget_earlier_work(self) -> None:
        """Replace who is still busy with batches that nobody waits for any more."""
        for seat in self._seats:
            if seat.attempt:
                seat.process.kill()
                self._seat_anew(seat)

    def _hand_out(self, workload: Workload) -> bool:
        """Give every idle worker something to do; False when all is done."""
        for seat in self._seats:
            if seat.ready and seat.attempt is None and (attempt := workload.take()):
                if seat.process.send(Task(pack(attempt.users), attempt.decoder)):
                    seat.attempt, seat.since = attempt, time.monotonic()
                else:
                    workload.put_back(attempt)
                    self._replace(seat, seat.process.death())
        # Reading goes on while workers work: what they find at hand costs them no time.
        workload.read_ahead(len(self._seats))
        return workload.waiting or any(seat.attempt for seat in self._seats)

    def _news(self) -> Iterator[_Ended]:
        """Wait for a worker to say something, to die or to be overdue."""
        active = [seat for seat in self._seats if seat.attempt or not seat.ready]
        soonest = min(self._patience(seat) - seat.silent_for() for seat in active)
        heard = wait_for([seat.process for seat in active], max(0.0, soonest))
        for seat in active:
            if seat.process in heard:
                yield from self._listen(seat)
            elif seat.silent_for() >= self._patience(seat):
                seat.process.kill()
                yield from self._replace(seat, f"hung for {self._patience(seat):.0f} s")

    def _patience(self, seat: _Seat) -> float:
        return self._options.stall_seconds if seat.ready else _START_SECONDS

    def _listen(self, seat: _Seat) -> Iterator[_Ended]:
        match seat.process.receive():
            case Ready(facts):
                self.facts, seat.ready = facts, True
            case Refused(error):
                raise error
            case Profiles(profiles):
                attempt, seat.attempt, seat.failed_starts = seat.attempt, None, 0
                assert attempt is not None
                yield attempt, unpack(profiles)
            case _:
                yield from self._replace(seat, seat.process.death())

    def _replace(self, seat: _Seat, how: str) -> list[_Ended]:
        """Start a worker in place of one that died; what it died of."""
        attempt, seat.attempt = seat.attempt, None
        self.deaths.append(f"the worker on {seat.device} {how}, {_of(attempt)}")
        if attempt is None:
            self._count_failed_start(seat)
        self._seat_anew(seat)
        return [] if attempt is None else [(attempt, None)]

    def _seat_anew(self, seat: _Seat) -> None:
        if self._options.log is None and os.fstat(seat.log.fileno()).st_size > _LOG_BYTES:
            seat.log.truncate(0)
        seat.process, seat.ready = self._start(seat.job, seat.log), False
        seat.attempt, seat.since = None, time.monotonic()

    def _count_failed_start(self, seat: _Seat) -> None:
        seat.failed_starts += 1
        if seat.failed_starts == _STARTS:
            words = seat.process.last_words() or "(nothing)"
            raise WorkerError(
                f"{self.deaths[-1]}, {_STARTS} times in a row, so it is not the images: mend what "
                f"it says or try other --devices or another --decoder. It printed:\n{words}"
            )


def _of(attempt: Attempt | None) -> str:
    if attempt is None:
        return "having nothing to do with any user"
    if attempt.alone is not None:
        return f"of user {attempt.batch.table['user_id'][attempt.alone]}"
    first = attempt.batch.first
    return f"of users {first} to {first + len(attempt.batch) - 1}"
