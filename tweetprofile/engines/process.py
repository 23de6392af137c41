"""A worker process as the supervisor sees it: start it, exchange messages, learn why it ended."""

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import BinaryIO

from tweetprofile.engines.shared_progress import SharedProgress, create_shared_memory

_BOOT = """import sys
sys.path += [entry for entry in {path!r} if entry not in sys.path]
from tweetprofile.engines.worker import main
main({descriptor}, {progress}, {supervisor})
"""
"""The program of the process. It finds modules where the supervisor finds them, and never in the
folder that the command is run in, because that may be a dump."""

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(4 << 30)}
"""Makes glibc keep the memory that the network frees, for the next forward pass. Requesting it from
the system again, page by page, takes an eighth of the time of a run. Larger blocks (an image of 11
megapixels) are still returned to the system."""

_TAIL_BYTES = 2000
"""Bytes at the end of the log that show why a worker ended."""

_EXIT_SECONDS = 5.0
"""Time for a process that has closed its connection to exit by itself."""


class WorkerProcess:
    """One worker process.

    Args:
        log: The file for what the process and its libraries print; opened for appending.
        send_seconds: A process that accepts or sends no byte for this long counts as dead.
        environment: Environment variables of the process that differ from those of this one.

    Attributes:
        connection: The connection to the process.
        progress: What the threads of the process report.
    """

    def __init__(
        self, log: BinaryIO, send_seconds: float, environment: Mapping[str, str] | None = None
    ) -> None:
        self._log = log
        self._log_start = os.fstat(log.fileno()).st_size
        ours, theirs = socket.socketpair()
        memory = create_shared_memory()
        with theirs:
            boot = _BOOT.format(
                path=[entry for entry in sys.path if entry],
                descriptor=theirs.fileno(),
                progress=memory,
                supervisor=os.getpid(),
            )
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", boot],
                pass_fds=[theirs.fileno(), memory],
                env=ALLOCATOR | os.environ | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.progress = SharedProgress(memory)
        os.close(memory)
        # A process that is stopped in the middle of a message must not block the supervisor.
        limit = struct.pack("ll", max(1, int(send_seconds)), 0)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self.connection = Connection(ours.detach())

    @property
    def number(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, message: object, data: memoryview | None = None) -> bool:
        """Send a message, and data after it if there is any; return whether it was accepted.

        If it was not, the process is killed, unless it has ended already. Messages that it sent
        before can still be received.
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
        """Return the next message of the process, or None if it has ended."""
        try:
            message: object = self.connection.recv()
        except (EOFError, OSError):
            return None
        return message

    def kill(self) -> None:
        """Kill the process at once; it has nothing to lose."""
        self._process.kill()
        self._process.wait()
        self.connection.close()

    def why_ended(self) -> str:
        """Describe how the process ended; kill it if it has only stopped answering."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_SECONDS)
        silent = self._process.poll() is None
        self.kill()
        if silent:
            return "stopped answering"
        code = self._process.returncode
        return f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with code {code}"

    def end_of_log(self) -> str:
        """Return the last part of what the process printed."""
        size = os.fstat(self._log.fileno()).st_size
        start = max(self._log_start, size - _TAIL_BYTES)
        text = os.pread(self._log.fileno(), _TAIL_BYTES, start).decode(errors="replace")
        return text.strip()


def wait_for(processes: Sequence[WorkerProcess], seconds: float | None) -> Sequence[WorkerProcess]:
    """Wait until a process has sent a message or ended; return those that have.

    Args:
        processes: The processes to wait for.
        seconds: The longest time to wait; None for no limit.
    """
    ready = set(wait([process.connection for process in processes], seconds))
    return [process for process in processes if process.connection in ready]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
