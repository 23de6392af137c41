"""Batches of training users, drawn at random and turned into what the network takes.

Everything random is drawn for the whole batch from the epoch's own generator. Each process then
builds the inputs of its share, so several processes see what one would see, and a resumed run
draws what the interrupted one would have drawn.

Shapes: N users, M frames, S side of a cached frame, D frames per volume, C channels, H, W.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.training.augment import Filling, FrameChooser
from tweetprofile.training.cache import FrameCache
from tweetprofile.training.distributed import Rank
from tweetprofile.training.feed import Feed
from tweetprofile.training.inputs import Inputs
from tweetprofile.training.loss import Targets
from tweetprofile.training.setup import TrainingSetup


class DeviceFrames:
    """Frames of caches, on the device that computes.

    A cache is copied to the GPU as a whole if the GPU has room for it; otherwise frames are read
    from the disk when they are needed.

    Args:
        caches: The caches to take frames from.
        feed: How frames reach the device.
    """

    def __init__(self, caches: Iterable[FrameCache], feed: Feed) -> None:
        self._feed = feed
        self._resident: dict[Path, torch.Tensor | None] = {}
        for cache in caches:
            if cache.path not in self._resident:
                self._resident[cache.path] = feed.keep(cache.items_M)

    def send(
        self, cache: FrameCache, frames: NDArray[np.int64], arrays: Sequence[NDArray[Any]]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return what is cached of frames, by their numbers, and arrays, on the device.

        Args:
            cache: The cache.
            frames: The numbers of the frames.
            arrays: What else the device needs at the same time.
        """
        resident = self._resident[cache.path]
        if resident is None:
            (items,) = self._feed.send([cache.items_M[frames]])
            return items, self._feed.send(arrays)
        numbers, *sent = self._feed.send([frames, *arrays])
        return resident[numbers], sent


@dataclass(frozen=True, slots=True)
class Batch:
    """This process's share of the users of one step.

    Attributes:
        inputs: The volumes of the users (n, 3, D, H, W), or their embeddings (n, D, C).
        mask: Which frames of the volumes are a user's own (n, D).
        own: The positions of these frames, among all n x D.
        targets: The weights of the classes, by `Targets`.
    """

    inputs: torch.Tensor
    mask: torch.Tensor
    own: torch.Tensor
    targets: torch.Tensor


class Batches:
    """Draws the batches of an epoch.

    Args:
        setup: The training.
        frames: The cached frames of the training users.
        inputs: Makes the input of the network.
        rank: The process, which builds the inputs of its share of each batch.
    """

    def __init__(
        self, setup: TrainingSetup, frames: DeviceFrames, inputs: Inputs, rank: Rank
    ) -> None:
        self._setup, self._frames, self._inputs, self._rank = setup, frames, inputs, rank
        augment = setup.recipe.augment
        self._chooser = FrameChooser(setup.train, setup.volume_spec.frames, augment)
        self._targets = Targets(setup.train, setup.schema, setup.recipe)

    def draw(self, random: np.random.Generator) -> Iterator[Batch]:
        """Yield every user once, in full batches; an epoch leaves out the users of a partial one.

        Args:
            random: The epoch's generator; nothing else may draw from it.
        """
        size = self._setup.batch_size
        order = random.permutation(len(self._setup.train))
        for number in range(self._setup.steps):
            yield self._draw(order[number * size : (number + 1) * size], random)

    def _draw(self, users: NDArray[np.int64], random: np.random.Generator) -> Batch:
        """Draw everything for all users of a batch, and build this process's inputs."""
        spec = self._setup.volume_spec
        choices = self._chooser.choose(users, random)
        chosen = [choice.frames for choice in choices]
        counts = [len(each) for each in chosen]
        ends = np.cumsum([0, *counts])
        own = self._rank.share(len(users))
        part = slice(int(ends[own.start]), int(ends[own.stop]))
        drawn = self._inputs.draw(counts, random, part)
        items, arrays = self._frames.send(
            self._setup.train.cache,
            np.concatenate(chosen)[part],
            [
                self._targets.weigh(users, choices)[own],
                *Filling.of(counts[own], spec.frames).arrays(),
                *drawn,
            ],
        )
        targets, index, mask, positions, *drawn_there = arrays
        inputs = self._inputs.vary(items, drawn_there, index, mask)
        return Batch(inputs, mask, positions, targets)
