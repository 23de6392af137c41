"""The embeddings of frames that were computed before, in files that outlive a run.

A store is a folder with one file per process that added to it. A file is a sequence of records of
one size, each with the hash of a frame's pixels, a checksum and the embedding. A record that a
crash has cut off, or a disk has damaged, is not used, and its frame is embedded again.

Shapes: M frames, E numbers of an embedding, in all views.
"""

import os
import uuid
import zlib
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from tweetprofile.errors import OptionError

_ENDING = ".embeddings"
_KEY_BYTES = 16

Embeddings = NDArray[np.float16]
"""(M, E) float16."""


def frame_key(pixels: NDArray[np.uint8]) -> bytes:
    """Return the key of a frame: a hash of its pixels, which no one can find a second frame for."""
    return blake2b(np.ascontiguousarray(pixels).data, digest_size=_KEY_BYTES).digest()


class EmbeddingStore:
    """Embeddings by the key of their frame; several threads and processes may share a folder.

    Args:
        folder: The folder, which is created if it does not exist. Its name must say what the
            embeddings depend on besides the pixels.
        size: E, the length of an embedding in all views.
        gigabytes: The size of the folder at which this process stops adding to it.

    Raises:
        OptionError: The folder cannot be created or read.
    """

    def __init__(self, folder: Path, size: int, gigabytes: float) -> None:
        self._record = np.dtype(
            [("key", f"V{_KEY_BYTES}"), ("check", "<u4"), ("vector", "<f2", (size,))]
        )
        self._lock = Lock()
        self._folder = folder
        self._own: dict[bytes, Embeddings] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._parts = [_map(path, self._record) for path in sorted(folder.glob(f"*{_ENDING}"))]
        except OSError as error:
            raise OptionError(
                f"cannot use the folder of embeddings {folder}: {error.strerror}; name another one."
            ) from error
        self._room = int(gigabytes * 1e9) - sum(part.nbytes for part in self._parts)
        self._places = {
            key.tobytes(): (number, row)
            for number, part in enumerate(self._parts)
            for row, key in enumerate(part["key"])
        }

    def find(self, key: bytes) -> Embeddings | None:
        """Return the embedding (E,) of a frame; None if it is not known."""
        with self._lock:
            if (own := self._own.get(key)) is not None:
                return own
            place = self._places.get(key)
        if place is None:
            return None
        number, row = place
        record = self._parts[number][row]
        vector: Embeddings = record["vector"].astype(np.float16)
        return vector if int(record["check"]) == _check(key, vector) else None

    def add(self, keys: list[bytes], vectors: Embeddings) -> None:
        """Add embeddings; without room for them, or when the disk is full, they are left out.

        A record reaches the system at once, so that the end of this process loses none.

        Args:
            keys: The keys of the frames.
            vectors: Their embeddings (M, E).
        """
        records = np.empty(len(keys), self._record)
        for row, (key, vector) in enumerate(zip(keys, vectors, strict=True)):
            records[row] = np.void(key), _check(key, vector), vector
        with self._lock:
            if records.nbytes > self._room:
                return
            self._room -= records.nbytes
            with suppress(OSError):
                self._append(records.tobytes())
                self._own.update(zip(keys, vectors.copy(), strict=True))

    def _append(self, data: bytes) -> None:
        """Append records to the file of this process; a part of one is removed again."""
        before = self._path.stat().st_size if self._path.exists() else 0
        with self._path.open("ab") as file:
            try:
                file.write(data)
                file.flush()
            except OSError:
                os.truncate(self._path, before)
                raise

    @property
    def _path(self) -> Path:
        return self._folder / f"{_PROCESS}{_ENDING}"


_PROCESS = uuid.uuid4().hex
"""The name of this process among all that ever add to a folder."""

_stores: dict[tuple[Path, int, float], EmbeddingStore] = {}
_stores_lock = Lock()


def shared_store(folder: Path, size: int, gigabytes: float) -> EmbeddingStore:
    """Return the store of a folder, which the threads of this process share."""
    with _stores_lock:
        key = (folder, size, gigabytes)
        if key not in _stores:
            _stores[key] = EmbeddingStore(folder, size, gigabytes)
        return _stores[key]


def _map(path: Path, record: np.dtype[np.void]) -> NDArray[np.void]:
    """Map the complete records of a file."""
    records = path.stat().st_size // record.itemsize
    if not records:
        return np.empty(0, record)
    return np.memmap(path, record, "r", shape=(records,))


def _check(key: bytes, vector: Embeddings) -> int:
    return zlib.crc32(vector.tobytes(), zlib.crc32(key))
