"""The loss is the cross-entropy of all traits; one that is not finite ends the training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.training.setups import SCHEMA, make_users
from tweetprofile.errors import TrainingError
from tweetprofile.training.augment import Choice
from tweetprofile.training.distributed import Rank
from tweetprofile.training.loss import EpochLoss, Targets, user_loss
from tweetprofile.training.recipes import RECIPES

CPU = torch.device("cpu")


def test_the_loss_is_the_mean_cross_entropy_of_the_labels_summed_over_the_traits(
    tmp_path: Path,
) -> None:
    users = make_users(tmp_path, 8, 16)
    positions = np.arange(5)
    choices = [Choice(users.frames_of(each), each, 1.0) for each in range(5)]
    weights = Targets(users, SCHEMA, RECIPES["paper"]).weigh(positions, choices)
    logits = {each.name: torch.randn(5, len(each.classes)) for each in SCHEMA}
    expected = sum(
        cross_entropy(values, torch.from_numpy(users.labels[:5, column]), ignore_index=-1)
        for column, values in enumerate(logits.values())
    )
    torch.testing.assert_close(user_loss(logits, torch.from_numpy(weights)), expected)


def test_smoothed_labels_and_mixed_users_count_by_their_shares(tmp_path: Path) -> None:
    users = make_users(tmp_path, 8, 16)
    users.labels[:, 0] = [0, 1, 0, 1, 0, 1, 0, 1]
    recipe = RECIPES["default"]
    targets = Targets(users, SCHEMA, recipe)
    mixed = [Choice(users.frames_of(0), 1, 0.75)]  # three quarters of user 0, one of user 1
    genders = targets.weigh(np.array([0]), mixed)[0, :2]
    smooth = recipe.label_smoothing
    expected = np.array([0.75, 0.25]) * (1 - smooth) + smooth / 2
    assert genders == pytest.approx(expected, rel=1e-6)


def test_users_without_a_label_do_not_count(tmp_path: Path) -> None:
    users = make_users(tmp_path, 8, 16)
    users.labels[3] = -1
    choices = [Choice(users.frames_of(each), each, 1.0) for each in (3, 4)]
    weights = Targets(users, SCHEMA, RECIPES["default"]).weigh(np.array([3, 4]), choices)
    assert not weights[0].any()


def test_a_loss_that_is_not_finite_names_its_epoch() -> None:
    losses = EpochLoss(7, 3, RECIPES["default"], Rank(0, 1, CPU))
    for loss in (1.0, float("inf"), float("nan")):
        losses.add(torch.tensor(loss))
    with pytest.raises(TrainingError, match="epoch 7: the loss became inf; train with a `learn"):
        losses.mean()


def test_a_long_epoch_ends_soon_after_a_loss_that_is_not_finite() -> None:
    losses = EpochLoss(1, 10_000, RECIPES["default"], Rank(0, 1, CPU))
    with pytest.raises(TrainingError, match="the loss became nan"):
        for _ in range(100):
            losses.add(torch.tensor(float("nan")))
