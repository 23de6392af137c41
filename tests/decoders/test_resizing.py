"""The resize agrees with Pillow's to one grey level."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from tweetprofile.decoders.resizing import stretch_into


@pytest.mark.parametrize("frame", [(112, 112), (24, 40), (64, 16)])
@pytest.mark.parametrize("size", [(500, 375), (1201, 7), (3, 900), (112, 112), (20, 15), (1, 1)])
def test_a_frame_agrees_with_pillows_resize(
    draw: Callable[..., Image.Image], size: tuple[int, int], frame: tuple[int, int]
) -> None:
    image, (height, width) = draw(*size), frame
    found = torch.empty((height, width, 3), dtype=torch.uint8)
    stretch_into(found, np.array(image))
    expected = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    assert np.abs(found.numpy().astype(int) - expected).max() <= 1


def test_stripes_finer_than_a_pixel_become_their_mean() -> None:
    stripes = np.zeros((64, 640, 3), np.uint8)
    stripes[:, ::2] = 200
    found = torch.empty((16, 16, 3), dtype=torch.uint8)
    stretch_into(found, stripes)
    assert 95 <= int(found.min()) <= int(found.max()) <= 105
