"""Every image decoded once: the frames of a manifest's users, in files that outlive the run.

A cache is a folder named by what its content depends on: the manifest, the sizes and times of the
image files, the frames wanted and what decodes them. It holds `frames.uint8` (mapped into memory),
`users.npz` (where each user's frames are) and `cache.json`. It is built under another name and
renamed when complete, so that none is ever found half made; those that have not been used for
longest make room for new ones.

Shapes: M frames of all users, S x S side of a cached frame, N users.
"""

import hashlib
import json
import os
from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
import platformdirs
import pyarrow as pa
import torch
from numpy.typing import NDArray

from tweetprofile.data.files.storage import AnyPath, canonical
from tweetprofile.data.images.digests import Digests
from tweetprofile.data.manifests.manifest import MAX_IMAGES, Manifest
from tweetprofile.engines.jobs import ExtractJob
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.errors import OptionError, OutputError, WriteError
from tweetprofile.job import DecoderName, FrameSize, PredictorOptions
from tweetprofile.training.cache_folders import (
    FACTS,
    FRAMES,
    USERS,
    make_room,
    remove_abandoned,
    unfinished,
)
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.workers.profiles import DIGESTS, Counts
from tweetprofile.workers.profiles import FRAMES as PIXELS

_FORMAT = 2

_ARRAYS = ("starts", "counts", "hashes", "digests")
"""What `users.npz` holds."""

_FRAMES_A_USER = 4
"""Volumes' worth of frames that are kept of a user, for epochs to choose from."""

_MARGIN = 5 / 4
"""Side of a cached frame over that of a frame, so that parts of it are not blurred."""

_USERS_A_SHARD = 1 << 16
"""Of no matter but that tasks must not reach over its end."""

_ROOM_ON_GPU = 0.5
"""Share of a GPU's free memory that frames may take; the network needs some, too."""


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """Where caches are, and how large they may grow.

    Attributes:
        folder: that holds them; None for the user's cache folder.
        gigabytes: that all of them together may take.

    Raises:
        OptionError: no room at all.
    """

    folder: Path | None = None
    gigabytes: float = 100.0

    def __post_init__(self) -> None:
        if not self.gigabytes > 0:
            raise OptionError(f"--cache-gb {self.gigabytes} must be above 0.")

    @property
    def place(self) -> Path:
        """The folder that is meant."""
        return self.folder or Path(platformdirs.user_cache_dir("tweetprofile")) / "frames"


@dataclass(frozen=True, slots=True)
class CacheSource:
    """What a cache is made from.

    Attributes:
        manifest: whose users.
        image_root: folder that image paths are relative to.
        frames: what to keep.
        decoder: `auto`, `dali` or `pillow`.
        device: `cpu` or `cuda`, where to decode.
    """

    manifest: Manifest
    image_root: AnyPath
    frames: FrameSize
    decoder: DecoderName
    device: str

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        image_root: AnyPath,
        spec: VolumeSpec,
        decoder: DecoderName,
        kind: str,
    ) -> "CacheSource":
        """The frames to train volumes of a spec from: more of them, and a little larger."""
        sides = (round(side * _MARGIN) for side in (spec.height, spec.width))
        frames = FrameSize(spec.frames * _FRAMES_A_USER, *sides)
        return cls(manifest, image_root, frames, decoder, kind)

    def key(self) -> str:
        """Names the cache: whatever it depends on is in it."""
        facts = {
            "format": _FORMAT,
            "manifest": self.manifest.fingerprint(),
            "images": _hash_times(self.manifest, self.image_root),
            "frames": asdict(self.frames),
            "decoder": self.decoder,
            "device": self.device,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class FrameCache:
    """A complete cache.

    Attributes:
        path: its folder.
        frames_MSSC: (M, S, S, 3) uint8, on disk.
        starts: (N,) number of each user's first frame.
        counts: (N,) frames of each user.
        hashes: (M,) of the pixels: equal images are equal here.
        digests: (M,) `digests.image_digest` of the images.
        outcome: what became of users and images.
    """

    path: Path
    frames_MSSC: NDArray[np.uint8]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    digests: Digests
    outcome: Counts

    @classmethod
    def open(cls, path: Path) -> "FrameCache":
        """Open a complete cache.

        Raises:
            OutputError: it is damaged.
        """
        try:
            facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
            with np.load(path / USERS, allow_pickle=False) as arrays:
                starts, counts, hashes, digests = (arrays[name] for name in _ARRAYS)
            frames = _map(path / FRAMES, (len(hashes), facts["height"], facts["width"], 3))
            outcome = Counts(**facts["outcome"])
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise OutputError(
                f"the decoded frames in {path} are damaged ({error}); remove that folder."
            ) from None
        with suppress(OSError):
            os.utime(path / FACTS)  # when it was last used
        return cls(path, frames, starts, counts, hashes, digests, outcome)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the same files."""
        return FrameCache.open, (self.path,)

    def resident(self, device: torch.device) -> torch.Tensor | None:
        """All frames on a GPU, if it has room; else None."""
        if device.type != "cuda":
            return None
        free, _ = torch.cuda.mem_get_info(device)
        if self.frames_MSSC.nbytes > free * _ROOM_ON_GPU:
            return None
        return torch.from_numpy(np.ascontiguousarray(self.frames_MSSC)).to(device)


@dataclass(frozen=True, slots=True)
class Subset:
    """Some of the users of a cache, with their labels.

    Attributes:
        cache: their frames.
        users: (n,) their numbers in the manifest.
        labels: (n, traits) class numbers, `labels.UNKNOWN` where there is none.
        barred: (M,) whether a frame of the cache is not to be used; None for none.
    """

    cache: FrameCache
    users: NDArray[np.int64]
    labels: NDArray[np.int64]
    barred: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.users)

    def take(self, positions: NDArray[np.int64]) -> "Subset":
        """Those at these positions."""
        return replace(self, users=self.users[positions], labels=self.labels[positions])

    def without_images(self, hashes: NDArray[np.uint64]) -> "Subset":
        """The same users without frames of these hashes; users who have no other drop out."""
        kept = replace(self, barred=np.isin(self.cache.hashes, hashes))
        left = [position for position in range(len(kept)) if len(kept.frames_of(position))]
        return kept.take(np.array(left, np.int64))

    def frames_of(self, position: int) -> NDArray[np.int64]:
        """Numbers of a user's frames in the cache, in manifest order."""
        user = self.users[position]
        start = self.cache.starts[user]
        frames = np.arange(start, start + self.cache.counts[user])
        return frames if self.barred is None else frames[~self.barred[frames]]

    @property
    def frames(self) -> NDArray[np.int64]:
        """Numbers of all frames of all these users."""
        frames = [self.frames_of(position) for position in range(len(self))]
        return np.concatenate(frames) if frames else np.empty(0, np.int64)

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """Of all frames of all these users."""
        return self.cache.hashes[self.frames]


def open_cache(
    source: CacheSource,
    options: CacheOptions,
    on_progress: Callable[[int, int], None] = lambda users, total: None,
) -> FrameCache:
    """The cache of a source: the one that is there, or else a new one.

    Args:
        source: what it is made from.
        options: where.
        on_progress: called with the number of users done, and of all, while one is built.

    Raises:
        WriteError: there is not room enough.
        WorkerError: decoding dies with no image to blame.
    """
    try:
        options.place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"--cache {options.place} cannot be made: {error.strerror}.") from error
    path = options.place / source.key()
    if not (path / FACTS).exists():
        remove_abandoned(options.place)
        _build(source, path, options, on_progress)
    return FrameCache.open(path)


def _build(
    source: CacheSource,
    path: Path,
    options: CacheOptions,
    on_progress: Callable[[int, int], None],
) -> None:
    try:
        with unfinished(path) as folder, (folder / FRAMES).open("wb") as file:
            builder = _Builder(source, file, options.gigabytes)
            builder.run(on_progress)
            file.flush()
            os.fsync(file.fileno())
            builder.describe(folder)
            make_room(options.place, options.gigabytes, file.tell(), keep=folder)
    except OSError as error:
        raise WriteError(
            f"{options.place} cannot take the decoded frames ({error.strerror}); make room there, "
            "name another folder with --cache, or lower --frame-size."
        ) from error


class _Builder:
    """Fills one cache: frames as they come, and where each user's are."""

    def __init__(self, source: CacheSource, file: BinaryIO, gigabytes: float) -> None:
        self._source = source
        self._file = file
        self._gigabytes = gigabytes
        self._total = source.manifest.count_users()
        self._starts = np.zeros(self._total, np.int64)
        self._counts = np.zeros(self._total, np.int64)
        self._hashes = array("Q")
        self._digests = array("Q")
        self._outcome = Counts()

    def run(self, on_progress: Callable[[int, int], None]) -> None:
        """Decode every user, in processes that may die of it."""
        source = self._source
        options = PredictorOptions(source.image_root, decoder=source.decoder)
        job = ExtractJob(source.frames, options=options)
        with LocalEngine(job, EngineOptions(source.device)) as engine:
            batches = source.manifest.batches(_USERS_A_SHARD, engine.users_per_task)
            for batch, rows in engine.run(batches):
                each = zip(rows[PIXELS], rows[DIGESTS], strict=True)
                for user, (pixels, digests) in enumerate(each, batch.first):
                    self._add(user, pixels.as_buffer())
                    self._digests.frombytes(digests.as_buffer())
                self._outcome += Counts.of(rows, MAX_IMAGES)
                on_progress(self._outcome.users, self._total)

    def describe(self, folder: Path) -> None:
        """Write what is in it; last, as a cache without it is none."""
        np.savez(
            folder / USERS,
            starts=self._starts,
            counts=self._counts,
            hashes=np.frombuffer(self._hashes, np.uint64),
            digests=np.frombuffer(self._digests, np.uint64),
        )
        frames = self._source.frames
        facts = {
            "height": frames.height,
            "width": frames.width,
            "manifest": self._source.manifest.source,
            "outcome": asdict(self._outcome),
        }
        (folder / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")

    def _add(self, user: int, pixels: pa.Buffer) -> None:
        frame = self._source.frames.height * self._source.frames.width * 3
        self._starts[user], self._counts[user] = len(self._hashes), len(pixels) // frame
        view = memoryview(pixels)
        for start in range(0, len(view), frame):
            digest = hashlib.blake2b(view[start : start + frame], digest_size=8).digest()
            self._hashes.append(int.from_bytes(digest, "little"))
        self._file.write(view)
        if self._file.tell() > self._gigabytes * 1e9:
            raise WriteError(
                f"the decoded frames of {self._source.manifest.source} take more than the "
                f"{self._gigabytes:g} GB of --cache-gb; raise it, or lower --frame-size."
            )


def _map(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if not shape[0]:
        return np.empty(shape, np.uint8)  # a file of no bytes cannot be mapped
    return np.memmap(path, np.uint8, "r", shape=shape)


def _hash_times(manifest: Manifest, root: AnyPath) -> str:
    """Sizes and times of all image files: one that was replaced makes another cache.

    Of files in a store it is their names alone, as asking for each would take as long as reading.
    """
    digest = hashlib.sha256(canonical(root).encode())
    if not manifest.carries_bytes and isinstance(root, Path):
        for batch in manifest.shards(1 << 12):
            for user in batch.users:
                for image in user.images:
                    digest.update(_time_of(root, image.path))
    return digest.hexdigest()


def _time_of(root: Path, path: str | None) -> bytes:
    if path is None:
        return b"-"
    try:
        found = (root / path).stat()
    except (OSError, ValueError):
        return b"-"
    return f"{found.st_size},{found.st_mtime_ns};".encode()
