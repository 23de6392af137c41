"""The worker process: it predicts, extracts frames or examines images, as its job says.

A worker runs several worker threads. Each of them takes one task at a time and does everything for
it, from reading the images to the profiles, so that no stage waits for another. On a CPU, a worker
thread computes on one processor. There are more threads than processors, because some of them wait
for the disk, but only as many as there are compute slots compute at the same time. On a GPU, one
worker thread reads while another decodes and a third one runs the network, each on a CUDA stream of
its own.

The process holds nothing that would be lost with it, so it may crash or be killed at any time.
`process.py` starts it with a connection to the supervisor, and sends its stdout and stderr to a
log.
"""

import ctypes
import faulthandler
import io
import os
import resource
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from threading import BoundedSemaphore, Lock, Thread
from typing import Any, Protocol

import pyarrow as pa
import torch
from PIL import Image

from tweetprofile.data.manifests.content_rows import ContentRows
from tweetprofile.data.manifests.users import ImageRef, UserImages, users_of
from tweetprofile.engines.jobs import Job, imported
from tweetprofile.engines.messages import Begun, Done, Ready, Refused, Task, pack
from tweetprofile.engines.shared_progress import ProgressReporter, SharedProgress
from tweetprofile.engines.task_queue import TaskQueue
from tweetprofile.errors import Reason, TweetprofileError
from tweetprofile.job import (
    DecoderName,
    PredictorFacts,
    PredictorOptions,
    WorkerFacts,
    usable_processors,
)
from tweetprofile.stages import Stage, StageClock
from tweetprofile.workers.devices import device_settings, resolve_only_device
from tweetprofile.workers.observers import ImageObserver

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

MOST_SLOW_IMAGES = 50
"""Images of one user that may exceed their deadline; at ten seconds each, a quarter of an hour."""

Send = Callable[[object], None]


class Actor(Protocol):
    """What a worker thread works with: a `Predictor`, a `FrameExtractor` or an `Examiner`."""

    @property
    def facts(self) -> WorkerFacts:
        """The model, device and decoder that it uses."""

    def take_seconds(self) -> dict[Stage, float]:
        """Return the seconds per stage that were spent since the last call of this method."""

    def __call__(self, users: Sequence[UserImages]) -> pa.Table:
        """Return one row per user, in the order of the users."""


class MakeActor(Protocol):
    """Makes an actor for one worker thread."""

    def __call__(
        self,
        options: PredictorOptions,
        *,
        compute_slot: AbstractContextManager[object] | None = None,
        observer: ImageObserver | None = None,
    ) -> Actor:
        """Make an actor.

        Args:
            options: How the actor works.
            compute_slot: The compute slot that it enters to compute and leaves to read.
            observer: The observer that learns which image the actor is decoding.
        """


class Worker:
    """The worker threads of one job, each with actors of its own.

    Args:
        job: The job to do.
        send: Sends a message to the supervisor; may be called from any thread.
        progress: The memory that the supervisor reads.

    Raises:
        TweetprofileError: The job cannot be done on this machine.
    """

    def __init__(self, job: Job[Any], send: Send, progress: SharedProgress) -> None:
        # Pillow refuses twice this number; it also checks images inside other images (ICO).
        Image.MAX_IMAGE_PIXELS = (job.options.max_pixels + 1) // 2
        device = resolve_only_device(job.options.device)
        arguments = job.actor_arguments()
        if job.options.device == "auto" and not job.suits_gpu(arguments):
            device = torch.device("cpu")
        settings = device_settings(device, _processors_for(job, device), job.worker_threads)
        options = replace(job.options, device=str(device), threads=settings.decoding_threads)
        torch.set_num_threads(settings.decoding_threads)
        make_actor: MakeActor = partial(imported(job.actor), *arguments)
        facts = _try_out(make_actor, options, device)
        if device.type == "cpu" and job.most_small_workers is not None:
            workers = facts.workers_on_cpu(job.processors, job.most_small_workers)
            share = -(-job.processors // workers)
            settings = device_settings(device, share, job.worker_threads)
        self.ready = Ready(facts, settings.worker_threads, settings.compute_slots)
        self._tasks = TaskQueue(_rows_for(job, facts))
        compute_slots = BoundedSemaphore(settings.compute_slots)
        for _ in range(settings.worker_threads):
            reporter = ProgressReporter(progress)
            make_own = partial(make_actor, compute_slot=compute_slots, observer=reporter)
            thread = _WorkerThread(make_own, options, device, send, reporter)
            Thread(target=thread.run, args=(self._tasks,), daemon=True).start()

    def give(self, task: Task, users: bytes | None) -> None:
        """Queue a task, with its packed users if it names no rows."""
        self._tasks.put(task, users)


class _WorkerThread:
    """The work of one thread, with one actor per decoder, each made when it is first needed."""

    def __init__(
        self,
        make_actor: Callable[[PredictorOptions], Actor],
        options: PredictorOptions,
        device: torch.device,
        send: Send,
        reporter: ProgressReporter,
    ) -> None:
        self._reporter = reporter
        self._make_actor = make_actor
        self._options = options
        self._device = device
        self._send = send
        self._actors: dict[DecoderName, Actor] = {}

    def run(self, tasks: TaskQueue) -> None:
        """Process tasks forever. An unexpected error ends the process, as a crash would."""
        try:
            with _own_stream(self._device):
                while True:
                    self._process(*tasks.take(self._begin, self._reporter.end))
        except TweetprofileError as error:  # for example of an object store: no user is the cause
            self._send(Refused(error))
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def _begin(self, task: Task) -> None:
        self._send(Begun(task.number))
        self._reporter.task = task.number

    def _process(self, task: Task, table: pa.Table, reading: dict[Stage, float]) -> None:
        clock = StageClock()
        clock.add(reading)
        users = refuse_images(users_of(table, copy=False), task.too_slow)
        actor = self._actor(task.decoder)
        rows = pack(actor(users))
        clock.add(actor.take_seconds())
        self._send(Done(task.number, rows, clock.take()))

    def _actor(self, decoder: DecoderName) -> Actor:
        if decoder not in self._actors:
            options = replace(self._options, decoder=decoder)
            self._actors[decoder] = self._make_actor(options)
        return self._actors[decoder]


def refuse_images(
    users: list[UserImages], too_slow: frozenset[tuple[int, int]]
) -> list[UserImages]:
    """Mark the images that have exceeded their deadline, so that they are not decoded again.

    Each discovery costs the deadline and the start of a worker. So once a user has had
    `MOST_SLOW_IMAGES` of them, none of the user's images is decoded any more.

    Args:
        users: The users of a task.
        too_slow: The images, each as the position of the user and of the image in the user's list.

    Returns:
        The users, with those images refused.
    """
    found = Counter(user for user, _ in too_slow)
    refused = list(users)
    for user in found:
        every = found[user] >= MOST_SLOW_IMAGES
        images = (
            replace(ref, refused=Reason.TOO_SLOW) if every or (user, index) in too_slow else ref
            for index, ref in enumerate(users[user].images)
        )
        refused[user] = replace(users[user], images=tuple(images))
    return refused


def _try_out(make_actor: MakeActor, options: PredictorOptions, device: torch.device) -> WorkerFacts:
    """Process a test image, and return the facts of the actor that did.

    On a GPU there is one test user per user of a batch, so that a lack of memory shows before the
    run begins.
    """
    with _own_stream(device):
        actor = make_actor(options)
        users = actor.facts.batch_size if device.type == "cuda" else 1
        actor([UserImages("test", (ImageRef(data=_draw_test_image()),))] * users)
    return actor.facts


def _rows_for(job: Job[Any], facts: WorkerFacts) -> ContentRows | None:
    """Return the manifest to read, without texts and fields of profiles that the model ignores."""
    if job.rows is None or not isinstance(facts, PredictorFacts):
        return job.rows
    profile = tuple(name for name in job.rows.profile if name in facts.profile_fields)
    return replace(job.rows, texts=job.rows.texts if facts.reads_texts else None, profile=profile)


def _processors_for(job: Job[Any], device: torch.device) -> int:
    """Return the processors of the worker: of a first worker on a GPU, its share of all of them."""
    if device.type == "cuda" and ":" not in job.options.device:
        return usable_processors() // torch.cuda.device_count()
    return job.processors


def _own_stream(device: torch.device) -> AbstractContextManager[object]:
    """Return a CUDA stream, so that one worker thread does not wait for what another computes."""
    if device.type == "cpu":
        return nullcontext()
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return torch.cuda.stream(stream)


def main(descriptor: int, progress: int, supervisor: int) -> None:
    """Serve the supervisor until it closes the connection.

    Args:
        descriptor: The file descriptor of the connection.
        progress: The file descriptor of the shared memory.
        supervisor: The process id of the supervisor; when it exits, so does this process.
    """
    _exit_with(supervisor)
    _prefer_to_be_killed_when_memory_runs_out()
    faulthandler.enable()  # a fatal signal leaves its stack in the log
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the supervisor decides
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not fill the disk
    with Connection(descriptor) as connection, suppress(EOFError, BrokenPipeError):
        _serve(connection, SharedProgress(progress))


def _serve(connection: Connection, progress: SharedProgress) -> None:
    lock = Lock()

    def send(message: object) -> None:
        with lock:
            connection.send(message)

    try:
        worker = Worker(connection.recv(), send, progress)
    except TweetprofileError as error:
        send(Refused(error))
        return
    send(worker.ready)
    while True:
        task: Task = connection.recv()
        worker.give(task, connection.recv_bytes() if task.rows is None else None)


def _exit_with(supervisor: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # it exited before this process asked for the signal
        sys.exit(1)


def _prefer_to_be_killed_when_memory_runs_out() -> None:
    """Have the system kill this process rather than the supervisor."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _draw_test_image() -> bytes:
    """Return a harmless image: a worker that crashes while decoding it would crash on any."""
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, "JPEG")
    return file.getvalue()
