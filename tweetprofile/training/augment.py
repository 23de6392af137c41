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
from tweetprofile.volumes.choice import select_evenly
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.volumes.stacking import frame_mask


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """How users are varied.

    Attributes:
        shuffle: whether frames come in random order.
        drop: share of the users who show any number of frames from `fewest_frames` to a full
            volume; the others show as many as they have.
        fewest_frames: that the first show.
        regroup: share of the users whose frames are drawn from all users with the same labels.
        mix: share of the users who show up to half of the frames of another one, and have their
            labels in the same share ("mixup", Zhang et al. 2018, of sets).
        flip: share of the frames that are mirrored.
        crop: smallest share of a frame's area that is looked at, up to all of it.
        turn: how far frames are turned, in radians, to either side.
        colour: how far brightness, contrast and saturation go, of 1.
        erase: share of the frames of which a part is covered with one colour (Zhong et al. 2020).
        paste: share of the frames of which a part is covered with that part of another frame of
            the same user ("CutMix", Yun et al. 2019, that leaves labels as they are); one that
            draws itself is erased.

    Raises:
        OptionError: a value out of range.
    """

    shuffle: bool = True
    drop: float = 1.0
    fewest_frames: int = 3
    regroup: float = 1.0
    mix: float = 0.7
    flip: float = 0.5
    crop: float = 0.35
    turn: float = 0.2
    colour: float = 0.3
    erase: float = 0.2
    paste: float = 0.3

    def __post_init__(self) -> None:
        for name in ("drop", "regroup", "mix", "flip", "turn", "colour", "erase", "paste"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise OptionError(f"{name} {getattr(self, name)} must be from 0 to 1.")
        if self.erase + self.paste > 1.0:
            raise OptionError(f"erase {self.erase} and paste {self.paste} must not exceed 1.")
        if not 0.0 < self.crop <= 1.0:
            raise OptionError(f"crop {self.crop} must be above 0 and at most 1.")
        if self.fewest_frames < 1:
            raise OptionError(f"fewest frames {self.fewest_frames} must be at least 1.")

    @classmethod
    def none(cls) -> Self:
        """Users as they are."""
        return cls(
            shuffle=False, drop=0.0, regroup=0.0, mix=0.0, flip=0.0, crop=1.0, turn=0.0,
            colour=0.0, erase=0.0, paste=0.0,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """What a user shows.

    Attributes:
        frames: their numbers in the cache; at least one.
        partner: position of the user whom some of them are of.
        share: of the frames that are the user's own, above 0; 1 where there is no mixing.
    """

    frames: NDArray[np.int64]
    partner: int
    share: float


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

    def choose(self, positions: NDArray[np.int64], random: np.random.Generator) -> list[Choice]:
        """What users at these positions show; who is mixed is mixed with another one of them."""
        partners = random.permutation(positions)
        return [
            self._choose(int(position), int(partner), random)
            for position, partner in zip(positions, partners, strict=True)
        ]

    def _choose(self, position: int, partner: int, random: np.random.Generator) -> Choice:
        wanted, others = self._how_many(position, random), 0
        if random.random() < self._options.mix:
            others = int(random.integers(0, wanted // 2 + 1))
        own = self._draw(position, wanted - others, random)
        lent = self._draw(partner, others, random)
        return Choice(np.concatenate([own, lent]), partner, len(own) / (len(own) + len(lent)))

    def _how_many(self, position: int, random: np.random.Generator) -> int:
        if random.random() < self._options.drop:
            fewest = min(self._options.fewest_frames, self._frames)
            return int(random.integers(fewest, self._frames + 1))
        return min(len(self._users.frames_of(position)), self._frames)

    def _draw(self, position: int, wanted: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Frames of a user, or of all who are like them; no more than there are."""
        options, frames = self._options, self._users.frames_of(position)
        if options.regroup and random.random() < options.regroup:
            frames = self._pools[self._alike[position]]
        wanted = min(len(frames), wanted)
        if not options.shuffle:
            return frames[select_evenly(len(frames), wanted)]
        return random.choice(frames, wanted, replace=False)

    def _pool(self) -> dict[tuple[int, ...], NDArray[np.int64]]:
        """All frames of the users who share every label."""
        members: dict[tuple[int, ...], list[NDArray[np.int64]]] = {}
        for position, labels in enumerate(self._alike):
            members.setdefault(labels, []).append(self._users.frames_of(position))
        return {labels: np.concatenate(frames) for labels, frames in members.items()}


@dataclass(frozen=True, slots=True)
class Distortion:
    """How each of M frames is to look: parts of it, mirrored or not, its colours, what covers it.

    Attributes:
        theta_M23: what `affine_grid` takes.
        brightness_M: to be added, in units of the network's input.
        contrast_M: factor of all.
        saturation_M: factor of what is not grey.
        patch_M4: top, left, bottom and right of the part that is covered, of 1; 0 for none.
        cover_M: brightness that covers it.
        source_M: how many frames further the one stands whose part covers it; 0 for brightness.
    """

    theta_M23: torch.Tensor
    brightness_M: torch.Tensor
    contrast_M: torch.Tensor
    saturation_M: torch.Tensor
    patch_M4: torch.Tensor
    cover_M: torch.Tensor
    source_M: torch.Tensor

    @classmethod
    def draw(
        cls, counts: Sequence[int], options: AugmentOptions, random: np.random.Generator
    ) -> Self:
        """Distortions for so many frames of each user."""
        frames = sum(counts)
        colours = random.uniform(-1.0, 1.0, (3, frames)) * options.colour
        brightness, contrast, saturation = torch.from_numpy(colours.astype(np.float32))
        return cls(
            torch.from_numpy(_draw_views(frames, options, random)),
            brightness,
            1 + contrast,
            1 + 2 * saturation,
            *map(torch.from_numpy, _draw_patches(counts, options, random)),
        )

    def take(self, part: slice) -> "Distortion":
        """Those of some frames: of whole users, as what covers a frame is of the same one."""
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
        seen = grid_sample(frames, grid, padding_mode="reflection", align_corners=False)
        brightness, contrast, saturation = (
            each.to(device)[:, None, None, None]
            for each in (self.brightness_M, self.contrast_M, self.saturation_M)
        )
        grey = seen.mean(dim=1, keepdim=True)
        coloured = (grey + (seen - grey) * saturation) * contrast + brightness
        return self._cover(coloured) if self.patch_M4.any() else coloured

    def _cover(self, frames_MCHW: torch.Tensor) -> torch.Tensor:
        device = frames_MCHW.device
        height, width = frames_MCHW.shape[2:]
        y = (torch.arange(height, device=device) + 0.5)[:, None] / height
        x = (torch.arange(width, device=device) + 0.5) / width
        top, left, bottom, right = self.patch_M4.to(device).T[..., None, None]
        covered = ((y >= top) & (y < bottom) & (x >= left) & (x < right))[:, None]
        source = self.source_M.to(device)
        others = frames_MCHW[torch.arange(len(source), device=device) + source]
        plain = (source == 0)[:, None, None, None]
        cover = torch.where(plain, self.cover_M.to(device)[:, None, None, None], others)
        return torch.where(covered, cover, frames_MCHW)


_STRETCH = 0.2
"""Logarithm of the most that a part's width over height differs from the frame's."""

_PATCH_AREA = (0.1, 0.5)
"""Share of a frame that is covered, if any is."""

_PATCH_STRETCH = 0.7
"""As `_STRETCH`, of what is covered."""


def _draw_views(
    frames: int, options: AugmentOptions, random: np.random.Generator
) -> NDArray[np.float32]:
    """What is looked at of each frame: (M, 2, 3), as `affine_grid` takes it."""
    area = random.uniform(options.crop, 1.0, frames)
    stretch = np.exp(random.uniform(-1.0, 1.0, frames) * _STRETCH * (options.crop < 1.0))
    sides = np.minimum(1.0, np.stack([np.sqrt(area * stretch), np.sqrt(area / stretch)], 1))
    mirrored = np.where(random.random(frames) < options.flip, -1.0, 1.0)
    angle = random.uniform(-1.0, 1.0, frames) * options.turn
    turned = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1)
    theta = np.zeros((frames, 2, 3), np.float32)
    theta[:, :, 2] = (1 - sides) * random.uniform(-1.0, 1.0, (frames, 2))
    theta[:, :, :2] = turned.reshape(-1, 2, 2) * sides[:, :, None]
    theta[:, :, 0] *= mirrored[:, None]
    return theta


def _draw_patches(
    counts: Sequence[int], options: AugmentOptions, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """What is covered of each frame, with which brightness, and with a part of which frame."""
    frames = sum(counts)
    area = random.uniform(*_PATCH_AREA, frames)
    stretch = np.exp(random.uniform(-1.0, 1.0, frames) * _PATCH_STRETCH)
    sides = np.minimum(1.0, np.stack([np.sqrt(area * stretch), np.sqrt(area / stretch)], 1))
    corner = random.uniform(0.0, 1.0, (frames, 2)) * (1 - sides)
    chance = random.random(frames)
    patches = np.concatenate([corner, corner + sides], 1)
    patches[chance >= options.erase + options.paste] = 0.0
    starts = np.repeat(np.cumsum([0, *counts[:-1]]), counts)
    others = starts + (random.random(frames) * np.repeat(counts, counts)).astype(np.int64)
    source = np.where(chance >= options.erase, others - np.arange(frames), 0)
    cover = random.normal(size=frames)
    return patches.astype(np.float32), cover.astype(np.float32), source.astype(np.int64)


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
