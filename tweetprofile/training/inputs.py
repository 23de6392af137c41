"""From what is cached of frames to what a network takes: volumes of pixels, or sets of embeddings.

Training varies frames at random, and validation leaves them as `predict` sees them.

Shapes: N users, M frames of all users, S side of a cached frame, V views, C channels or features, D
frames per volume, H, W.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.decoders.resizing import stretch
from tweetprofile.training.augment import AugmentOptions, Distorter, Distortion, fill_volumes
from tweetprofile.training.setup import TrainingSetup
from tweetprofile.volumes.spec import VolumeSpec


class Inputs(ABC):
    """Makes the input of a network from cached items, one per frame."""

    @abstractmethod
    def draw(
        self, counts: Sequence[int], random: np.random.Generator, part: slice
    ) -> list[NDArray[Any]]:
        """Draw how the frames of a batch are varied.

        Args:
            counts: The number of frames of each user of the whole batch.
            random: The generator to draw from.
            part: The frames of this process.

        Returns:
            What `vary` needs for these frames, on the device.
        """

    @abstractmethod
    def vary(
        self,
        items_M: torch.Tensor,
        drawn: Sequence[torch.Tensor],
        index_ND: torch.Tensor,
        mask_ND: torch.Tensor,
    ) -> torch.Tensor:
        """Return the input of a network, varied.

        Args:
            items_M: The cached items of the frames.
            drawn: The arrays of `draw`.
            index_ND: The number of the frame at each position of a volume.
            mask_ND: Which of them are a user's own.
        """

    @abstractmethod
    def keep(
        self, items_M: torch.Tensor, index_ND: torch.Tensor, mask_ND: torch.Tensor
    ) -> torch.Tensor:
        """Return the input of a network as `predict` makes it; see `vary` for the arguments."""


class FrameInputs(Inputs):
    """Volumes (N, C, D, H, W) from cached pixels (M, S, S, C).

    Args:
        spec: The volumes to make.
        augment: How frames are varied.
        device: The device.
    """

    def __init__(self, spec: VolumeSpec, augment: AugmentOptions, device: torch.device) -> None:
        self._spec, self._augment = spec, augment
        self._distorter = Distorter(spec, device)

    def draw(
        self, counts: Sequence[int], random: np.random.Generator, part: slice
    ) -> list[NDArray[Any]]:
        """See `Inputs.draw`."""
        distortion = Distortion.draw(counts, self._augment, random)
        return self._distorter.arrays(distortion.take(part))

    def vary(
        self,
        items_M: torch.Tensor,
        drawn: Sequence[torch.Tensor],
        index_ND: torch.Tensor,
        mask_ND: torch.Tensor,
    ) -> torch.Tensor:
        """See `Inputs.vary`."""
        frames = self._distorter.distort(items_M, drawn)
        return fill_volumes(frames, index_ND, mask_ND, self._spec)

    def keep(
        self, items_M: torch.Tensor, index_ND: torch.Tensor, mask_ND: torch.Tensor
    ) -> torch.Tensor:
        """See `Inputs.keep`."""
        spec = self._spec
        volumes = stretch(items_M, spec.height, spec.width)[index_ND]
        if spec.fill == "zeros":
            volumes = volumes.masked_fill_(~mask_ND[:, :, None, None, None], spec.grey)
        return spec.normalise(volumes)


class EmbeddingInputs(Inputs):
    """Sets of embeddings (N, D, C) from cached ones (M, V, C).

    What only fills a set is masked by the head.

    Args:
        views: V, of which each frame shows a random one.
    """

    def __init__(self, views: int) -> None:
        self._views = views

    def draw(
        self, counts: Sequence[int], random: np.random.Generator, part: slice
    ) -> list[NDArray[Any]]:
        """See `Inputs.draw`."""
        return [random.integers(0, self._views, sum(counts))[part]]

    def vary(
        self,
        items_M: torch.Tensor,
        drawn: Sequence[torch.Tensor],
        index_ND: torch.Tensor,
        mask_ND: torch.Tensor,
    ) -> torch.Tensor:
        """See `Inputs.vary`."""
        numbers = torch.arange(len(items_M), device=items_M.device)
        return items_M[numbers, drawn[0]].float()[index_ND]

    def keep(
        self, items_M: torch.Tensor, index_ND: torch.Tensor, mask_ND: torch.Tensor
    ) -> torch.Tensor:
        """See `Inputs.keep`."""
        return items_M[:, 0].float()[index_ND]


def make_inputs(setup: TrainingSetup, device: torch.device) -> Inputs:
    """Return what makes the inputs of a training's network on a device."""
    if setup.frozen:
        return EmbeddingInputs(setup.train.cache.items_M.shape[1])
    return FrameInputs(setup.volume_spec, setup.recipe.augment, device)
