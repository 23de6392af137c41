"""Pixels in, a frame out: the resize of everything that is decoded on the CPU."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

_SURPLUS = 1 + 1e-7
"""PyTorch rounds the size of a result down, so it must not fall short of a whole number."""


def stretch_into(
    frame_HWC: torch.Tensor,
    pixels_HWC: NDArray[np.uint8],
    covered: tuple[float, float] | None = None,
) -> None:
    """Stretch an image to the size of a frame, bilinear with antialiasing, ignoring its aspect.

    The result is that of Pillow's `BILINEAR`, except that some grey levels are rounded differently
    by 1. It takes a fifth of the time, since PyTorch's kernel for uint8 in channels-last order is
    vectorised.

    Args:
        frame_HWC: The (H, W, 3) uint8 frame that the result is written to.
        pixels_HWC: The (height, width, 3) uint8 RGB pixels, in writable memory.
        covered: The height and width that the picture covers, in these pixels, from the top left;
            None for all of them. A JPEG of 675 rows, decoded at half its size, covers 337.5 of 338.
            Stretching all 338 would shift the picture by up to half a row.
    """
    height, width, _ = frame_HWC.shape
    # PyTorch takes its fast path only if the batch of one is made first: then it sees that the
    # memory is channels-last.
    pixels_1CHW = torch.from_numpy(pixels_HWC)[None].permute(0, 3, 1, 2)
    if covered is None or covered == pixels_HWC.shape[:2]:
        frame_1CHW = _resize(pixels_1CHW, (height, width))
    else:
        factors = height / covered[0] * _SURPLUS, width / covered[1] * _SURPLUS
        frame_1CHW = interpolate(pixels_1CHW, scale_factor=factors, mode="bilinear", antialias=True)
    frame_HWC.copy_(frame_1CHW[0].permute(1, 2, 0))


def stretch(frames_FHWC: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Resize frames by the same rule, on their own device: (F, H, W, 3) to (F, height, width, 3).

    Args:
        frames_FHWC: The uint8 frames.
        height: The height of the result.
        width: The width of the result.
    """
    resize = _resize if frames_FHWC.device.type == "cpu" else _resize_in_float
    return resize(frames_FHWC.permute(0, 3, 1, 2), (height, width)).permute(0, 2, 3, 1)


def _resize(frames_FCHW: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return interpolate(frames_FCHW, size, mode="bilinear", antialias=True)


def _resize_in_float(frames_FCHW: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize uint8 frames on a device that has no such kernel for uint8, as CUDA has none."""
    return _resize(frames_FCHW.float(), size).round_().clamp_(0, 255).to(torch.uint8)
