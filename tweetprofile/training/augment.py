"""Users varied anew at every epoch: which frames they show, in which order, and how these look.

What is drawn at random is drawn for a whole batch, however many processes share it: two processes
see what one would have seen.

Shapes: M frames of all users of a batch, S side of a cached frame, H, W of a frame, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import affine_grid, grid_sample

from tweetprofile.errors import OptionError
from tweetprofile.training.cache import Subset
from tweetprofile.volumes import VolumeSpec, frame_mask, select_evenly


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """How users are varied.

    Attributes:
        shuffle: whether frames come in random order.
        drop: share of the users who show any number of frames from `fewest_frames` to a full
            volume; the others show as many as they have.
        fewest_frames: that the first show.
        regroup: share of the users whose frames are drawn from all users with the same labels.
        flip: share of the frames that are mirrored.
        crop: smallest share of a frame's area that is looked at, up to all of it.
        colour: how far brightness, contrast and saturation go, of 1.

    Raises:
        OptionError: a value out of range.
    """

    shuffle: bool = True
    drop: float = 1.0
    fewest_frames: int = 3
    regroup: float = 1.0
    flip: float = 0.5
    crop: float = 0.35
    colour: float = 0.3

    def __post_init__(self) -> None:
        for name in ("drop", "regroup", "flip", "colour"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise OptionError(f"{name} {getattr(self, name)} must be from 0 to 1.")
        if not 0.0 < self.crop <= 1.0:
            raise OptionError(f"crop {self.crop} must be above 0 and at most 1.")
        if self.fewest_frames < 1:
            raise OptionError(f"fewest frames {self.fewest_frames} must be at least 1.")

    @classmethod
    def none(cls) -> Self:
        """Users as they are."""
        return cls(shuffle=False, drop=0.0, regroup=0.0, flip=0.0, crop=1.0, colour=0.0)


class FrameChooser:
    """Which cached frames each user shows.

    Args:
        users: to learn from.
        frames: of a volume.
        options: how they vary.
    """

    def __init__(self, users: Subset, frames: int, options: AugmentOptions) -> None:
        self._users = users
        self._frames = frames
        self._options = options
        self._alike = [tuple(labels) for labels in users.labels.tolist()]
        self._pools: dict[tuple[int, ...], NDArray[np.int64]] = {}
        if options.regroup:
            self._pools = self._pool()

    def choose(
        self, positions: NDArray[np.int64], random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """The frames of users at these positions, by their number in the cache."""
        return [self._choose(int(position), random) for position in positions]

    def _choose(self, position: int, random: np.random.Generator) -> NDArray[np.int64]:
        options, frames = self._options, self._users.frames_of(position)
        wanted = min(len(frames), self._frames)
        if random.random() < options.drop:
            fewest = min(options.fewest_frames, self._frames)
            wanted = int(random.integers(fewest, self._frames + 1))
        if options.regroup and random.random() < options.regroup:
            frames = self._pools[self._alike[position]]
        wanted = min(len(frames), wanted)
        if not options.shuffle:
            chosen = frames[select_evenly(len(frames), wanted)]
        else:
            chosen = random.choice(frames, wanted, replace=False)
        return chosen

    def _pool(self) -> dict[tuple[int, ...], NDArray[np.int64]]:
        """All frames of the users who share every label."""
        members: dict[tuple[int, ...], list[NDArray[np.int64]]] = {}
        for position, labels in enumerate(self._alike):
            members.setdefault(labels, []).append(self._users.frames_of(position))
        return {labels: np.concatenate(frames) for labels, frames in members.items()}


@dataclass(frozen=True, slots=True)
class Distortion:
    """How each of M frames is to look: parts of it, mirrored or not, its colours.

    Attributes:
        theta_M23: what `affine_grid` takes.
        brightness_M: to be added, in units of the network's input.
        contrast_M: factor of all.
        saturation_M: factor of what is not grey.
    """

    theta_M23: torch.Tensor
    brightness_M: torch.Tensor
    contrast_M: torch.Tensor
    saturation_M: torch.Tensor

    @classmethod
    def draw(cls, frames: int, options: AugmentOptions, random: np.random.Generator) -> Self:
        """Distortions for so many frames."""
        theta = np.zeros((frames, 2, 3), np.float32)
        area = random.uniform(options.crop, 1.0, frames)
        stretch = np.exp(random.uniform(-1.0, 1.0, frames) * _STRETCH * (options.crop < 1.0))
        sides = np.minimum(1.0, np.stack([np.sqrt(area * stretch), np.sqrt(area / stretch)], 1))
        theta[:, :, 2] = (1 - sides) * random.uniform(-1.0, 1.0, (frames, 2))
        theta[:, 0, 0] = sides[:, 0] * np.where(random.random(frames) < options.flip, -1.0, 1.0)
        theta[:, 1, 1] = sides[:, 1]
        colours = random.uniform(-1.0, 1.0, (3, frames)) * options.colour
        brightness, contrast, saturation = torch.from_numpy(colours.astype(np.float32))
        return cls(torch.from_numpy(theta), brightness, 1 + contrast, 1 + 2 * saturation)

    def take(self, part: slice) -> "Distortion":
        """Those of some frames."""
        return Distortion(*(getattr(self, field.name)[part] for field in fields(self)))

    def apply(self, frames_MSSC: torch.Tensor, spec: VolumeSpec) -> torch.Tensor:
        """Distort frames, on their own device.

        Args:
            frames_MSSC: (M, S, S, 3) uint8, as cached.
            spec: the frames to make.

        Returns:
            (M, 3, H, W) float, normalised by the spec.
        """
        device = frames_MSSC.device
        frames = spec.normalise_frames(frames_MSSC)
        size = (len(frames), 3, spec.height, spec.width)
        grid = affine_grid(self.theta_M23.to(device), list(size), align_corners=False)
        seen = grid_sample(frames, grid, padding_mode="border", align_corners=False)
        brightness, contrast, saturation = (
            each.to(device)[:, None, None, None]
            for each in (self.brightness_M, self.contrast_M, self.saturation_M)
        )
        grey = seen.mean(dim=1, keepdim=True)
        return (grey + (seen - grey) * saturation) * contrast + brightness


_STRETCH = 0.2
"""Logarithm of the most that a part's width over height differs from the frame's."""


def fill_volumes(
    frames_MCHW: torch.Tensor, counts: Sequence[int], spec: VolumeSpec
) -> tuple[torch.Tensor, torch.Tensor]:
    """Volumes of frames that follow each other, user by user.

    Args:
        frames_MCHW: (M, 3, H, W) float, normalised.
        counts: frames of each user, at least one.
        spec: the volumes to make.

    Returns:
        Volumes (N, 3, D, H, W), and which frames are a user's own (N, D).
    """
    own = torch.tensor(list(counts))
    starts = own.cumsum(0) - own
    index = (starts[:, None] + torch.arange(spec.frames) % own[:, None]).to(frames_MCHW.device)
    mask = frame_mask(counts, spec.frames).to(frames_MCHW.device)
    volumes_NDCHW = frames_MCHW[index]
    if spec.fill == "zeros":
        volumes_NDCHW = volumes_NDCHW * mask[:, :, None, None, None]
    return volumes_NDCHW.transpose(1, 2), mask
