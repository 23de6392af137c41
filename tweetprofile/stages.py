"""The stages from manifest to output, and a clock that counts the seconds per stage."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum


class Stage(StrEnum):
    """The steps that users and their images go through, in this order."""

    MANIFEST = "manifest"
    """Reading users and image references."""
    READ = "read"
    """Fetching encoded images."""
    SCREEN = "screen"
    """Checking image headers before DALI decodes; Pillow checks them while it decodes."""
    DECODE = "decode"
    """Decoding and resizing."""
    TEXTS = "texts"
    """Counting the n-grams of texts."""
    STACK = "stack"
    """Stacking frames into volumes."""
    FORWARD = "forward"
    """Running the network."""
    PROFILE = "profile"
    """Turning the output of the network into table rows."""
    WRITE = "write"
    """Writing shards to disk."""


class StageClock:
    """Adds up wall-clock seconds per stage; for a single thread."""

    def __init__(self) -> None:
        self._seconds: dict[Stage, float] = {}

    @contextmanager
    def timing(self, stage: Stage) -> Iterator[None]:
        """Count the time of a `with` block towards a stage. Blocks must not be nested."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add({stage: time.perf_counter() - began})

    def add(self, seconds: Mapping[Stage, float]) -> None:
        """Add the seconds that another clock has counted."""
        for stage, more in seconds.items():
            self._seconds[stage] = self._seconds.get(stage, 0.0) + more

    def take(self) -> dict[Stage, float]:
        """Return the seconds since the last call, without stages that were not entered."""
        taken, self._seconds = self._seconds, {}
        return taken
