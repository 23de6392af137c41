"""The processes of a training watch each other, so that none waits for one that has died.

A process that waits for the others does so inside of a library. Gloo notices a broken connection at
once; NCCL notices nothing, and gives up after ten minutes.
"""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import parent_process
from multiprocessing.context import SpawnProcess

import torch.distributed as dist

from tweetprofile.errors import WorkerError

_EXIT_SECONDS = 5.0
"""How long to wait for a process to exit after its connection broke."""

_LOOK_SECONDS = 0.5
"""How often the first process looks whether the others live."""

_LEAVE_SECONDS = 8.0
"""How long the first process may take to end by itself after another one has died."""


@contextmanager
def watched(processes: Sequence[SpawnProcess]) -> Iterator[None]:
    """Run the block as the first process of a group; if another one dies, the block is ended.

    The library that the block waits in is woken up. If it does not wake up, this process ends, with
    the same sentence; what is on the disk can be resumed from.

    Args:
        processes: The other processes.

    Raises:
        WorkerError: A process died, and the block raised an error after that.
    """
    watch = _Watch(processes)
    watch.start()
    try:
        yield
    except Exception as error:
        if watch.death is not None:
            raise watch.death from error
        raise
    finally:
        watch.left.set()
        watch.join()


def raise_for_deaths(processes: Sequence[SpawnProcess], cause: Exception | None) -> None:
    """Raise if a process has died.

    Args:
        processes: The processes other than the first.
        cause: The error that may be due to a death that has not been seen yet; None for none.

    Raises:
        WorkerError: A process has died.
    """
    for process in processes:
        process.join(0 if cause is None else _EXIT_SECONDS)
    if (error := _death(processes)) is not None:
        raise error from cause


def end_with_the_first() -> None:
    """End this process, which is not the first, as soon as the first one has ended."""
    first = parent_process()
    assert first is not None

    def wait() -> None:
        first.join()
        os._exit(1)  # the main thread may wait for the first process for ever

    threading.Thread(target=wait, daemon=True).start()


def abort_group() -> None:
    """Break the connections of the group, where that wakes those who wait for them."""
    with suppress(RuntimeError):
        if (group := dist.group.WORLD) is not None:
            group.abort()


class _Watch(threading.Thread):
    """Looks from time to time whether processes live."""

    def __init__(self, processes: Sequence[SpawnProcess]) -> None:
        super().__init__(daemon=True)
        self.left = threading.Event()
        self.death: WorkerError | None = None
        self._processes = processes

    def run(self) -> None:
        while not self.left.wait(_LOOK_SECONDS):
            self.death = _death(self._processes)
            if self.death is not None:
                abort_group()
                if not self.left.wait(_LEAVE_SECONDS):
                    _end_now(self.death, self._processes)
                return


def _death(processes: Sequence[SpawnProcess]) -> WorkerError | None:
    for number, process in enumerate(processes, 1):
        if process.exitcode:
            return WorkerError(
                f"training process {number} of `devices` exited with code {process.exitcode}; see "
                "its output above, then train again with `resume=True`."
            )
    return None


def _end_now(error: WorkerError, processes: Sequence[SpawnProcess]) -> None:
    for process in processes:
        process.kill()
    sys.stderr.write(f"{type(error).__name__}: {error}\n")
    sys.stderr.flush()
    os._exit(1)
