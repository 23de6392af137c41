"""A worker process seen from the outside: start it, speak with it, learn how it died."""

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import BinaryIO

from tweetprofile.engines.board import Board, make_board

_BOOT = """import sys
sys.path += [entry for entry in {path!r} if entry not in sys.path]
from tweetprofile.engines.worker import main
main({descriptor}, {board}, {supervisor})
"""
"""What the process runs. Modules come from where they come from here, never from the folder in
which the command is run: that may be a dump."""

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(4 << 30)}
"""Has glibc keep what the network gives back, for the next pass: fetching it from the system anew,
page by page, takes an eighth of a run. Larger blocks (an image of 11 megapixels) are still
returned."""

_TAIL_BYTES = 2000
"""Bytes at the end of its log that tell how a worker died."""

_DEATH_SECONDS = 5.0
"""Time for a process that has closed its connection to be gone by itself."""


class WorkerProcess:
    """One worker process.

    Args:
        log: gets what the process and its libraries print; opened for appending.
        send_seconds: a process that takes or sends no byte for so long counts as dead.

    Attributes:
        connection: to it.
        board: what its threads are at.
    """

    def __init__(self, log: BinaryIO, send_seconds: float) -> None:
        self._log = log
        self._log_start = os.fstat(log.fileno()).st_size
        ours, theirs = socket.socketpair()
        board = make_board()
        with theirs:
            boot = _BOOT.format(
                path=[entry for entry in sys.path if entry],
                descriptor=theirs.fileno(),
                board=board,
                supervisor=os.getpid(),
            )
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", boot],
                pass_fds=[theirs.fileno(), board],
                env=ALLOCATOR | os.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.board = Board(board)
        os.close(board)
        # A process that is stopped in the middle of a message must not stop us with it.
        limit = struct.pack("ll", max(1, int(send_seconds)), 0)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self.connection = Connection(ours.detach())

    @property
    def number(self) -> int:
        """The id of the process."""
        return self._process.pid

    def send(self, message: object, data: memoryview | None = None) -> bool:
        """Whether the message, and data after it, was taken.

        Where not, the process is ended, if it was not dead. What it had said before can still be
        received.
        """
        try:
            self.connection.send(message)
            if data is not None:
                self.connection.send_bytes(data)
        except OSError:
            self._process.kill()
            return False
        return True

    def receive(self) -> object | None:
        """Its next message, or None where it has died."""
        try:
            message: object = self.connection.recv()
        except (EOFError, OSError):
            return None
        return message

    def kill(self) -> None:
        """End it at once; it has nothing to lose."""
        self._process.kill()
        self._process.wait()
        self.connection.close()

    def death(self) -> str:
        """How it died, in words; ends it where it has only fallen silent."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_DEATH_SECONDS)
        silent = self._process.poll() is None
        self.kill()
        if silent:
            return "fell silent"
        code = self._process.returncode
        return f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with code {code}"

    def last_words(self) -> str:
        """The end of what it printed."""
        size = os.fstat(self._log.fileno()).st_size
        start = max(self._log_start, size - _TAIL_BYTES)
        text = os.pread(self._log.fileno(), _TAIL_BYTES, start).decode(errors="replace")
        return text.strip()


def wait_for(processes: Sequence[WorkerProcess], seconds: float | None) -> Sequence[WorkerProcess]:
    """Those processes that have sent a message or died, as soon as there are any, or time is up."""
    heard = set(wait([process.connection for process in processes], seconds))
    return [process for process in processes if process.connection in heard]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
