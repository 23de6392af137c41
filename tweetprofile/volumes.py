"""Frames in, volumes out: the 11 frames of one user, as one input of the network.

Shapes: F frames, N users, C channels, D frames of a volume, H, W.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from tweetprofile.errors import OptionError
from tweetprofile.fields import Reader, build, number, text, whole
from tweetprofile.job import VOLUME_FRAMES, FrameSize

Fill = Literal["repeat", "zeros"]

MOST_PIXELS = 1 << 25
"""Of a volume (400 MB as the network's input): three times 11 frames of the largest size."""

_STD_RANGE = (1e-3, 1e6)
"""Beyond, pixels that differ by one grey level are infinitely far apart, or not at all."""


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """How a user's images become a volume; a property of the checkpoint.

    Attributes:
        frames: D, frames of a volume; 11 in the paper.
        height: H in pixels. Images are stretched to H x W, whatever their aspect.
        width: W in pixels.
        fill: what fills a volume of a user with fewer images: their own frames again, in turn
            (`repeat`), or black after normalisation (`zeros`).
        mean: grey level (0 to 255) taken from every pixel.
        std: grey levels that make one unit of the network's input.

    Raises:
        OptionError: a value out of range.
    """

    frames: int = VOLUME_FRAMES
    height: int = 112
    width: int = 112
    fill: Fill = "repeat"
    # Mean and spread over ImageNet's photographs (0.449 and 0.226 of the range, channels averaged).
    mean: float = 114.5
    std: float = 57.6

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= 1024:
            raise OptionError(f"a volume of {self.frames} frames is out of range; give 1 to 1024.")
        for side in (self.height, self.width):
            if not 16 <= side <= 1024:
                raise OptionError(
                    f"a frame of {side} pixels a side is out of range; give 16 to 1024."
                )
        if self.fill not in ("repeat", "zeros"):
            raise OptionError(f"fill '{self.fill}' is unknown; give 'repeat' or 'zeros'.")
        if self.frames * self.height * self.width > MOST_PIXELS:
            raise OptionError(
                f"a volume of {self.frames} frames of {self.width} x {self.height} is more than "
                f"{MOST_PIXELS:,} pixels; give fewer or smaller frames."
            )
        if not 0 <= self.mean <= 255:
            raise OptionError(f"mean {self.mean} is no grey level; give 0 to 255.")
        low, high = _STD_RANGE
        if not low <= self.std <= high:
            raise OptionError(f"std {self.std} must be above 0: give {low:g} to {high:g}.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(D, H, W)."""
        return self.frames, self.height, self.width

    def frame_size(self, clips: int = 1) -> FrameSize:
        """The frames to extract for so many volumes of each user."""
        return FrameSize(self.frames * clips, self.height, self.width)

    def normalise(
        self, volumes_NDHWC: torch.Tensor, dtype: torch.dtype = torch.float32
    ) -> torch.Tensor:
        """Turn uint8 volumes into the network's input.

        Args:
            volumes_NDHWC: (N, D, H, W, 3) uint8.
            dtype: floating-point type of the result.

        Returns:
            (N, 3, D, H, W). It is a view of channels-last memory, which convolutions take without
            a transpose.
        """
        floats = volumes_NDHWC.to(torch.float32).sub_(self.mean).div_(self.std).to(dtype)
        return floats.permute(0, 4, 1, 2, 3)

    def normalise_frames(self, frames_FHWC: torch.Tensor) -> torch.Tensor:
        """The same for single frames: (F, H, W, 3) uint8 to (F, 3, H, W) float, of any size."""
        return self.normalise(frames_FHWC[None])[0].transpose(0, 1)


_READERS: Mapping[str, Reader] = {
    "frames": whole,
    "height": whole,
    "width": whole,
    "fill": text,
    "mean": number,
    "std": number,
}


def volume_from_dict(data: Mapping[str, Any]) -> VolumeSpec:
    """The inverse of `dataclasses.asdict`, from untrusted JSON.

    Raises:
        FieldError: a field is unknown or of another type.
        OptionError: a value is out of range.
    """
    return build(VolumeSpec, dict(data), "volume", _READERS)


def select_evenly(images: int, wanted: int) -> list[int]:
    """Positions of `wanted` images spread evenly over a list of `images`, ends included.

    All positions where there are no more than wanted.
    """
    if images <= wanted:
        return list(range(images))
    if wanted == 1:
        return [images // 2]
    return [round(step * (images - 1) / (wanted - 1)) for step in range(wanted)]


def nearest_unused(failed: int, unused: Iterable[int]) -> int:
    """The position among `unused` that is nearest to `failed`, the earlier of two."""
    return min(unused, key=lambda position: (abs(position - failed), position))


@dataclass(slots=True)
class FrameChoice:
    """Which images of a user's list are to be tried for a volume.

    Attributes:
        wanted: positions to try now.
        unused: positions that may yet replace one that fails.
    """

    wanted: list[int]
    unused: set[int]

    @classmethod
    def begin(cls, images: int, frames: int) -> "FrameChoice":
        """Of so many images, as many as a volume has frames, spread evenly."""
        wanted = select_evenly(images, frames)
        return cls(wanted, set(range(images)).difference(wanted))

    def replace(self, missed: Iterable[int]) -> None:
        """Want, for each image just missed, the nearest unused one."""
        self.wanted = []
        for position in missed:
            if self.unused:
                substitute = nearest_unused(position, self.unused)
                self.unused.discard(substitute)
                self.wanted.append(substitute)


@dataclass(frozen=True, slots=True)
class ChosenFrames:
    """Which of a user's images make their volume, and which were tried in vain, by position."""

    used: tuple[int, ...]
    missed: tuple[int, ...]


def choose_frames(images: int, frames: int, failed: Collection[int]) -> ChosenFrames:
    """What comes of a user's list, of which the images at `failed` are unusable.

    Args:
        images: how many the list has.
        frames: of a volume.
        failed: positions of unusable images.
    """
    if len(failed) == images:  # found without trying each: that takes the square of its time
        return ChosenFrames((), tuple(range(images)))
    choice = FrameChoice.begin(images, frames)
    used: list[int] = []
    missed: list[int] = []
    while choice.wanted:
        now = [position for position in choice.wanted if position in failed]
        used += (position for position in choice.wanted if position not in failed)
        missed += now
        choice.replace(now)
    return ChosenFrames(tuple(sorted(used)), tuple(sorted(missed)))


def split_clips(frames_FHWC: torch.Tensor, spec: VolumeSpec) -> list[torch.Tensor]:
    """A user's frames in as few parts as fit into a volume each, all spread over the whole.

    Args:
        frames_FHWC: (F, H, W, 3) uint8, in manifest order.
        spec: the volumes.

    Returns:
        One part a clip, none where there is no frame.
    """
    clips = math.ceil(len(frames_FHWC) / spec.frames)
    return [frames_FHWC[clip::clips] for clip in range(clips)]


def draw_orders(frames: int, orders: int) -> list[torch.Tensor]:
    """Orders of so many frames: as they are, then others at random, the same at every call."""
    random = torch.Generator().manual_seed(0)
    drawn = [torch.randperm(frames, generator=random) for _ in range(orders - 1)]
    return [torch.arange(frames), *drawn]


def stack_volume(frames_FHWC: torch.Tensor, spec: VolumeSpec) -> torch.Tensor:
    """Fill one volume from a user's frames.

    Args:
        frames_FHWC: (F, H, W, 3) uint8, F <= D, in manifest order; of none, a blank is made.
        spec: the volume to make.

    Returns:
        (D, H, W, 3) uint8.
    """
    used = len(frames_FHWC)
    if used == spec.frames:
        return frames_FHWC
    if spec.fill == "repeat" and used:
        return frames_FHWC[[position % used for position in range(spec.frames)]]
    blank = frames_FHWC.new_full((spec.frames - used, *frames_FHWC.shape[1:]), round(spec.mean))
    return torch.cat([frames_FHWC, blank])


def stack_volumes(users: Sequence[torch.Tensor], spec: VolumeSpec) -> torch.Tensor:
    """Fill one volume a user: (N, D, H, W, 3) uint8 from N tensors of (F, H, W, 3)."""
    return torch.stack([stack_volume(frames, spec) for frames in users])


def frame_mask(used: Sequence[int], frames: int) -> torch.Tensor:
    """Which frames of stacked volumes are a user's own: (N, D) bool."""
    return torch.arange(frames) < torch.tensor(list(used))[:, None]
