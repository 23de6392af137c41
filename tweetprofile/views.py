"""Views of a volume: the mean over several of them is a little surer than the one as it is.

A network that learns from crops has seen things larger than they are in whole frames, so parts of a
frame, enlarged, are views worth having (the effect is that of Touvron et al. 2019, "Fixing the
train-test resolution discrepancy"): the middle first, and then, as Krizhevsky et al. 2012 have it,
the corners.

Shapes: N users, C channels, D frames of a volume, H, W.
"""

from dataclasses import dataclass, replace

import torch
from torch.nn.functional import interpolate

_PART = 0.8
"""Of a frame's height and width."""


@dataclass(frozen=True, slots=True)
class View:
    """How to look at a volume.

    Attributes:
        part: share of height and width that is looked at, enlarged to a whole frame.
        down: share of what is left out that is above the part.
        across: share of what is left out that is left of it.
        mirrored: left for right, afterwards.
    """

    part: float = 1.0
    down: float = 0.5
    across: float = 0.5
    mirrored: bool = False

    def of(self, volumes_NCDHW: torch.Tensor) -> torch.Tensor:
        """The volumes so seen, of the same shape and memory layout."""
        seen = volumes_NCDHW
        if self.part < 1.0:
            seen = self._enlarge_part(seen)
        return seen.flip(4) if self.mirrored else seen

    def _enlarge_part(self, volumes: torch.Tensor) -> torch.Tensor:
        users, channels, frames, height, width = volumes.shape
        rows, columns = (round(side * self.part) for side in (height, width))
        top, left = round((height - rows) * self.down), round((width - columns) * self.across)
        part = volumes[..., top : top + rows, left : left + columns]
        flat = part.transpose(1, 2).flatten(0, 1)
        enlarged = interpolate(flat, (height, width), mode="bilinear", align_corners=False)
        whole = enlarged.reshape(users, frames, channels, height, width).transpose(1, 2)
        return whole.contiguous(memory_format=torch.channels_last_3d)


_PLACES = ((0.5, 0.5), (0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
"""The middle and the corners."""

_PLAIN = (View(), *(View(_PART, down, across) for down, across in _PLACES))

VIEWS = tuple(replace(view, mirrored=mirrored) for view in _PLAIN for mirrored in (False, True))
"""In the order in which they are taken: the first so many."""
