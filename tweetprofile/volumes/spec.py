"""What a volume is: how many frames of which size, what fills it, how its pixels are normalised.

Shapes: F frames, N users, C channels, D frames of a volume, H, W.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from tweetprofile.errors import OptionError
from tweetprofile.job import VOLUME_FRAMES, FrameSize
from tweetprofile.untrusted.fields import Reader, build, number, text, whole

Fill = Literal["repeat", "zeros"]

MAX_VOLUME_PIXELS = 1 << 25
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
        if self.frames * self.height * self.width > MAX_VOLUME_PIXELS:
            raise OptionError(
                f"a volume of {self.frames} frames of {self.width} x {self.height} is more than "
                f"{MAX_VOLUME_PIXELS:,} pixels; give fewer or smaller frames."
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
