"""Users to train on and users set aside: by user, by the seed, every class in both alike."""

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
