"""Users are set aside by the seed, every class in its share."""

import numpy as np
import pytest

from tweetprofile.training.split import split_users


def drawn_labels(users: int = 500) -> np.ndarray:
    random = np.random.default_rng(0)
    places = random.choice(5, users, p=[0.6, 0.2, 0.1, 0.06, 0.04])
    return np.stack([random.integers(-1, 2, users), places], axis=1)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.33])
def test_everyone_is_on_one_side(fraction: float) -> None:
    train, val = split_users(drawn_labels(), fraction, seed=0)
    assert sorted([*train, *val]) == list(range(500))
    assert len(val) == round(500 * fraction)


def test_every_class_gives_its_share() -> None:
    labels = drawn_labels()
    _, val = split_users(labels, 0.2, seed=3)
    for trait in range(2):
        for value in np.unique(labels[:, trait]):
            wanted = 0.2 * (labels[:, trait] == value).sum()
            assert abs((labels[val, trait] == value).sum() - wanted) <= 4


def test_the_seed_decides_and_nothing_else() -> None:
    labels = drawn_labels()
    once, twice, other = (split_users(labels, 0.2, seed)[1].tolist() for seed in (1, 1, 2))
    assert once == twice
    assert once != other


def test_no_users_can_be_split() -> None:
    train, val = split_users(np.empty((0, 2), np.int64), 0.5, seed=0)
    assert len(train) == len(val) == 0
