"""Every image decoded once: the volumes of a manifest, in a file that is mapped into memory.

Epochs read volumes from it and never decode. The file has no name, so that it is gone when
training ends, however it ends.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.errors import WriteError
from tweetprofile.frames import FrameLoader, UserFrames
from tweetprofile.manifest import Manifest, UserBatch
from tweetprofile.training.labels import encode_labels
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes import VolumeSpec, stack_volumes

_USERS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Volumes and labels of all users with at least one usable image.

    Attributes:
        volumes_NDHWC: (N, D, H, W, 3) uint8, on disk.
        labels: (N, traits) class numbers, `labels.UNKNOWN` where there is none.
        left_out: users without any usable image.
    """

    volumes_NDHWC: NDArray[np.uint8]
    labels: NDArray[np.int64]
    left_out: int

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, users: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Volumes (N, D, H, W, 3) uint8 and labels (N, traits) of these users."""
        return torch.from_numpy(self.volumes_NDHWC[users]), torch.from_numpy(self.labels[users])

    def take(self, users: NDArray[np.int64]) -> "Subset":
        """These users alone."""
        return Subset(self, users)


@dataclass(frozen=True, slots=True)
class Subset:
    """Some users of a training set.

    Attributes:
        whole: the set.
        users: their positions in it.
    """

    whole: TrainingSet
    users: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.users)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N, traits) class numbers."""
        labels: NDArray[np.int64] = self.whole.labels[self.users]
        return labels

    def batches(
        self, size: int, order: NDArray[np.int64] | None = None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Volumes and labels, `size` users at a time, in the given order."""
        users = self.users if order is None else self.users[order]
        for start in range(0, len(users), size):
            yield self.whole.batch(users[start : start + size])


def decode_manifest(
    manifest: Manifest,
    schema: TraitSchema,
    spec: VolumeSpec,
    loader: FrameLoader,
    folder: Path,
    on_progress: Callable[[int, int], None],
) -> TrainingSet:
    """Decode every image of a manifest once.

    Args:
        manifest: with labels.
        schema: the traits to learn; those without a column are unknown for everyone.
        spec: the volumes to make.
        loader: reads and decodes.
        folder: where there is room for the volumes: D x H x W x 3 bytes a user.
        on_progress: called with the number of users done, and of all.

    Raises:
        WriteError: there is not room enough.
    """
    total = manifest.count_users()
    volumes = _map_file(folder, (total, *spec.shape, 3))
    columns = [name for name in schema.names if name in manifest.schema.names]
    labels: list[NDArray[np.int64]] = []
    kept = 0
    for shard in manifest.shards(_USERS_AT_ONCE, columns):
        usable, frames = _usable_frames(loader, shard)
        labels.append(encode_labels(shard.table, schema)[usable])
        if frames:
            volumes[kept : kept + len(frames)] = stack_volumes(frames, spec).cpu().numpy()
        kept += len(frames)
        on_progress(shard.first + len(shard.table), total)
    every = np.concatenate(labels) if labels else np.empty((0, len(schema.names)), np.int64)
    return TrainingSet(volumes[:kept], every, total - kept)


def _usable_frames(
    loader: FrameLoader, shard: UserBatch
) -> tuple[NDArray[np.bool_], list[torch.Tensor]]:
    """Which users have frames, and the frames of those."""
    loaded: list[UserFrames] = loader.load(shard.users)
    usable = np.array([len(user.frames_FHWC) > 0 for user in loaded], dtype=bool)
    return usable, [user.frames_FHWC for user in loaded if len(user.frames_FHWC)]


def _map_file(folder: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    size = int(np.prod(shape, dtype=np.int64))
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            # Blocks are claimed now: a full disk must be an error here, not a SIGBUS in an epoch.
            _claim(file.fileno(), size)
            return np.memmap(file, np.uint8, "r+", shape=shape) if size else np.empty(shape, "u1")
    except OSError as error:
        raise WriteError(
            f"{folder} has no room for {size / 1e9:.1f} GB of decoded frames ({error.strerror}); "
            "make room there, or lower --frame-size."
        ) from error


def _claim(descriptor: int, size: int) -> None:
    if size and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
