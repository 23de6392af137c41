"""Views of a volume: the mean over several views is slightly better than the volume itself.

A network that learns from crops sees things larger than they appear in complete frames, so the
enlarged middle of a frame is a useful view (the effect that Touvron et al. 2019 describe in "Fixing
the train-test resolution discrepancy").

Shapes: N users, C channels, D frames of a volume, H, W.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate

_MIDDLE = 0.8
"""The middle of a frame, as a share of its height and width."""


@dataclass(frozen=True, slots=True)
class View:
    """A way to look at a volume.

    Attributes:
        mirrored: Whether left and right are swapped.
        middle: The share of height and width around the middle that is enlarged to a full frame.
    """

    mirrored: bool = False
    middle: float = 1.0

    def apply(self, volumes_NCDHW: torch.Tensor) -> torch.Tensor:
        """Return this view of volumes, in the same shape and memory layout."""
        viewed = volumes_NCDHW
        if self.middle < 1.0:
            viewed = self._enlarge_middle(viewed)
        return viewed.flip(4) if self.mirrored else viewed

    def _enlarge_middle(self, volumes: torch.Tensor) -> torch.Tensor:
        users, channels, frames, height, width = volumes.shape
        top, left = (round(side * (1 - self.middle) / 2) for side in (height, width))
        middle = volumes[..., top : height - top, left : width - left]
        flat = middle.transpose(1, 2).flatten(0, 1)
        enlarged = interpolate(flat, (height, width), mode="bilinear", align_corners=False)
        volume = enlarged.reshape(users, frames, channels, height, width).transpose(1, 2)
        return volume.contiguous(memory_format=torch.channels_last_3d)


VIEWS = (View(), View(mirrored=True), View(middle=_MIDDLE), View(mirrored=True, middle=_MIDDLE))
"""All views; the option `views` takes this many from the start of the list."""
