"""Where the time goes: seconds by stage of a user's way from the manifest to the output."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum


class Stage(StrEnum):
    """What is done to users and their images, in this order."""

    MANIFEST = "manifest"
    """Reading who has which images."""
    READ = "read"
    """Fetching encoded images."""
    SCREEN = "screen"
    """Checking headers before DALI; Pillow does so while it decodes."""
    DECODE = "decode"
    """Decoding and resizing."""
    STACK = "stack"
    """Making volumes of frames."""
    FORWARD = "forward"
    """The network."""
    PROFILE = "profile"
    """Making table rows of what the network says."""
    WRITE = "write"
    """Putting shards on the disk."""


class StageClock:
    """Adds up wall seconds by stage; for one thread."""

    def __init__(self) -> None:
        self._seconds: dict[Stage, float] = {}

    @contextmanager
    def timing(self, stage: Stage) -> Iterator[None]:
        """Count what happens in a `with` block as that stage. Blocks do not nest."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add({stage: time.perf_counter() - began})

    def add(self, seconds: Mapping[Stage, float]) -> None:
        """Count what another clock has counted."""
        for stage, more in seconds.items():
            self._seconds[stage] = self._seconds.get(stage, 0.0) + more

    def take(self) -> dict[Stage, float]:
        """What was counted since the last time; stages never entered are missing."""
        taken, self._seconds = self._seconds, {}
        return taken
