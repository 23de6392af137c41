"""Splits of users into parts that have the same shares of every class, drawn from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def split_users(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out a share of the users.

    Users are sorted by their labels, in random order among equal ones, and held out at regular
    intervals: each combination of labels, and so each class, gives its share to within one user.

    Args:
        labels: Class numbers, (N, traits).
        fraction: The share of users to hold out, at least 0 and below 1.
        seed: The seed of the draw.

    Returns:
        The positions of the training users and of the held-out users, in order.
    """
    random = np.random.default_rng(seed)
    users = random.permutation(len(labels))
    line = users[np.lexsort(labels[users].T[::-1])] if len(users) else users
    held_out = round(len(users) * fraction)
    positions = np.floor((np.arange(held_out) + random.random()) * len(users) / max(1, held_out))
    chosen = np.zeros(len(users), dtype=bool)
    chosen[line[positions.astype(np.int64)]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


@dataclass(frozen=True, slots=True)
class Links:
    """The groups of users who have images in common.

    Attributes:
        groups: The number of each user's group, (N,); users of different groups share no images
            except the `common` ones.
        common: The digests of images of so many users that they would link most users together.
        shared: The number of different images that several users have.
    """

    groups: NDArray[np.int64]
    common: NDArray[np.uint64]
    shared: int


def link_users(
    owners: NDArray[np.int64], images: NDArray[np.uint64], users: int, most: int
) -> Links:
    """Group users who share images, directly or through other users.

    If a group would have more than `most` users, the images with the most users are treated as
    common, until no group is too large.

    Args:
        owners: The user of each image, (P,).
        images: The digest of each image, (P,).
        users: The number of users.
        most: The largest number of users in a group.
    """
    pairs = np.unique(np.stack([images, owners.astype(np.uint64)]), axis=1)
    distinct, image, spread = np.unique(pairs[0], return_inverse=True, return_counts=True)
    owner = pairs[1].astype(np.int64)
    low, high = 1, int(spread.max(initial=1))  # images of more users than this are common
    while low < high:
        middle = (low + high + 1) // 2
        linked = spread[image] <= middle
        if _largest(_components(owner[linked], image[linked], users)) <= most:
            low = middle
        else:
            high = middle - 1
    linked = spread[image] <= low
    groups = _components(owner[linked], image[linked], users)
    return Links(groups, distinct[spread > low], int((spread > 1).sum()))


def share_out(
    labels: NDArray[np.int64], groups: NDArray[np.int64], shares: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Assign groups of users to parts, so that each part gets its share of every class.

    The largest groups are assigned first, each to the part that lacks its classes most (after
    Sechidis, Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-label Data").

    Args:
        labels: Class numbers, (N, traits), negative for missing labels.
        groups: The number of each user's group, (N,).
        shares: The share of each part; the shares add up to 1.
        seed: The seed of the random order among groups of equal size.

    Returns:
        The number of each user's part, (N,).
    """
    kinds = _kinds(labels)
    totals = np.bincount(kinds.ravel()).astype(float)
    lacking = np.array(shares)[:, None] * totals
    random = np.random.default_rng(seed)
    order = random.permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    members = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(order) else []
    members = [members[each] for each in random.permutation(len(members))]
    parts = np.zeros(len(groups), np.int64)
    for group in sorted(members, key=len, reverse=True):
        classes = kinds[group].ravel()
        part = int((lacking[:, classes] / totals[classes]).sum(axis=1).argmax())
        parts[group] = part
        np.subtract.at(lacking[part], classes, 1.0)
    return parts


def _kinds(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return numbers for the classes of all traits, (N, traits + 1); no label counts as a class.

    The last column is the same for all users, so that each part gets its share of users, too.
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
    """Return the lowest number among the users that each user is linked to, (users,)."""
    group = np.arange(users)
    while len(owner):
        lowest = np.full(int(image.max()) + 1, users)
        np.minimum.at(lowest, image, group[owner])
        reached = group.copy()
        np.minimum.at(reached, owner, lowest[image])
        reached = reached[reached]  # pointer jumping: the remaining paths halve
        if np.array_equal(reached, group):
            break
        group = reached
    return group


def _largest(groups: NDArray[np.int64]) -> int:
    return int(np.bincount(groups).max(initial=0)) if len(groups) else 0
