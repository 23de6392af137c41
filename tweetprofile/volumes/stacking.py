"""Frames in, volumes out: a user's frames become one input of the network, or several.

Shapes: F frames, N users, D frames of a volume, H, W.
"""

import math
from collections.abc import Sequence

import torch

from tweetprofile.volumes.spec import VolumeSpec


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
