"""The definition of a volume: the number and size of its frames, its fill and its normalisation.

Shapes: F frames, N users, C channels, D frames of a volume, H, W.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from tweetprofile.errors import OptionError
from tweetprofile.job import DETAIL, DETAILS, FRAME_SIDE, VOLUME_FRAMES, Detail, FrameSize
from tweetprofile.plurals import count_of
from tweetprofile.untrusted.fields import FieldError, Reader, build, list_of, number, text, whole

Fill = Literal["repeat", "zeros"]

PerChannel = tuple[float, float, float]
"""A number for each of red, green and blue."""

MAX_VOLUME_PIXELS = 1 << 25
"""The largest number of pixels in a volume, which takes 400 MB as input of a network: three times
the pixels of 11 frames of the largest size."""

_STD_RANGE = (1e-3, 1e6)
"""Outside this range, a difference of one grey level becomes infinite, or vanishes."""


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """The way from a user's images to a volume; a property of the checkpoint.

    Attributes:
        frames: D, the number of frames per volume; 11 in the paper.
        height: H, the height of a frame in pixels. Images are stretched to H x W, ignoring their
            aspect.
        width: W, the width of a frame in pixels.
        fill: What fills the volume of a user with fewer images: the user's own frames, repeated in
            order (`repeat`), or frames that are zero after normalisation (`zeros`).
        mean: The grey level (0 to 255) that is subtracted from every pixel, or one per channel.
        std: The number of grey levels per unit of the network's input, or one per channel.
        detail: How much of an image is decoded: all of it (`full`), or as much as a frame of this
            size can show (`frame`).

    Raises:
        OptionError: A value is out of range.
    """

    frames: int = VOLUME_FRAMES
    height: int = FRAME_SIDE
    width: int = FRAME_SIDE
    fill: Fill = "repeat"
    # Mean and deviation of ImageNet's photographs (0.449 and 0.226 of the range, over channels).
    mean: float | PerChannel = 114.5
    std: float | PerChannel = 57.6
    detail: Detail = DETAIL

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= 1024:
            raise OptionError(f"a volume of {self.frames} frames is out of range; use 1 to 1024.")
        for side in (self.height, self.width):
            if not 16 <= side <= 1024:
                raise OptionError(f"a frame side of {side} pixels is out of range; use 16 to 1024.")
        if self.fill not in ("repeat", "zeros"):
            raise OptionError(f"fill '{self.fill}' is unknown; use 'repeat' or 'zeros'.")
        if self.detail not in DETAILS:
            raise OptionError(f"detail '{self.detail}' is unknown; use 'full' or 'frame'.")
        if self.frames * self.height * self.width > MAX_VOLUME_PIXELS:
            raise OptionError(
                f"a volume of {self.frames} frames of {self.width} x {self.height} has more than "
                f"{MAX_VOLUME_PIXELS:,} pixels; use fewer or smaller frames."
            )
        for mean in _channels(self.mean):
            if not 0 <= mean <= 255:
                raise OptionError(f"mean {mean} is not a grey level; use 0 to 255.")
        low, high = _STD_RANGE
        for std in _channels(self.std):
            if not low <= std <= high:
                raise OptionError(f"std {std} must be above 0; use {low:g} to {high:g}.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(D, H, W)."""
        return self.frames, self.height, self.width

    @property
    def grey(self) -> int:
        """The grey level that is nearest to 0 after normalisation, for frames that only fill."""
        return round(sum(_channels(self.mean)) / 3)

    def frame_size(self, clips: int = 1) -> FrameSize:
        """Return the number and size of the frames to extract for `clips` volumes per user."""
        return FrameSize(self.frames * clips, self.height, self.width)

    def normalise(
        self, volumes_NDHWC: torch.Tensor, dtype: torch.dtype = torch.float32
    ) -> torch.Tensor:
        """Turn uint8 volumes into the input of a network.

        Args:
            volumes_NDHWC: The (N, D, H, W, 3) uint8 volumes.
            dtype: The floating-point type of the result.

        Returns:
            (N, 3, D, H, W), a view of channels-last memory, which convolutions accept without a
            transpose.
        """
        floats = volumes_NDHWC.to(torch.float32)
        if not isinstance(self.mean, tuple) and not isinstance(self.std, tuple):
            floats.sub_(self.mean).div_(self.std)
        elif floats.device.type == "cpu":
            # Whole rows of pixels at a time, since processors are slow at rows of three numbers.
            rows = floats.view(*floats.shape[:-2], -1)
            pixels = floats.shape[-2]
            mean, std = (torch.tensor(_channels(x)).repeat(pixels) for x in (self.mean, self.std))
            rows.sub_(mean).div_(std)
        else:
            # As numbers, which need no copy to the GPU.
            channels = zip(
                floats.unbind(-1), _channels(self.mean), _channels(self.std), strict=True
            )
            for channel, mean_of, std_of in channels:
                channel.sub_(mean_of).div_(std_of)
        return floats.to(dtype).permute(0, 4, 1, 2, 3)

    def normalise_frames(self, frames_FHWC: torch.Tensor) -> torch.Tensor:
        """Normalise single frames of any size: (F, H, W, 3) uint8 to (F, 3, H, W) float."""
        return self.normalise(frames_FHWC[None])[0].transpose(0, 1)


def _channels(values: float | PerChannel) -> PerChannel:
    """Return a number for each channel."""
    return values if isinstance(values, tuple) else (values, values, values)


def _number_or_three(value: object, what: str) -> float | PerChannel:
    """Read a number, or a list of one number per channel."""
    if not isinstance(value, list | tuple):
        return number(value, what)
    if len(value) != 3:
        raise FieldError(
            f"{what} has {count_of(len(value), 'number')}; it must be one number, or three"
        )
    red, green, blue = list_of(number)(value, what)
    return red, green, blue


_READERS: Mapping[str, Reader] = {
    "frames": whole,
    "height": whole,
    "width": whole,
    "fill": text,
    "mean": _number_or_three,
    "std": _number_or_three,
    "detail": text,
}


def volume_from_dict(data: Mapping[str, Any]) -> VolumeSpec:
    """Return the volume spec that untrusted JSON describes, as `dataclasses.asdict` wrote it.

    Formats 1 to 3 of checkpoints have no `detail`. Their networks learned from frames that were
    nearly those of `frame`: large JPEGs were decoded at a reduced scale.

    Raises:
        FieldError: A field is unknown or of another type.
        OptionError: A value is out of range.
    """
    return build(VolumeSpec, {"detail": "frame", **data}, "volume", _READERS)
