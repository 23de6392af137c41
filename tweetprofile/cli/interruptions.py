"""Handles Ctrl-C, and SIGTERM, with which clusters end a job."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tweetprofile.errors import InterruptedRunError


@contextmanager
def interruptions(how_to_resume: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM in the `with` block into an error that says how to resume."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedRunError(how_to_resume()) from None
    finally:
        signal.signal(signal.SIGTERM, before)
