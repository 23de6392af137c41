"""The process that predicts, extracts frames or examines images: told what to do, and free to die.

It works in lanes: threads that each take a task and do everything for it, from reading to
profiles, so that no stage waits for another. On a CPU a lane computes on one processor; there are
more lanes than processors, as some wait for the disk, but no more compute at a time. On a GPU,
while one lane reads, another decodes and a third runs the network, each on a stream of its own.

The process holds nothing that would be lost with it. `process.py` starts it, with a connection to
the process that supervises it, and stdout and stderr led to a log.
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
from queue import SimpleQueue
from threading import BoundedSemaphore, Lock, Thread
from typing import Protocol

import pyarrow as pa
import torch
from PIL import Image

from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.data.manifests.manifest import ImageRef, UserImages, users_of
from tweetprofile.engines.board import Board, LaneWatch
from tweetprofile.engines.messages import (
    Begun,
    Done,
    ExamineJob,
    ExtractJob,
    Facts,
    Job,
    Ready,
    Refused,
    Task,
    pack,
    unpack,
)
from tweetprofile.errors import Reason, TweetprofileError
from tweetprofile.job import DecoderName, PredictorOptions, usable_processors
from tweetprofile.stages import Stage
from tweetprofile.workers.devices import resolve_device
from tweetprofile.workers.examiner import Examiner
from tweetprofile.workers.extractor import FrameExtractor
from tweetprofile.workers.observers import ImageObserver
from tweetprofile.workers.predictor import Predictor

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_LANES_A_PROCESSOR = 2
"""While one computes, another waits for the disk, or for its turn, at no measurable cost."""

_LANES_ON_CUDA = 3

MOST_SLOW_IMAGES = 50
"""Of a user, by their deadline; at ten seconds each, a quarter of an hour."""

Send = Callable[[object], None]

_Given = tuple[Task, bytes]


class Actor(Protocol):
    """What a lane works with: a `Predictor`, a `FrameExtractor` or an `Examiner`."""

    @property
    def facts(self) -> Facts:
        """What it is."""

    def take_seconds(self) -> dict[Stage, float]:
        """Where the time of the calls since the last time went."""

    def __call__(self, users: Sequence[UserImages]) -> pa.Table:
        """A row for every user, in order."""


class MakeActor(Protocol):
    """Makes an actor of options, the turn that it waits for to compute, and whom it tells what."""

    def __call__(
        self,
        options: PredictorOptions,
        *,
        compute_slot: AbstractContextManager[object] | None = None,
        observer: ImageObserver | None = None,
    ) -> Actor:
        """An actor for one lane."""


class Worker:
    """The lanes of one job, each with actors of its own.

    Args:
        job: what to be.
        send: takes messages for the supervisor, from any thread.
        board: shows the supervisor what is being decoded.

    Raises:
        TweetprofileError: the job cannot be done on this machine.
    """

    def __init__(self, job: Job, send: Send, board: Board) -> None:
        # Pillow refuses twice this: images inside of images (ICO) are within the cap, too.
        Image.MAX_IMAGE_PIXELS = (job.options.max_pixels + 1) // 2
        device = resolve_device(job.options.device)
        on_cpu = device.type == "cpu"
        lanes = job.processors * _LANES_A_PROCESSOR if on_cpu else _LANES_ON_CUDA
        options = replace(job.options, threads=1 if on_cpu else _threads_on_cuda())
        torch.set_num_threads(options.threads)
        make_actor = _actor_maker(job)
        actor = make_actor(options)
        actor([UserImages("drawn", (ImageRef(data=_drawn_image()),))])
        self.ready = Ready(actor.facts, lanes, job.processors if on_cpu else lanes)
        self._tasks: SimpleQueue[_Given] = SimpleQueue()
        turn = BoundedSemaphore(self.ready.turns)
        for _ in range(lanes):
            watch = LaneWatch(board)
            make_own = partial(make_actor, compute_slot=turn, observer=watch)
            lane = _Lane(make_own, options, device, send, watch)
            Thread(target=lane.work, args=(self._tasks,), daemon=True).start()

    def give(self, task: Task, users: bytes) -> None:
        """Have a lane do a task for those users (packed), when one is free."""
        self._tasks.put((task, users))


def _actor_maker(job: Job) -> MakeActor:
    if isinstance(job, ExtractJob):
        return partial(FrameExtractor, job.frames)
    if isinstance(job, ExamineJob):
        return partial(Examiner, job.frames, job.full_decode)
    return partial(Predictor, load_checkpoint(job.checkpoint))


class _Lane:
    """One thread's actors, by decoder, made when first needed."""

    def __init__(
        self,
        make_actor: Callable[[PredictorOptions], Actor],
        options: PredictorOptions,
        device: torch.device,
        send: Send,
        watch: LaneWatch,
    ) -> None:
        self._watch = watch
        self._make_actor = make_actor
        self._options = options
        self._device = device
        self._send = send
        self._actors: dict[DecoderName, Actor] = {}

    def work(self, tasks: "SimpleQueue[_Given]") -> None:
        """Do tasks for ever. What it cannot cope with ends the process, as a crash would."""
        try:
            with _own_stream(self._device):
                while True:
                    self._do(*tasks.get())
        except TweetprofileError as error:  # of a store, say: no user is to blame
            self._send(Refused(error))
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def _do(self, task: Task, users: bytes) -> None:
        self._send(Begun(task.number))
        self._watch.task = task.number
        actor = self._actor(task.decoder)
        table = pack(actor(refuse_images(users_of(unpack(users)), task.too_slow)))
        self._send(Done(task.number, table, actor.take_seconds()))

    def _actor(self, decoder: DecoderName) -> Actor:
        if decoder not in self._actors:
            options = replace(self._options, decoder=decoder)
            self._actors[decoder] = self._make_actor(options)
        return self._actors[decoder]


def refuse_images(
    users: list[UserImages], too_slow: frozenset[tuple[int, int]]
) -> list[UserImages]:
    """The users, with the images refused that have been found to be too slow.

    Finding one out costs its deadline and the start of a worker, so of a user with
    `MOST_SLOW_IMAGES` of them no image is tried any more.
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


def _own_stream(device: torch.device) -> AbstractContextManager[object]:
    """On a GPU, what one lane does must not wait for what another does."""
    if device.type == "cpu":
        return nullcontext()
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return torch.cuda.stream(stream)


def _threads_on_cuda() -> int:
    """A lane's decoding threads: its share of the processors that there are for each GPU."""
    share = usable_processors() // torch.cuda.device_count() // _LANES_ON_CUDA
    return min(max(1, share), 8)


def main(descriptor: int, board: int, supervisor: int) -> None:
    """Serve the supervisor at the other end of a connection until it closes it.

    Args:
        descriptor: file descriptor of the connection.
        board: file descriptor of the memory that the supervisor looks at.
        supervisor: process id of the supervisor; when it dies, so does this process.
    """
    _die_with(supervisor)
    _offer_itself_to_the_oom_killer()
    faulthandler.enable()  # a fatal signal leaves its stack in the log
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the supervisor decides
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not fill the disk
    with Connection(descriptor) as connection, suppress(EOFError, BrokenPipeError):
        _serve(connection, Board(board))


def _serve(connection: Connection, board: Board) -> None:
    lock = Lock()

    def send(message: object) -> None:
        with lock:
            connection.send(message)

    try:
        worker = Worker(connection.recv(), send, board)
    except TweetprofileError as error:
        send(Refused(error))
        return
    send(worker.ready)
    while True:
        worker.give(connection.recv(), connection.recv_bytes())


def _die_with(supervisor: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # it died before we asked to be told
        sys.exit(1)


def _offer_itself_to_the_oom_killer() -> None:
    """When memory runs out, have the system kill this process and not the supervisor."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _drawn_image() -> bytes:
    """An image that no one can blame: whoever dies of it would die of any."""
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, "JPEG")
    return file.getvalue()
