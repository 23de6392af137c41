"""Splits depend on the seed only, and every part gets its share of every class."""

import numpy as np
import pytest

from tweetprofile.data.labels.split import link_users, share_out, split_users


def drawn_labels(users: int = 500) -> np.ndarray:
    random = np.random.default_rng(0)
    towns = random.choice(5, users, p=[0.6, 0.2, 0.1, 0.06, 0.04])
    return np.stack([random.integers(-1, 2, users), towns], axis=1)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.33])
def test_every_user_is_in_exactly_one_part(fraction: float) -> None:
    train, val = split_users(drawn_labels(), fraction, seed=0)
    assert sorted([*train, *val]) == list(range(500))
    assert len(val) == round(500 * fraction)


def test_the_same_share_of_every_class_is_held_out() -> None:
    labels = drawn_labels()
    _, val = split_users(labels, 0.2, seed=3)
    for trait in range(2):
        for value in np.unique(labels[:, trait]):
            wanted = 0.2 * (labels[:, trait] == value).sum()
            assert abs((labels[val, trait] == value).sum() - wanted) <= 4


def test_the_split_depends_on_the_seed_only() -> None:
    labels = drawn_labels()
    once, twice, other = (split_users(labels, 0.2, seed)[1].tolist() for seed in (1, 1, 2))
    assert once == twice
    assert once != other


def test_an_empty_set_of_users_can_be_split() -> None:
    train, val = split_users(np.empty((0, 2), np.int64), 0.5, seed=0)
    assert len(train) == len(val) == 0


def pairs(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    owners = [user for user, images in enumerate(lists) for _ in images]
    return np.array(owners, np.int64), np.array(
        [image for each in lists for image in each], np.uint64
    )


def test_users_who_share_images_through_a_long_chain_are_one_group() -> None:
    chain = [[number, number + 1] for number in range(50)]
    links = link_users(*pairs([*chain, [900], [901, 902], [902]]), users=53, most=53)
    assert set(links.groups[:50]) == {0}
    assert links.groups[50] == 50
    assert links.groups[51] == links.groups[52]
    assert not links.common.size


def test_an_image_that_would_link_nearly_all_users_counts_as_common() -> None:
    lists = [[7, 100 + user // 2] for user in range(40)]
    links = link_users(*pairs(lists), users=40, most=8)
    assert links.common.tolist() == [7]
    assert len(set(links.groups)) == 20, "the pairs are still together"


def test_parts_get_their_share_of_users_and_of_every_class() -> None:
    labels = drawn_labels()
    parts = share_out(labels, np.arange(500), [0.7, 0.1, 0.2], seed=0)
    assert np.abs(np.bincount(parts) - [350, 50, 100]).max() <= 3
    for trait in range(2):
        for value in np.unique(labels[:, trait]):
            of_class = np.bincount(parts[labels[:, trait] == value], minlength=3)
            wanted = of_class.sum() * np.array([0.7, 0.1, 0.2])
            assert np.abs(of_class - wanted).max() <= max(2, 0.1 * of_class.sum())


def test_no_group_is_divided_and_the_seed_decides() -> None:
    labels, groups = drawn_labels(), np.arange(500) // 7
    once, twice, other = (share_out(labels, groups, [0.5, 0.5], seed) for seed in (1, 1, 2))
    assert once.tolist() == twice.tolist() != other.tolist()
    assert all(len(set(once[groups == group])) == 1 for group in groups)
    assert abs(int(once.sum()) - 250) <= 7


def test_an_empty_set_of_users_can_be_grouped_and_assigned() -> None:
    none = np.empty(0, np.int64)
    assert not len(share_out(np.empty((0, 2), np.int64), none, [0.5, 0.5], seed=0))
    assert not len(link_users(none, none.astype(np.uint64), users=0, most=1).groups)
