"""Views of a volume: the mean over several of them is a little surer than the one as it is.

A network that learns from crops has seen things larger than they are in whole frames, so the middle
of a frame, enlarged, is a view worth having (the effect is that of Touvron et al. 2019, "Fixing the
train-test resolution discrepancy").

Shapes: N users, C channels, D frames of a volume, H, W.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate

_MIDDLE = 0.8
"""Of a frame's height and width."""


@dataclass(frozen=True, slots=True)
class View:
    """How to look at a volume.

    Attributes:
        mirrored: left for right.
        middle: share of height and width that is looked at, enlarged to a whole frame.
    """

    mirrored: bool = False
    middle: float = 1.0

    def of(self, volumes_NCDHW: torch.Tensor) -> torch.Tensor:
        """The volumes so seen, of the same shape and memory layout."""
        seen = volumes_NCDHW
        if self.middle < 1.0:
            seen = self._enlarge_middle(seen)
        return seen.flip(4) if self.mirrored else seen

    def _enlarge_middle(self, volumes: torch.Tensor) -> torch.Tensor:
        users, channels, frames, height, width = volumes.shape
        top, left = (round(side * (1 - self.middle) / 2) for side in (height, width))
        middle = volumes[..., top : height - top, left : width - left]
        flat = middle.transpose(1, 2).flatten(0, 1)
        enlarged = interpolate(flat, (height, width), mode="bilinear", align_corners=False)
        whole = enlarged.reshape(users, frames, channels, height, width).transpose(1, 2)
        return whole.contiguous(memory_format=torch.channels_last_3d)


VIEWS = (View(), View(mirrored=True), View(middle=_MIDDLE), View(mirrored=True, middle=_MIDDLE))
"""In the order in which they are taken: the first so many."""
