"""Find images that several users of a page have, by the digest of the encoded files.

The digests themselves stay out of the page: they would identify an image to whoever has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_NAMED = 24
"""The number of other users that are named per image."""


@dataclass(frozen=True, slots=True)
class SharedImage:
    """An image that other users of the page have, too.

    Attributes:
        users: The numbers of the others, at most `MOST_NAMED`, ascending.
        count: The number of all others.
    """

    users: tuple[int, ...]
    count: int


def find_shared(
    digests: Mapping[int, NDArray[np.uint64]],
) -> dict[int, Sequence[SharedImage | None]]:
    """Find the images of each user that others have, too.

    Args:
        digests: By user, the digests of the user's images.

    Returns:
        By user, for each of these images, who else has it; None if nobody has. Users without such
        an image are left out.
    """
    owners = _owners(digests)
    found: dict[int, Sequence[SharedImage | None]] = {}
    for user, own in digests.items():
        shared = [_others(owners.get(int(digest), ()), user) for digest in own]
        if any(shared):
            found[user] = shared
    return found


def _owners(digests: Mapping[int, NDArray[np.uint64]]) -> dict[int, list[int]]:
    """Return the users who have each digest that several users have, ascending."""
    users = sorted(digests)
    distinct = [np.unique(digests[user]) for user in users]
    if not distinct:
        return {}
    values, counts = np.unique(np.concatenate(distinct), return_counts=True)
    shared = values[counts > 1]
    owners: dict[int, list[int]] = {}
    for user, own in zip(users, distinct, strict=True):
        for digest in own[np.isin(own, shared)].tolist():
            owners.setdefault(digest, []).append(user)
    return owners


def _others(owners: Sequence[int], user: int) -> SharedImage | None:
    if len(owners) < 2:
        return None
    named = tuple(other for other in owners[: MOST_NAMED + 1] if other != user)
    return SharedImage(named[:MOST_NAMED], len(owners) - 1)
