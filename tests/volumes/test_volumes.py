"""A volume has eleven frames, however many images a user has."""

import json
from dataclasses import asdict
from itertools import pairwise

import pytest
import torch

from tweetprofile.errors import OptionError
from tweetprofile.untrusted.fields import FieldError
from tweetprofile.volumes.choice import nearest_unused, select_evenly
from tweetprofile.volumes.spec import VolumeSpec, volume_from_dict
from tweetprofile.volumes.stacking import stack_volume, stack_volumes

SPEC = VolumeSpec(frames=5, height=16, width=20)


def frames(*levels: int) -> torch.Tensor:
    """Return one frame per grey level."""
    grey = torch.tensor(levels, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    return grey.expand(-1, SPEC.height, SPEC.width, 3).contiguous()


def levels(volume_DHWC: torch.Tensor) -> list[int]:
    assert volume_DHWC.dtype == torch.uint8
    assert (volume_DHWC == volume_DHWC[:, :1, :1, :1]).all()
    return [int(level) for level in volume_DHWC[:, 0, 0, 0]]


def test_the_volume_of_the_paper_is_the_default() -> None:
    assert VolumeSpec().shape == (11, 112, 112)


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        ((7,), [7, 7, 7, 7, 7]),
        ((7, 8), [7, 8, 7, 8, 7]),
        ((7, 8, 9), [7, 8, 9, 7, 8]),
        ((1, 2, 3, 4), [1, 2, 3, 4, 1]),
        ((5, 4, 3, 2, 1), [5, 4, 3, 2, 1]),
    ],
)
def test_a_short_volume_repeats_the_users_own_frames_in_order(
    given: tuple[int, ...], filled: list[int]
) -> None:
    assert levels(stack_volume(frames(*given), SPEC)) == filled


def test_frames_that_fill_with_zeros_are_zero_for_the_network() -> None:
    spec = VolumeSpec(frames=5, height=16, width=20, fill="zeros")
    volume = stack_volume(frames(0, 255), spec)
    assert levels(volume[:2]) == [0, 255]
    normal = spec.normalise(volume[None])
    assert isinstance(spec.std, float)
    assert normal[:, :, 2:].abs().max() <= 0.5 / spec.std


def test_each_channel_can_have_a_mean_and_deviation_of_its_own() -> None:
    spec = VolumeSpec(3, 16, 20, mean=(100.0, 110.0, 120.0), std=(50.0, 60.0, 70.0))
    volume = stack_volume(frames(0, 200, 255), spec)
    normal = spec.normalise(volume[None])
    for channel, (mean, std) in enumerate([(100, 50), (110, 60), (120, 70)]):
        wanted = (volume[..., channel].float() - mean) / std
        assert torch.equal(normal[0, channel], wanted)
    assert spec.grey == 110
    assert volume_from_dict(json.loads(json.dumps(asdict(spec)))) == spec


@pytest.mark.parametrize(
    ("values", "message"),
    [([1.0, 2.0], "has 2 numbers"), ([1.0, 2.0, "x"], "must be a finite number")],
)
def test_means_that_are_not_one_or_three_numbers_are_refused(
    values: list[object], message: str
) -> None:
    with pytest.raises(FieldError, match=message):
        volume_from_dict({"mean": values})


def test_each_user_gets_a_separate_volume() -> None:
    users = [frames(1), frames(2, 3), frames(4, 5, 6, 7, 8)]
    volumes = stack_volumes(users, SPEC)
    assert volumes.shape == (3, 5, 16, 20, 3)
    assert [levels(volume) for volume in volumes] == [
        [1, 1, 1, 1, 1],
        [2, 3, 2, 3, 2],
        [4, 5, 6, 7, 8],
    ]


def test_a_normalised_volume_has_the_layout_that_convolutions_expect() -> None:
    spec = VolumeSpec(frames=3, height=16, width=20, mean=100, std=50)
    volumes = torch.randint(256, (2, 3, 16, 20, 3), dtype=torch.uint8)
    before = volumes.clone()
    normal = spec.normalise(volumes)
    assert normal.shape == (2, 3, 3, 16, 20)
    assert normal.dtype == torch.float32
    assert normal.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(normal[1, 2, 0, 5, 7], (volumes[1, 0, 5, 7, 2].float() - 100) / 50)
    assert torch.equal(volumes, before)


@pytest.mark.parametrize("wanted", range(1, 13))
def test_images_are_chosen_evenly_without_repeats_and_in_order(wanted: int) -> None:
    for images in range(60):
        chosen = select_evenly(images, wanted)
        assert len(chosen) == min(images, wanted)
        assert chosen == sorted(set(chosen))
        assert set(chosen) <= set(range(images))
        steps = [after - before for before, after in pairwise(chosen)]
        assert not steps or max(steps) - min(steps) <= 1
        if 1 < wanted <= images:
            assert (chosen[0], chosen[-1]) == (0, images - 1)


def test_a_single_image_is_the_middle_one() -> None:
    assert select_evenly(9, 1) == [4]


@pytest.mark.parametrize(
    ("failed", "unused", "substitute"),
    [(5, {1, 6, 9}, 6), (5, {4, 6}, 4), (5, {0}, 0), (0, {3, 7}, 3)],
)
def test_the_substitute_is_the_nearest_unused_image_and_of_two_the_earlier(
    failed: int, unused: set[int], substitute: int
) -> None:
    assert nearest_unused(failed, unused) == substitute


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("frames", 0, "a volume of 0 frames"),
        ("frames", 1025, "a volume of 1025 frames"),
        ("height", 15, "a frame side of 15 pixels"),
        ("width", 1025, "a frame side of 1025 pixels"),
        ("fill", "mirror", "fill 'mirror' is unknown"),
        ("detail", "most", "detail 'most' is unknown; use 'full' or 'frame'"),
        ("std", 0.0, "std 0.0 must be above 0"),
        ("std", float("nan"), "std nan must be above 0"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting: str, value: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        VolumeSpec(**{setting: value})  # type: ignore[arg-type]
