"""Augmentation: each epoch varies which frames users show, in which order, and how they look.

Random numbers are drawn for a whole batch, however many processes share it, so two processes see
what one would see.

Shapes: M frames of all users of a batch, S side of a cached frame, H, W of a frame, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import affine_grid, grid_sample

from tweetprofile.errors import OptionError
from tweetprofile.training.cache import Subset
from tweetprofile.volumes.choice import select_evenly
from tweetprofile.volumes.spec import VolumeSpec


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """How users are varied.

    Attributes:
        shuffle: Whether frames are in random order.
        drop: The share of the users who show a random number of frames, from `fewest_frames` to a
            full volume; the others show as many as they have.
        fewest_frames: The smallest such random number.
        regroup: The share of the users whose frames are drawn from all users with the same labels.
        mix: The share of the users who are mixed: up to half of their frames are another user's,
            whose labels then count in the same proportion ("mixup", Zhang et al. 2018, for sets).
        flip: The share of the frames that are mirrored.
        crop: The smallest share of a frame's area that is cut out; the largest is the whole frame.
        rotation: The largest rotation in either direction, in radians.
        colour: The largest change of brightness, contrast and saturation, as a share of 1.
        erase: The share of the frames that are partly covered with one colour (Zhong et al. 2020).
        paste: The share of the frames that are partly covered with the same part of another frame
            of the user ("CutMix", Yun et al. 2019, with unchanged labels); a frame that
            draws itself is covered with one colour.

    Raises:
        OptionError: A value is out of range.
    """

    shuffle: bool = True
    drop: float = 1.0
    fewest_frames: int = 3
    regroup: float = 1.0
    mix: float = 0.7
    flip: float = 0.5
    crop: float = 0.35
    rotation: float = 0.2
    colour: float = 0.3
    erase: float = 0.2
    paste: float = 0.3

    def __post_init__(self) -> None:
        for name in ("drop", "regroup", "mix", "flip", "rotation", "colour", "erase", "paste"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise OptionError(f"`{name}` is {getattr(self, name)}; it must be from 0 to 1.")
        if self.erase + self.paste > 1.0:
            raise OptionError(
                f"`erase` is {self.erase} and `paste` is {self.paste}; their sum must not exceed 1."
            )
        if not 0.0 < self.crop <= 1.0:
            raise OptionError(f"`crop` is {self.crop}; it must be above 0 and at most 1.")
        if self.fewest_frames < 1:
            raise OptionError(f"`fewest_frames` is {self.fewest_frames}; it must be at least 1.")

    @classmethod
    def none(cls) -> Self:
        """Return options that leave users as they are."""
        return cls(
            shuffle=False, drop=0.0, regroup=0.0, mix=0.0, flip=0.0, crop=1.0, rotation=0.0,
            colour=0.0, erase=0.0, paste=0.0,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """The frames that a user shows.

    Attributes:
        frames: The numbers of the frames in the cache; at least one.
        partner: The position of the user who is mixed in.
        share: The share of the frames that are the user's own, above 0; 1 without mixing.
    """

    frames: NDArray[np.int64]
    partner: int
    share: float


class FrameChooser:
    """Chooses the cached frames that each user shows.

    Args:
        users: The users to learn from.
        frames: The number of frames per volume.
        options: How users are varied.
    """

    def __init__(self, users: Subset, frames: int, options: AugmentOptions) -> None:
        self._users = users
        self._frames = frames
        self._options = options
        self._labels = [tuple(labels) for labels in users.labels.tolist()]
        self._pools: dict[tuple[int, ...], NDArray[np.int64]] = {}
        if options.regroup:
            self._pools = self._pool()

    def choose(self, positions: NDArray[np.int64], random: np.random.Generator) -> list[Choice]:
        """Choose the frames of a batch; users are mixed with others of the same batch.

        Args:
            positions: The positions of the users.
            random: The generator to draw from.
        """
        partners = random.permutation(positions)
        return [
            self._choose(int(position), int(partner), random)
            for position, partner in zip(positions, partners, strict=True)
        ]

    def _choose(self, position: int, partner: int, random: np.random.Generator) -> Choice:
        wanted, others = self._frame_count(position, random), 0
        if random.random() < self._options.mix:
            others = int(random.integers(0, wanted // 2 + 1))
        own = self._draw(position, wanted - others, random)
        mixed = self._draw(partner, others, random)
        return Choice(np.concatenate([own, mixed]), partner, len(own) / (len(own) + len(mixed)))

    def _frame_count(self, position: int, random: np.random.Generator) -> int:
        if random.random() < self._options.drop:
            fewest = min(self._options.fewest_frames, self._frames)
            return int(random.integers(fewest, self._frames + 1))
        return min(len(self._users.frames_of(position)), self._frames)

    def _draw(self, position: int, wanted: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Draw frames of a user, or of all users with the same labels; at most as many as exist."""
        options, frames = self._options, self._users.frames_of(position)
        if options.regroup and random.random() < options.regroup:
            frames = self._pools[self._labels[position]]
        wanted = min(len(frames), wanted)
        if not wanted:
            return frames[:0]
        if not options.shuffle:
            return frames[select_evenly(len(frames), wanted)]
        return random.choice(frames, wanted, replace=False)

    def _pool(self) -> dict[tuple[int, ...], NDArray[np.int64]]:
        """Group all frames by the labels of their users."""
        members: dict[tuple[int, ...], list[NDArray[np.int64]]] = {}
        for position, labels in enumerate(self._labels):
            members.setdefault(labels, []).append(self._users.frames_of(position))
        return {labels: np.concatenate(frames) for labels, frames in members.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Distortion:
    """How M frames are changed: cropped, mirrored, rotated, recoloured and partly covered.

    Attributes:
        theta_M23: The transformation that `affine_grid` takes.
        brightness_M: The brightness to add, in units of the network's input.
        contrast_M: The factor of all values.
        saturation_M: The factor of the difference from grey.
        patch_M4: The top, left, bottom and right of the covered part, from 0 to 1; all 0 for none.
        cover_M: The brightness that covers it.
        source_M: The offset to the frame whose part covers it; 0 to cover it with `cover_M`.
    """

    theta_M23: NDArray[np.float32]
    brightness_M: NDArray[np.float32]
    contrast_M: NDArray[np.float32]
    saturation_M: NDArray[np.float32]
    patch_M4: NDArray[np.float32]
    cover_M: NDArray[np.float32]
    source_M: NDArray[np.int64]

    @classmethod
    def draw(
        cls, counts: Sequence[int], options: AugmentOptions, random: np.random.Generator
    ) -> Self:
        """Draw the distortions of a batch.

        Args:
            counts: The number of frames of each user.
            options: How users are varied.
            random: The generator to draw from.
        """
        frames = sum(counts)
        colours = random.uniform(-1.0, 1.0, (3, frames)) * options.colour
        brightness, contrast, saturation = colours.astype(np.float32)
        theta = _draw_transforms(frames, options, random)
        patch, cover, source = _draw_patches(counts, options, random)
        return cls(
            theta_M23=theta,
            brightness_M=brightness,
            contrast_M=1 + contrast,
            saturation_M=1 + 2 * saturation,
            patch_M4=patch,
            cover_M=cover,
            source_M=source,
        )

    def take(self, part: slice) -> "Distortion":
        """Return the distortions of a range of frames, which must not split a user's frames."""
        return Distortion(**{each.name: getattr(self, each.name)[part] for each in fields(self)})


class Distorter:
    """Distorts frames on a device.

    Args:
        spec: The size and normalisation of the frames to make.
        device: The device.
    """

    def __init__(self, spec: VolumeSpec, device: torch.device) -> None:
        self._spec = spec
        # The positions of all pixels, from -1 to 1, as `affine_grid` computes them every time.
        straight = torch.eye(2, 3, device=device)[None]
        size = [1, 3, spec.height, spec.width]
        positions_P2 = affine_grid(straight, size, align_corners=False).flatten(0, 2)
        self._positions_P3 = torch.cat([positions_P2, torch.ones_like(positions_P2[:, :1])], 1)

    def arrays(self, distortion: Distortion) -> list[NDArray[Any]]:
        """Return the arrays that `distort` needs on the device."""
        patch = distortion.patch_M4
        arrays: list[NDArray[Any]] = [
            distortion.theta_M23,
            distortion.brightness_M,
            distortion.contrast_M,
            distortion.saturation_M,
        ]
        if not patch.any():
            return arrays
        top, left, bottom, right = patch.T[..., None]
        y = (np.arange(self._spec.height, dtype=np.float32) + np.float32(0.5)) / self._spec.height
        x = (np.arange(self._spec.width, dtype=np.float32) + np.float32(0.5)) / self._spec.width
        source = distortion.source_M
        return [
            *arrays,
            (y >= top) & (y < bottom),
            (x >= left) & (x < right),
            np.arange(len(source)) + source,
            source == 0,
            distortion.cover_M,
        ]

    def distort(self, frames_MSSC: torch.Tensor, arrays: Sequence[torch.Tensor]) -> torch.Tensor:
        """Distort frames.

        Args:
            frames_MSSC: Cached frames on the device, uint8 with 3 channels.
            arrays: The arrays of their distortion, on the device.

        Returns:
            Frames (M, 3, H, W) as normalised floats.
        """
        theta_M23, *colours, patches = arrays[0], *arrays[1:4], arrays[4:]
        brightness, contrast, saturation = (each[:, None, None, None] for each in colours)
        frames = self._spec.normalise_frames(frames_MSSC)
        grid = self._positions_P3.expand(len(frames), -1, -1).bmm(theta_M23.transpose(1, 2))
        grid = grid.view(-1, self._spec.height, self._spec.width, 2)
        sampled = grid_sample(frames, grid, padding_mode="reflection", align_corners=False)
        grey = sampled.mean(dim=1, keepdim=True)
        coloured = (grey + (sampled - grey) * saturation) * contrast + brightness
        return _cover(coloured, patches) if patches else coloured


def _cover(frames_MCHW: torch.Tensor, patches: Sequence[torch.Tensor]) -> torch.Tensor:
    """Cover a part of each frame with another frame, or with one brightness."""
    rows_MH, columns_MW, other_M, plain_M, cover_M = patches
    covered = (rows_MH[:, :, None] & columns_MW[:, None, :])[:, None]
    plain, cover = (each[:, None, None, None] for each in (plain_M, cover_M))
    return torch.where(covered, torch.where(plain, cover, frames_MCHW[other_M]), frames_MCHW)


_STRETCH = 0.2
"""The largest change of the aspect ratio by cropping, as a logarithm."""

_PATCH_AREA = (0.1, 0.5)
"""The smallest and largest share of a frame that is covered."""

_PATCH_STRETCH = 0.7
"""The largest difference of a covered part's aspect ratio from the frame's, as a logarithm."""


def _draw_transforms(
    frames: int, options: AugmentOptions, random: np.random.Generator
) -> NDArray[np.float32]:
    """Draw the part of each frame that is cut out: (M, 2, 3), as `affine_grid` takes it."""
    area = random.uniform(options.crop, 1.0, frames)
    stretch = np.exp(random.uniform(-1.0, 1.0, frames) * _STRETCH * (options.crop < 1.0))
    sides = np.minimum(1.0, np.stack([np.sqrt(area * stretch), np.sqrt(area / stretch)], 1))
    mirrored = np.where(random.random(frames) < options.flip, -1.0, 1.0)
    angle = random.uniform(-1.0, 1.0, frames) * options.rotation
    rotated = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1)
    theta = np.zeros((frames, 2, 3), np.float32)
    theta[:, :, 2] = (1 - sides) * random.uniform(-1.0, 1.0, (frames, 2))
    theta[:, :, :2] = rotated.reshape(-1, 2, 2) * sides[:, :, None]
    theta[:, :, 0] *= mirrored[:, None]
    return theta


def _draw_patches(
    counts: Sequence[int], options: AugmentOptions, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Draw the covered part of each frame, its brightness, and the offset of the covering frame."""
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


@dataclass(frozen=True, slots=True)
class Filling:
    """How the frames of N users fill their volumes.

    Attributes:
        index_ND: The number of the frame at each position of a volume, among those of all users.
        mask_ND: Which of them are a user's own, rather than repeated.
        own_M: The positions of the own ones, among all N x D.
    """

    index_ND: NDArray[np.int64]
    mask_ND: NDArray[np.bool_]
    own_M: NDArray[np.int64]

    @classmethod
    def of(cls, counts: Sequence[int], frames: int) -> Self:
        """Return how users fill their volumes.

        Args:
            counts: The number of frames of each user, at least one.
            frames: The number of frames per volume.
        """
        own = np.array(counts)[:, None]
        position = np.arange(frames)
        mask = position < own
        index = np.cumsum(own, axis=0) - own + position % own
        return cls(index, mask, mask.ravel().nonzero()[0])

    def arrays(self) -> list[NDArray[Any]]:
        """Return the arrays that are needed on the device."""
        return [self.index_ND, self.mask_ND, self.own_M]


def fill_volumes(
    frames_MCHW: torch.Tensor, index_ND: torch.Tensor, mask_ND: torch.Tensor, spec: VolumeSpec
) -> torch.Tensor:
    """Stack the frames of each user to a volume (N, 3, D, H, W).

    Args:
        frames_MCHW: The normalised frames of all users, one user after the other.
        index_ND: The number of the frame at each position.
        mask_ND: Which of them are a user's own.
        spec: The volumes to make.
    """
    volumes_NDCHW = frames_MCHW[index_ND]
    if spec.fill == "zeros":
        volumes_NDCHW = volumes_NDCHW * mask_ND[:, :, None, None, None]
    return volumes_NDCHW.transpose(1, 2)
