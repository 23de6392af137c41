"""Batches of training users, drawn at random and turned into volumes.

Everything random is drawn for the whole batch from the epoch's own generator. Each process then
builds the volumes of its share, so several processes see what one would see, and a resumed run
draws what the interrupted one would have drawn.

Shapes: N users, M frames, S side of a cached frame, D frames per volume, C channels, H, W.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.training.augment import Choice, Distortion, FrameChooser, fill_volumes
from tweetprofile.training.cache import FrameCache
from tweetprofile.training.distributed import Rank
from tweetprofile.training.setup import TrainingSetup


class DeviceFrames:
    """Frames of caches, on the device that computes.

    A cache is copied to the GPU as a whole if the GPU has room for it; otherwise frames are read
    from the disk when they are needed.

    Args:
        caches: The caches to take frames from.
        device: The device to deliver frames on.
    """

    def __init__(self, caches: Iterable[FrameCache], device: torch.device) -> None:
        self._device = device
        self._resident: dict[Path, torch.Tensor | None] = {}
        for cache in caches:
            if cache.path not in self._resident:
                self._resident[cache.path] = cache.resident(device)

    def take(self, cache: FrameCache, frames: NDArray[np.int64]) -> torch.Tensor:
        """Return frames of a cache by number: (M, S, S, 3) uint8 on the device."""
        resident = self._resident[cache.path]
        if resident is not None:
            return resident[torch.from_numpy(frames).to(self._device)]
        return torch.from_numpy(cache.frames_MSSC[frames]).to(self._device, non_blocking=True)


@dataclass(frozen=True, slots=True)
class Batch:
    """The users of one step, and the volumes of this process's share of them.

    Attributes:
        users: The positions of all users of the batch (N,).
        choices: The frames that each of them shows.
        volumes: The volumes of this process's users (n, C, D, H, W).
        mask: Which frames of the volumes are a user's own (n, D).
    """

    users: NDArray[np.int64]
    choices: Sequence[Choice]
    volumes: torch.Tensor
    mask: torch.Tensor


class Batches:
    """Draws the batches of an epoch.

    Args:
        setup: The training.
        frames: The cached frames of the training users.
        rank: The process, which builds the volumes of its share of each batch.
    """

    def __init__(self, setup: TrainingSetup, frames: DeviceFrames, rank: Rank) -> None:
        self._setup, self._frames, self._rank = setup, frames, rank
        augment = setup.recipe.augment
        self._chooser = FrameChooser(setup.train, setup.volume_spec.frames, augment)

    def draw(self, random: np.random.Generator) -> Iterator[Batch]:
        """Yield every user once, in full batches; an epoch leaves out the users of a partial one.

        Args:
            random: The epoch's generator; nothing else may draw from it.
        """
        size = self._setup.batch_size
        order = random.permutation(len(self._setup.train))
        for number in range(self._setup.steps):
            users = order[number * size : (number + 1) * size]
            choices = self._chooser.choose(users, random)
            volumes, mask = self._make_volumes(choices, random)
            yield Batch(users, choices, volumes, mask)

    def _make_volumes(
        self, choices: Sequence[Choice], random: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the distortions of the whole batch, and build this process's volumes."""
        chosen = [choice.frames for choice in choices]
        counts = [len(each) for each in chosen]
        ends = np.cumsum([0, *counts])
        distortion = Distortion.draw(counts, self._setup.recipe.augment, random)
        own = self._rank.share(len(chosen))
        part = slice(int(ends[own.start]), int(ends[own.stop]))
        pixels = self._frames.take(self._setup.train.cache, np.concatenate(chosen)[part])
        frames = distortion.take(part).apply(pixels, self._setup.volume_spec)
        return fill_volumes(frames, counts[own], self._setup.volume_spec)
