"""The resize agrees with Pillow's to one grey level."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from tweetprofile.decoders.resizing import _resize, _resize_in_float, stretch, stretch_into


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


@pytest.mark.parametrize("size", [(600, 337.5), (84.375, 150), (113, 112.125), (300, 200)])
def test_a_last_row_that_covers_less_than_a_row_does_not_shift_the_picture(
    draw: Callable[..., Image.Image], size: tuple[float, float]
) -> None:
    width, height = size
    image = draw(math.ceil(width), math.ceil(height))
    found = torch.empty((112, 112, 3), dtype=torch.uint8)
    stretch_into(found, np.array(image), (height, width))
    expected = np.asarray(
        image.resize((112, 112), Image.Resampling.BILINEAR, box=(0, 0, width, height))
    )
    assert np.abs(found.numpy().astype(int) - expected).max() <= 1


def test_stripes_finer_than_a_pixel_become_their_mean() -> None:
    stripes = np.zeros((64, 640, 3), np.uint8)
    stripes[:, ::2] = 200
    found = torch.empty((16, 16, 3), dtype=torch.uint8)
    stretch_into(found, stripes)
    assert 95 <= int(found.min()) <= int(found.max()) <= 105


@pytest.mark.parametrize("size", [(112, 112), (140, 140), (99, 175)])
def test_where_uint8_cannot_be_resized_floats_give_the_same_to_one_grey_level(
    size: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    frames = torch.randint(0, 256, (3, 3, 140, 140), dtype=torch.uint8)
    expected, found = _resize(frames, size), _resize_in_float(frames, size)
    assert found.dtype == torch.uint8
    assert (found.int() - expected.int()).abs().max() <= 1


def test_a_device_other_than_the_cpu_never_resizes_uint8() -> None:
    # "meta" computes nothing, but it refuses nothing either: watch what is called.
    with torch.autograd.profiler.profile() as calls:
        frames = stretch(torch.empty((2, 140, 140, 3), dtype=torch.uint8, device="meta"), 112, 112)
    assert (frames.dtype, tuple(frames.shape)) == (torch.uint8, (2, 112, 112, 3))
    assert "aten::round_" in {each.key for each in calls.key_averages()}
