"""Frames in, volumes out: the frames of a user become one or more inputs of the network.

Shapes: F frames, N users, D frames of a volume, H, W.
"""

import math
from collections.abc import Sequence

import torch

from tweetprofile.volumes.spec import VolumeSpec


def split_clips(frames_FHWC: torch.Tensor, spec: VolumeSpec) -> list[torch.Tensor]:
    """Split a user's frames into the fewest parts that each fit into a volume.

    Every part is spread evenly over all frames.

    Args:
        frames_FHWC: The (F, H, W, 3) uint8 frames, in manifest order.
        spec: The volumes to make.

    Returns:
        One part per clip, or none if there are no frames.
    """
    clips = math.ceil(len(frames_FHWC) / spec.frames)
    return [frames_FHWC[clip::clips] for clip in range(clips)]


def draw_orders(frames: int, orders: int) -> list[torch.Tensor]:
    """Return the given order of `frames` frames, then random orders, the same in every call."""
    random = torch.Generator().manual_seed(0)
    drawn = [torch.randperm(frames, generator=random) for _ in range(orders - 1)]
    return [torch.arange(frames), *drawn]


def stack_volume(frames_FHWC: torch.Tensor, spec: VolumeSpec) -> torch.Tensor:
    """Fill one volume from a user's frames.

    Args:
        frames_FHWC: The (F, H, W, 3) uint8 frames, F <= D, in manifest order; without any, the
            volume is blank.
        spec: The volume to make.

    Returns:
        (D, H, W, 3) uint8.
    """
    used = len(frames_FHWC)
    if used == spec.frames:
        return frames_FHWC
    if spec.fill == "repeat" and used:
        return frames_FHWC[[position % used for position in range(spec.frames)]]
    blank = frames_FHWC.new_full((spec.frames - used, *frames_FHWC.shape[1:]), spec.grey)
    return torch.cat([frames_FHWC, blank])


def stack_volumes(users: Sequence[torch.Tensor], spec: VolumeSpec) -> torch.Tensor:
    """Fill one volume per user: N tensors of (F, H, W, 3) to (N, D, H, W, 3) uint8."""
    return torch.stack([stack_volume(frames, spec) for frames in users])


def frame_mask(used: Sequence[int], frames: int) -> torch.Tensor:
    """Return (N, D) bool, True for the frames of stacked volumes that are a user's own."""
    return torch.arange(frames) < torch.tensor(list(used))[:, None]
