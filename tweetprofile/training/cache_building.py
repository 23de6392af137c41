"""Building the cache of a manifest's frames: every image is decoded, and perhaps embedded, once.

The name of a cache is a hash of everything that its content depends on: the manifest, the sizes and
times of the image files, the frames to keep, their detail, the decoder and the backbone. A cache is
built under a temporary name and renamed when it is complete, so an incomplete one is never used.
The least recently used caches are removed when space is short.

Embedding takes longer than decoding. While a cache of embeddings is built, its workers therefore
keep each embedding by the pixels of its frame, for the run that continues an interrupted one.
"""

import hashlib
import json
import os
from array import array
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import platformdirs
import pyarrow as pa
import torch

from tweetprofile.data.files.storage import AnyPath, canonical
from tweetprofile.data.manifests.content_rows import ContentRows
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import MAX_IMAGES
from tweetprofile.engines.jobs import EmbedJob, ExtractJob, Job
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.engines.shards import ShardSource
from tweetprofile.errors import OptionError, WriteError
from tweetprofile.job import DecoderName, Detail, FrameSize, PredictorOptions
from tweetprofile.training.cache import FrameCache
from tweetprofile.training.cache_folders import (
    EMBEDDING_SHAPE,
    EMBEDDINGS,
    FACTS,
    FRAMES,
    USERS,
    make_room,
    remove_abandoned,
    remove_known,
    trim_known,
    unfinished,
)
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.workers.feature_rows import DIGESTS
from tweetprofile.workers.feature_rows import EMBEDDINGS as VECTORS
from tweetprofile.workers.feature_rows import FRAMES as PIXELS
from tweetprofile.workers.profiles import Counts

_FORMAT = 2
"""The version of the files; caches of other versions are not used."""

_EMBEDDINGS_FORMAT = 3
"""The version of the files of embeddings. In version 1, frames were hashed instead: held-out users
with a cache of it would seem to share no image with training users with one of later versions. In
version 2, the last bits of embeddings were others."""

_VOLUMES_PER_USER = 4
"""The number of volumes that the frames kept per user would fill, for epochs to choose from."""

_MARGIN = 5 / 4
"""The side of a cached frame relative to a frame, so that cropping does not blur."""

_USERS_PER_SHARD = 1 << 16
"""The size of a shard; it only matters because no task reaches beyond the end of one."""


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """Where caches are kept, and how much space they may take.

    Attributes:
        folder: The folder of all caches; None for the user's cache folder.
        gigabytes: The space that all caches together may take.

    Raises:
        OptionError: The space is not above 0.
    """

    folder: Path | None = None
    gigabytes: float = 100.0

    def __post_init__(self) -> None:
        if not self.gigabytes > 0:
            raise OptionError(f"`cache_gb` is {self.gigabytes}; it must be above 0.")

    @property
    def root(self) -> Path:
        """The folder of all caches."""
        return self.folder or Path(platformdirs.user_cache_dir("tweetprofile")) / "frames"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingSource:
    """The backbone whose embeddings are kept in place of frames.

    Attributes:
        backbone: The file of the backbone.
        digest: The digest of the backbone.
        features: The length of an embedding.
        views: The number of views of each frame that are embedded.
        known: The folder of the embeddings that an interrupted run has computed with the backbone.
        gigabytes: The size of the embeddings of one backbone there, at which no more are added.
    """

    backbone: Path
    digest: str
    features: int
    views: int
    known: Path
    gigabytes: float


@dataclass(frozen=True, slots=True)
class CacheSource:
    """What the content of a cache depends on.

    Attributes:
        manifest: The manifest of the users.
        image_root: The image root.
        frames: The number and size of the frames to keep per user.
        decoder: The decoder: `auto`, `dali` or `pillow`.
        device: The kind of device to decode on: `cpu` or `cuda`.
        detail: How much of an image is decoded.
        embedding: The backbone whose embeddings are kept; None to keep the frames.
    """

    manifest: Manifest
    image_root: AnyPath
    frames: FrameSize
    decoder: DecoderName
    device: str
    detail: Detail
    embedding: EmbeddingSource | None = None

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        image_root: AnyPath,
        spec: VolumeSpec,
        decoder: DecoderName,
        kind: str,
        *,
        embedding: EmbeddingSource | None = None,
    ) -> "CacheSource":
        """Describe the frames to train from: more than a volume holds, and a little larger.

        Frames that are embedded are as large as those of `predict`, so that they are the same.

        Args:
            manifest: The manifest of the users.
            image_root: The image root.
            spec: The volumes that the network takes.
            decoder: The decoder.
            kind: The kind of device to decode on.
            embedding: The backbone whose embeddings are kept; None to keep the frames.
        """
        margin = _MARGIN if embedding is None else 1
        sides = (round(side * margin) for side in (spec.height, spec.width))
        frames = FrameSize(spec.frames * _VOLUMES_PER_USER, *sides)
        return cls(
            manifest=manifest,
            image_root=image_root,
            frames=frames,
            decoder=decoder,
            device=kind,
            detail=spec.detail,
            embedding=embedding,
        )

    def job(self, rows: ContentRows | None) -> ExtractJob | EmbedJob:
        """Return the job of the workers that decode the frames, and embed them.

        Args:
            rows: The manifest from which the workers read images; None if they get the images.
        """
        options = PredictorOptions(self.image_root, decoder=self.decoder, detail=self.detail)
        if (embedding := self.embedding) is None:
            return ExtractJob(self.frames, options=options, rows=rows)
        options = replace(
            options,
            views=embedding.views,
            embedding_cache=embedding.known,
            embedding_cache_gb=embedding.gigabytes,
        )
        return EmbedJob(embedding.backbone, self.frames.frames, options=options, rows=rows)

    @property
    def file(self) -> str:
        """The name of the file with what is kept of each frame."""
        return FRAMES if self.embedding is None else EMBEDDINGS

    @property
    def item_bytes(self) -> int:
        """The number of bytes that are kept of each frame."""
        if self.embedding is None:
            return self.frames.height * self.frames.width * 3
        return self.embedding.views * self.embedding.features * 2

    def key(self) -> str:
        """Return the name of the cache, a hash of everything it depends on."""
        facts: dict[str, Any] = {
            "format": _FORMAT,
            "manifest": self.manifest.fingerprint(),
            "images": _hash_times(self.manifest, self.image_root),
            "frames": asdict(self.frames),
            "decoder": self.decoder,
            "device": self.device,
            "detail": self.detail,
        }
        if self.embedding is not None:
            facts["embedding"] = [self.embedding.digest, self.embedding.views, torch.__version__]
            facts["embeddings"] = _EMBEDDINGS_FORMAT
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def open_cache(
    source: CacheSource,
    options: CacheOptions,
    on_progress: Callable[[int, int], None] = lambda users, total: None,
) -> FrameCache:
    """Open the cache of a source, and build it first if there is none.

    Args:
        source: What the content of the cache depends on.
        options: Where caches are kept.
        on_progress: A function that receives the number of decoded users, and of all users, while
            a cache is built.

    Raises:
        OptionError: The folder of the caches cannot be created.
        WriteError: There is not enough space.
        WorkerError: Decoding crashed, and no image is to blame.
    """
    try:
        options.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(
            f"cannot create the `cache` folder {options.root}: {error.strerror}."
        ) from error
    path = options.root / source.key()
    if not (path / FACTS).exists():
        remove_abandoned(options.root)
        known = None if source.embedding is None else source.embedding.known
        if known is not None:
            trim_known(known.parent, options.gigabytes, keep=known)
        _build(source, path, options, on_progress)
        if known is not None:
            remove_known(known)  # the cache has all of them
    return FrameCache.open(path)


def _build(
    source: CacheSource,
    path: Path,
    options: CacheOptions,
    on_progress: Callable[[int, int], None],
) -> None:
    try:
        with unfinished(path) as folder, (folder / source.file).open("wb") as file:
            builder = _Builder(source, file, options.gigabytes)
            builder.run(on_progress)
            file.flush()
            os.fsync(file.fileno())
            builder.describe(folder)
            make_room(options.root, options.gigabytes, file.tell(), keep=folder)
    except OSError as error:
        raise WriteError(
            f"cannot write the decoded frames to {options.root} ({error.strerror}); make room "
            "there, give another `cache` folder, or lower `frame_size`."
        ) from error


class _Builder:
    """Writes the files of one cache."""

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
        """Decode the images of every user, in supervised workers."""
        source = self._source
        shards = ShardSource(source.manifest, self._total, _USERS_PER_SHARD, (), MAX_IMAGES)
        job: Job[Any] = source.job(shards.content_rows)
        with LocalEngine(job, EngineOptions(source.device)) as engine:
            every = range(-(-self._total // _USERS_PER_SHARD))
            for batch, rows in engine.run_shards(shards, every):
                items = rows[PIXELS if source.embedding is None else VECTORS]
                for user, (data, digest) in enumerate(
                    zip(items, rows[DIGESTS], strict=True), batch.first
                ):
                    self._add(user, data.as_buffer())
                    self._digests.frombytes(digest.as_buffer())
                self._outcome += Counts.of(rows, MAX_IMAGES)
                on_progress(self._outcome.users, self._total)

    def describe(self, folder: Path) -> None:
        """Write the description of the frames last: a cache without it is incomplete."""
        np.savez(
            folder / USERS,
            starts=self._starts,
            counts=self._counts,
            hashes=np.frombuffer(self._hashes, np.uint64),
            digests=np.frombuffer(self._digests, np.uint64),
        )
        frames = self._source.frames
        facts: dict[str, Any] = {
            "height": frames.height,
            "width": frames.width,
            "manifest": self._source.manifest.source,
            "outcome": asdict(self._outcome),
        }
        if (embedding := self._source.embedding) is not None:
            facts[EMBEDDING_SHAPE] = [embedding.views, embedding.features]
        (folder / FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")

    def _add(self, user: int, items: pa.Buffer) -> None:
        """Add the frames of a user, or their embeddings, and the hash of each.

        Equal frames have equal embeddings, so hashes of either tell which images users share.

        Args:
            user: The number of the user.
            items: What is kept of each frame.
        """
        size = self._source.item_bytes
        self._starts[user], self._counts[user] = len(self._hashes), len(items) // size
        view = memoryview(items)
        for start in range(0, len(view), size):
            digest = hashlib.blake2b(view[start : start + size], digest_size=8).digest()
            self._hashes.append(int.from_bytes(digest, "little"))
        self._file.write(view)
        if self._file.tell() > self._gigabytes * 1e9:
            raise WriteError(
                f"the decoded frames of {self._source.manifest.source} take more than "
                f"`cache_gb`, which is {self._gigabytes:g}; raise it, or lower `frame_size`."
            )


def _hash_times(manifest: Manifest, root: AnyPath) -> str:
    """Hash the sizes and times of all image files, so that replacing one leads to another cache.

    In an object store only the image root counts, since a request per file would take as long as
    reading the files.
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
