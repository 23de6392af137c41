"""Small steps, of which each does one thing that a step may do."""

import os
import signal
import subprocess
import sys
import time

from gpu_steps.work import Finding, Outcome, Work


def count(work: Work) -> Outcome:
    """Finish, and count how often that happened."""
    path = work.folder / "runs"
    runs = int(path.read_text()) + 1 if path.exists() else 1
    path.write_text(str(runs))
    return Outcome([Finding("runs", str(runs))], {"runs": runs})


def read_count(work: Work) -> Outcome:
    """Use the figures of an earlier step."""
    return Outcome([Finding("runs before", str(work.figures("count")["runs"]))])


def miss(work: Work) -> Outcome:
    """Finish without reaching a goal."""
    return Outcome([Finding("frames", "1 differs", "none differs", holds=False)])


def skip(work: Work) -> Outcome:
    """Have nothing to do."""
    return Outcome(skipped="there is no such thing here")


def fail(work: Work) -> Outcome:
    """Raise."""
    raise ValueError("the decoder is broken")


def crash(work: Work) -> Outcome:
    """Die as a library dies."""
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def hang(work: Work) -> Outcome:
    """Start a process, and wait for ever."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (work.folder / "child").write_text(str(child.pid))
    sys.stderr.write("waiting")
    sys.stderr.flush()
    time.sleep(600)
    raise AssertionError
