"""Pixels in, a frame out: the one resize of everything that is decoded on the CPU."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate


def stretch_into(frame_HWC: torch.Tensor, pixels_HWC: NDArray[np.uint8]) -> None:
    """Stretch an image to the frame's size, bilinear with antialiasing, whatever its aspect.

    It is Pillow's `BILINEAR` to the grey level (rounding differs by 1 here and there), at a fifth
    of its time: PyTorch's kernel for uint8 in channels-last order is vectorised.

    Args:
        frame_HWC: (H, W, 3) uint8, written to.
        pixels_HWC: (height, width, 3) uint8 RGB, writable.
    """
    height, width, _ = frame_HWC.shape
    frame_HWC.copy_(stretch(torch.from_numpy(pixels_HWC)[None], height, width)[0])


def stretch(frames_FHWC: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Frames in another size, by the same kernel: (F, height, width, 3) uint8."""
    frames_FCHW = frames_FHWC.permute(0, 3, 1, 2)
    resized_FCHW = interpolate(frames_FCHW, (height, width), mode="bilinear", antialias=True)
    return resized_FCHW.permute(0, 2, 3, 1)
