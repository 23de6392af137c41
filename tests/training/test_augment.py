"""Augmentation varies users within bounds, with their own images or those of similar users."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tweetprofile.errors import OptionError
from tweetprofile.training.augment import (
    AugmentOptions,
    Distorter,
    Distortion,
    Filling,
    FrameChooser,
    fill_volumes,
)
from tweetprofile.training.cache import FrameCache, Subset
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.workers.profiles import Counts

SPEC = VolumeSpec(height=16, width=16)


def users(counts: list[int], labels: list[list[int]]) -> Subset:
    starts = np.cumsum([0, *counts])[:-1]
    frames = np.zeros((sum(counts), 18, 18, 3), np.uint8)
    hashes = np.arange(sum(counts), dtype=np.uint64)
    cache = FrameCache(
        path=Path(),
        items_M=frames,
        starts=starts,
        counts=np.array(counts),
        hashes=hashes,
        digests=hashes,
        outcome=Counts(),
    )
    return Subset(cache, np.arange(len(counts)), np.array(labels))


FOUR = users([11, 2, 5, 30], [[0, 0], [0, 1], [0, 0], [1, 1]])


def choices(options: AugmentOptions, user: int, times: int = 60) -> list[list[int]]:
    chooser, random = FrameChooser(FOUR, 11, options), np.random.default_rng(0)
    return [chooser.choose(np.array([user]), random)[0].frames.tolist() for _ in range(times)]


def test_without_augmentation_users_show_evenly_spaced_frames_in_order() -> None:
    assert choices(AugmentOptions.none(), 0, 1) == [list(range(11))]
    assert choices(AugmentOptions.none(), 1, 1) == [[11, 12]]
    assert choices(AugmentOptions.none(), 3, 1) == [[18, 21, 24, 27, 30, 32, 35, 38, 41, 44, 47]]


def test_frames_are_dropped_at_random_down_to_the_fewest() -> None:
    options = AugmentOptions(regroup=0.0, mix=0.0, drop=1.0, fewest_frames=3)
    assert {len(frames) for frames in choices(options, 0, 200)} == set(range(3, 12))
    assert {len(frames) for frames in choices(options, 1)} == {2}, "at most as many as there are"
    lengths = [len(frames) for frames in choices(replace(options, drop=0.3), 0, 500)]
    assert 0.25 < sum(length < 11 for length in lengths) / 500 < 0.35 * 8 / 9 + 0.03


def test_the_order_of_frames_is_random() -> None:
    orders = choices(AugmentOptions(regroup=0.0, mix=0.0, drop=0.0), 0)
    assert all(sorted(order) == list(range(11)) for order in orders)
    assert len({tuple(order) for order in orders}) == len(orders)


def test_regrouped_frames_come_from_users_with_the_same_labels() -> None:
    shown = {
        frame
        for frames in choices(AugmentOptions(regroup=1.0, mix=0.0), 0, 200)
        for frame in frames
    }
    assert shown == {*range(11), *range(13, 18)}, "users 0 and 2 have the same labels"
    alone = {
        frame for frames in choices(AugmentOptions(regroup=1.0, mix=0.0), 1) for frame in frames
    }
    assert alone == {11, 12}


def test_mixed_users_show_up_to_half_of_another_users_frames() -> None:
    options = AugmentOptions(regroup=0.0, mix=1.0, drop=0.0)
    chooser, random = FrameChooser(FOUR, 11, options), np.random.default_rng(0)
    shares = set()
    for _ in range(100):
        for user, choice in zip((0, 3), chooser.choose(np.array([0, 3]), random), strict=True):
            own = np.isin(choice.frames, FOUR.frames_of(user))
            assert np.isin(choice.frames[~own], FOUR.frames_of(choice.partner)).all()
            if choice.partner != user:
                assert choice.share == own.mean()
                shares.add(choice.share)
    assert 0.5 < min(shares) < 0.6
    assert max(shares) == 1.0


def distort(frames: torch.Tensor, distortion: Distortion) -> torch.Tensor:
    distorter = Distorter(SPEC, torch.device("cpu"))
    return distorter.distort(frames, [*map(torch.from_numpy, distorter.arrays(distortion))])


def test_an_undistorted_frame_is_the_cached_frame() -> None:
    frames = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    distortion = Distortion.draw([3], AugmentOptions.none(), np.random.default_rng(0))
    torch.testing.assert_close(
        distort(frames, distortion), SPEC.normalise_frames(frames), atol=1e-4, rtol=1e-4
    )


def test_flips_mirror_frames_and_crops_cut_out_a_part() -> None:
    frames = torch.zeros(2, 16, 16, 3, dtype=torch.uint8)
    frames[:, :, :8] = 255
    plain = AugmentOptions.none()
    mirrored = replace(plain, flip=1.0)
    random = np.random.default_rng(0)
    expected = distort(frames, Distortion.draw([2], plain, random)).flip(3)
    found = distort(frames, Distortion.draw([2], mirrored, random))
    torch.testing.assert_close(found, expected)
    theta = Distortion.draw([500], replace(plain, crop=0.5), random).theta_M23
    areas = theta[:, 0, 0] * theta[:, 1, 1]
    assert areas.min() > 0.45
    assert areas.max() <= 1.0
    assert (np.abs(theta[:, :, 2]) + theta[:, [0, 1], [0, 1]] <= 1.0 + 1e-6).all(), "never outside"


def test_frames_are_rotated_about_their_centre() -> None:
    plain = AugmentOptions.none()
    theta = Distortion.draw([500], replace(plain, rotation=0.3), np.random.default_rng(0)).theta_M23
    angles = np.arctan2(theta[:, 1, 0], theta[:, 0, 0])
    assert 0.25 < np.abs(angles).max() <= 0.3
    assert np.linalg.det(theta[:, :, :2]) == pytest.approx(1, abs=1e-5)
    assert not theta[:, :, 2].any()


def flat_frames(brightness: list[int]) -> torch.Tensor:
    """Return frames with a single brightness each."""
    levels = torch.tensor(brightness, dtype=torch.uint8)
    return levels[:, None, None, None].expand(-1, 16, 16, 3).contiguous()


def test_erased_parts_have_one_brightness_and_cover_a_tenth_to_a_half() -> None:
    options = replace(AugmentOptions.none(), erase=1.0)
    distortion = Distortion.draw([200], options, np.random.default_rng(0))
    found = distort(flat_frames([100] * 200), distortion)
    covered = (found - SPEC.normalise_frames(flat_frames([100]))).abs() > 1e-6
    shares = covered[:, 0].float().mean(dim=(1, 2))
    assert (shares > 0.05).all()
    assert (shares < 0.6).all()
    for frame, part in zip(found[:, 0], covered[:, 0], strict=True):
        assert torch.unique(frame[part]).numel() == 1


def test_pasted_parts_come_from_other_frames_of_the_same_user() -> None:
    options = replace(AugmentOptions.none(), paste=1.0)
    own = flat_frames([0, 50, 100, 150, 200, 250])
    levels = SPEC.normalise_frames(own)[:, 0, 0, 0]
    random = np.random.default_rng(0)
    sources: list[set[int]] = [set() for _ in own]
    for _ in range(50):
        found = distort(own, Distortion.draw([2, 4], options, random))[:, 0]
        for number, frame in enumerate(found):
            near = (frame.flatten()[:, None] - levels).abs()
            if near.min(dim=1).values.max() < 1e-4:  # otherwise it drew itself, and is erased
                sources[number] |= set(near.argmin(dim=1).tolist())
    assert sources == [{0, 1}] * 2 + [{2, 3, 4, 5}] * 4


def test_a_part_of_a_batch_is_distorted_as_in_the_whole_batch() -> None:
    """Two processes see what one process would see."""
    frames = torch.randint(0, 256, (6, 18, 18, 3), dtype=torch.uint8)
    options = AugmentOptions(erase=0.4, paste=0.6)
    distortion = Distortion.draw([2, 3, 1], options, np.random.default_rng(0))
    whole = distort(frames, distortion)
    part = distort(frames[2:5], distortion.take(slice(2, 5)))
    torch.testing.assert_close(part, whole[2:5])


@pytest.mark.parametrize("fill", ["repeat", "zeros"])
def test_short_volumes_are_filled_as_in_prediction(fill: str) -> None:
    spec = VolumeSpec(4, 16, 16, fill)  # type: ignore[arg-type]
    frames = torch.randn(5, 3, 16, 16)
    filling = Filling.of([4, 1], 4)
    index, mask, own = map(torch.from_numpy, filling.arrays())
    volumes = fill_volumes(frames, index, mask, spec)
    assert own.tolist() == [0, 1, 2, 3, 4]
    assert volumes.shape == (2, 3, 4, 16, 16)
    assert mask.tolist() == [[True] * 4, [True, False, False, False]]
    torch.testing.assert_close(volumes[0].transpose(0, 1), frames[:4])
    filled = frames[4] if fill == "repeat" else torch.zeros(3, 16, 16)
    torch.testing.assert_close(volumes[1, :, 3], filled)


@pytest.mark.parametrize(
    "wrong",
    [
        {"regroup": 1.5},
        {"flip": -0.1},
        {"crop": 0.0},
        {"fewest_frames": 0},
        {"drop": 2.0},
        {"mix": 1.1},
        {"rotation": -1.0},
        {"erase": 0.6, "paste": 0.6},
    ],
)
def test_an_augmentation_option_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        AugmentOptions(**wrong)  # type: ignore[arg-type]
