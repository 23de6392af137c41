"""The embeddings of frames that were computed before, in files that outlive a run.

A store is a folder with two files per process that added to it: one with the keys of frames, and
one with a record per key, a checksum and the embedding. Only keys are read when a store is opened.
A record that a crash has cut off, or a disk has damaged, is not used, and its frame is embedded
again.

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

STORED = (".embeddings", ".keys")
"""The endings of the files of a store."""

_VECTORS, _KEYS = STORED

_KEY = np.dtype([("first", "<u8"), ("second", "<u8")])
"""A key as two numbers, which can be sorted and searched."""

Embeddings = NDArray[np.float16]
"""(M, E) float16."""


def frame_key(pixels: NDArray[np.uint8]) -> bytes:
    """Return the key of a frame: a hash of its pixels, which no one can find a second frame for."""
    return blake2b(np.ascontiguousarray(pixels).data, digest_size=_KEY.itemsize).digest()


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
        self._record = np.dtype([("check", "<u4"), ("vector", "<f2", (size,))])
        self._lock = Lock()
        self._folder = folder
        self._own: dict[bytes, Embeddings] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._index = _Index([_open(path, self._record) for path in _parts(folder)])
        except OSError as error:
            raise OptionError(
                f"cannot use the folder of embeddings {folder}: {error.strerror}; name another one."
            ) from error
        self._room = int(gigabytes * 1e9) - len(self._index) * self._bytes

    @property
    def _bytes(self) -> int:
        """The number of bytes that a frame takes."""
        return self._record.itemsize + _KEY.itemsize

    def find(self, key: bytes) -> Embeddings | None:
        """Return the embedding (E,) of a frame; None if it is not known."""
        with self._lock:
            if (own := self._own.get(key)) is not None:
                return own
        for record in self._index.find(key):
            vector: Embeddings = record["vector"].astype(np.float16)
            if int(record["check"]) == _check(key, vector):
                return vector
        return None

    def add(self, keys: list[bytes], vectors: Embeddings) -> None:
        """Add embeddings; without room for them, or when the disk is full, they are left out.

        A record reaches the system at once, so that the end of this process loses none.

        Args:
            keys: The keys of the frames.
            vectors: Their embeddings (M, E).
        """
        records = np.empty(len(keys), self._record)
        for row, (key, vector) in enumerate(zip(keys, vectors, strict=True)):
            records[row] = _check(key, vector), vector
        with self._lock:
            if len(keys) * self._bytes > self._room:
                return
            self._room -= len(keys) * self._bytes
            with suppress(OSError):
                self._append(records.tobytes(), b"".join(keys))
                self._own.update(zip(keys, vectors.copy(), strict=True))

    def _append(self, records: bytes, keys: bytes) -> None:
        """Append to both files of this process; a part that was written is removed again."""
        files = (self._path(_VECTORS), records), (self._path(_KEYS), keys)
        before = [path.stat().st_size if path.exists() else 0 for path, _ in files]
        try:
            for path, data in files:
                with path.open("ab") as file:
                    file.write(data)
        except OSError:
            for (path, _), size in zip(files, before, strict=True):
                if path.exists():
                    os.truncate(path, size)
            raise

    def _path(self, ending: str) -> Path:
        return self._folder / f"{_PROCESS}{ending}"


_Part = tuple[NDArray[np.void], NDArray[np.void]]
"""The keys and the records that a process has added."""


class _Index:
    """Finds records by their keys, which are kept sorted; it takes 24 bytes per record.

    Args:
        parts: The keys and records of each process.
    """

    def __init__(self, parts: list[_Part]) -> None:
        self._records = [records for _, records in parts]
        self._starts = np.cumsum([0, *map(len, self._records)])
        keys = np.concatenate([np.empty(0, _KEY), *(keys for keys, _ in parts)])
        self._order = np.argsort(keys["first"], kind="stable")
        # Two arrays of their own: a search in a column of another array would copy it each time.
        self._first, self._second = (keys[name][self._order] for name in ("first", "second"))

    def __len__(self) -> int:
        return len(self._order)

    def find(self, key: bytes) -> list[NDArray[np.void]]:
        """Return the records of a key: several if several processes have added one."""
        (wanted,) = np.frombuffer(key, _KEY)
        first, end = (
            int(np.searchsorted(self._first, wanted["first"], side)) for side in ("left", "right")
        )
        same = self._second[first:end] == wanted["second"]
        return [self._record(int(number)) for number in self._order[first:end][same]]

    def _record(self, number: int) -> NDArray[np.void]:
        part = int(np.searchsorted(self._starts, number, "right")) - 1
        record: NDArray[np.void] = self._records[part][number - self._starts[part]]
        return record


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


def _parts(folder: Path) -> list[Path]:
    return sorted(path.with_suffix("") for path in folder.glob(f"*{_VECTORS}"))


def _open(part: Path, record: np.dtype[np.void]) -> _Part:
    """Read the keys of a part, and map its records; what was cut off is left out."""
    vectors, keys = part.with_suffix(_VECTORS), part.with_suffix(_KEYS)
    known = np.fromfile(keys, _KEY) if keys.exists() else np.empty(0, _KEY)
    count = min(len(known), vectors.stat().st_size // record.itemsize)
    if not count:
        return np.empty(0, _KEY), np.empty(0, record)
    return known[:count], np.memmap(vectors, record, "r", shape=(count,))


def _check(key: bytes, vector: Embeddings) -> int:
    return zlib.crc32(vector.tobytes(), zlib.crc32(key))
