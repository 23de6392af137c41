"""Held-out users have one row per network that held them out, and a mean."""

import numpy as np
import torch

from tweetprofile.training.held_out import HeldOut


def rows(users: list[int], values: list[float]) -> HeldOut:
    labels = np.array([[user % 2] for user in users])
    return HeldOut(np.array(users), labels, {"gender": torch.tensor(values)[:, None]})


def test_the_mean_has_one_row_per_user() -> None:
    found = HeldOut.join([rows([3, 1], [1.0, 5.0]), rows([1, 2], [7.0, 4.0])]).mean()
    assert found.users_R.tolist() == [1, 2, 3]
    assert found.labels_RT[:, 0].tolist() == [1, 0, 1]
    assert found.logits["gender"][:, 0].tolist() == [6.0, 4.0, 1.0]


def test_users_with_too_few_rows_are_left_out_and_further_rows_do_not_count() -> None:
    found = rows([1, 2, 1, 1], [1.0, 9.0, 3.0, 50.0]).mean(2)
    assert found.users_R.tolist() == [1]
    assert found.logits["gender"].tolist() == [[2.0]]
    assert len(found.mean(2).users_R) == 0
