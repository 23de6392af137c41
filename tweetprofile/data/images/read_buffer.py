"""Memory that files are read into directly, and that is used again for the next ones.

Fresh memory for each file, and a copy of it to where a decoder wants it, take longer than reading a
file that the system has in memory.
"""

from threading import Lock

import numpy as np

_CHUNK = 1 << 24
"""Bytes of a chunk of memory; a larger file gets a chunk of its own."""


class ReadBuffer:
    """Memory for the encoded images of one part; it grows to the size of the largest part."""

    def __init__(self) -> None:
        self._chunks: list[memoryview] = []
        self._chunk = self._used = 0
        self._lock = Lock()

    def reset(self) -> None:
        """Use all memory again. What was read before must not be used any more."""
        self._chunk = self._used = 0

    def take(self, size: int) -> memoryview:
        """Return writable memory of a size in bytes. It may be called from any thread."""
        with self._lock:
            while self._chunk < len(self._chunks):
                chunk, start = self._chunks[self._chunk], self._used
                if size <= len(chunk) - start:
                    self._used += size
                    return chunk[start : start + size]
                self._chunk, self._used = self._chunk + 1, 0
            self._chunks.append(np.empty(max(size, _CHUNK), np.uint8).data)
            self._used = size
            return self._chunks[-1][:size]
