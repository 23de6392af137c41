"""The process that predicts: told by messages what to do, and free to die.

It holds nothing that would be lost with it. `process.py` starts it, with a connection to the
process that supervises it, and stdout and stderr led to a log.
"""

import ctypes
import faulthandler
import io
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from PIL import Image

from tweetprofile.checkpoint import load_checkpoint
from tweetprofile.engines.messages import Job, Profiles, Ready, Refused, Task, pack, unpack
from tweetprofile.errors import TweetprofileError
from tweetprofile.inference import Predictor
from tweetprofile.job import DecoderName, PredictorFacts
from tweetprofile.manifest import ImageRef, UserImages, users_of

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class Worker:
    """Predictors of one job: the one asked for, and others by decoder, made when first needed.

    Raises:
        TweetprofileError: the job cannot be done on this machine.
    """

    def __init__(self, job: Job) -> None:
        if job.options.threads:
            torch.set_num_threads(job.options.threads)
        # Pillow refuses twice this: images inside of images (ICO) are within the cap, too.
        Image.MAX_IMAGE_PIXELS = (job.options.max_pixels + 1) // 2
        self._options = job.options
        self._checkpoint = load_checkpoint(job.checkpoint)
        first = Predictor(self._checkpoint, job.options)
        self.facts: PredictorFacts = first.facts
        self._predictors: dict[str, Predictor] = {self.facts.decoder: first}
        first([UserImages("drawn", (ImageRef(data=_drawn_image()),))])

    def profile(self, task: Task) -> Profiles:
        """The profiles of a task's users."""
        users = users_of(unpack(task.users))
        return Profiles(pack(self._predictor(task.decoder)(users)))

    def _predictor(self, decoder: DecoderName) -> Predictor:
        if decoder not in self._predictors:
            options = replace(self._options, decoder=decoder)
            self._predictors[decoder] = Predictor(self._checkpoint, options)
        return self._predictors[decoder]


def main(descriptor: int, supervisor: int) -> None:
    """Serve the supervisor at the other end of a connection until it closes it.

    Args:
        descriptor: file descriptor of the connection.
        supervisor: process id of the supervisor; when it dies, so does this process.
    """
    _die_with(supervisor)
    _offer_itself_to_the_oom_killer()
    faulthandler.enable()  # a fatal signal leaves its stack in the log
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the supervisor decides
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not fill the disk
    with Connection(descriptor) as connection, suppress(EOFError, BrokenPipeError):
        _serve(connection)


def _serve(connection: Connection) -> None:
    try:
        worker = Worker(connection.recv())
    except TweetprofileError as error:
        connection.send(Refused(error))
        return
    connection.send(Ready(worker.facts))
    while True:
        connection.send(worker.profile(connection.recv()))


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
