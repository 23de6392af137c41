"""Users to train on and users set aside: by user, by the seed, every class in both alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def split_users(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Set a share of the users aside.

    Users are lined up by their labels, at random among those with the same, and every so-manieth
    is set aside: each combination of labels, and so each class, gives its share, within one user.

    Args:
        labels: (N, traits) class numbers.
        fraction: of the users to set aside, from 0 to below 1.
        seed: of the draw.

    Returns:
        Positions of those to train on, and of those set aside, in order.
    """
    random = np.random.default_rng(seed)
    users = random.permutation(len(labels))
    line = users[np.lexsort(labels[users].T[::-1])] if len(users) else users
    aside = round(len(users) * fraction)
    places = np.floor((np.arange(aside) + random.random()) * len(users) / max(1, aside))
    chosen = np.zeros(len(users), dtype=bool)
    chosen[line[places.astype(np.int64)]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


@dataclass(frozen=True, slots=True)
class Links:
    """Which users belong together, as they have images in common.

    Attributes:
        groups: (N,) number of each user's group; users of different groups share no image but the
            `common` ones.
        common: digests of images that so many users have that they would tie all together.
        shared: how many different images several users have.
    """

    groups: NDArray[np.int64]
    common: NDArray[np.uint64]
    shared: int


def link_users(
    owners: NDArray[np.int64], images: NDArray[np.uint64], users: int, most: int
) -> Links:
    """Group users who share images, directly or by way of others.

    Where a group would have more than `most` users, the images that most users have are set apart
    as common, until it has not.

    Args:
        owners: (P,) the user of each image.
        images: (P,) its digest.
        users: how many there are.
        most: users of the largest group.
    """
    pairs = np.unique(np.stack([images, owners.astype(np.uint64)]), axis=1)
    distinct, image, spread = np.unique(pairs[0], return_inverse=True, return_counts=True)
    owner = pairs[1].astype(np.int64)
    low, high = 1, int(spread.max(initial=1))  # images of more users than that are common
    while low < high:
        middle = (low + high + 1) // 2
        tied = spread[image] <= middle
        if _largest(_components(owner[tied], image[tied], users)) <= most:
            low = middle
        else:
            high = middle - 1
    tied = spread[image] <= low
    groups = _components(owner[tied], image[tied], users)
    return Links(groups, distinct[spread > low], int((spread > 1).sum()))


def share_out(
    labels: NDArray[np.int64], groups: NDArray[np.int64], shares: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Give each group of users to a side, so that each side gets its share of every class.

    The largest groups come first, each to the side that lacks its classes most (after Sechidis,
    Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-label Data").

    Args:
        labels: (N, traits) class numbers, negative ones where there is no label.
        groups: (N,) number of each user's group.
        shares: of each side; they add up to 1.
        seed: of the draw among equals.

    Returns:
        (N,) number of each user's side.
    """
    kinds = _kinds(labels)
    totals = np.bincount(kinds.ravel()).astype(float)
    lacking = np.array(shares)[:, None] * totals
    random = np.random.default_rng(seed)
    order = random.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    members = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(order) else []
    members = [members[each] for each in random.permutation(len(members))]
    sides = np.zeros(len(groups), np.int64)
    for group in sorted(members, key=len, reverse=True):
        having = kinds[group].ravel()
        side = int((lacking[:, having] / totals[having]).sum(axis=1).argmax())
        sides[group] = side
        np.subtract.at(lacking[side], having, 1.0)
    return sides


def _kinds(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, traits + 1) numbers of the classes of all traits, none of them a class of its own too.

    The last is the same for all: each side is to get its share of the users as well.
    """
    users, first = len(labels), 0
    columns = []
    for column in labels.T:
        columns.append(np.maximum(column, -1) + 1 + first)
        first = int(columns[-1].max(initial=first)) + 1
    return np.stack([*columns, np.full(users, first)], axis=1)


def _components(
    owner: NDArray[np.int64], image: NDArray[np.int64], users: int
) -> NDArray[np.int64]:
    """(users,) the lowest number among the users whom each is tied to."""
    group = np.arange(users)
    while len(owner):
        lowest = np.full(int(image.max()) + 1, users)
        np.minimum.at(lowest, image, group[owner])
        reached = group.copy()
        np.minimum.at(reached, owner, lowest[image])
        reached = reached[reached]  # a step further each time: paths halve
        if np.array_equal(reached, group):
            break
        group = reached
    return group


def _largest(groups: NDArray[np.int64]) -> int:
    return int(np.bincount(groups).max(initial=0)) if len(groups) else 0
