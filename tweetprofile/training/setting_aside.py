"""Users set aside to measure with, who share no image with the users that are learnt from.

A network remembers images. Where users set aside have some of the images that it learnt from, their
scores say how well it remembers, not how well it does on new users. So images of users set aside
are kept out of what is learnt from; users who have no other image are not learnt from at all.
"""

from dataclasses import dataclass

import numpy as np

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.data.labels.split import split_users
from tweetprofile.errors import TrainingError
from tweetprofile.scoring.uncertainty import FEWEST_USERS
from tweetprofile.training.cache import Subset
from tweetprofile.traits import TraitSchema


@dataclass(frozen=True, slots=True)
class Parts:
    """Users to learn from and users set aside, none of whom share an image.

    Attributes:
        train: to learn from.
        val: set aside.
        images: of users set aside, which are kept out of `train`.
        affected: users to learn from who had some of these.
        dropped: users who had no others, and are in neither part.
    """

    train: Subset
    val: Subset
    images: int
    affected: int
    dropped: int

    @property
    def note(self) -> str | None:
        """What became of shared images, in a sentence; None where there are none."""
        if not self.images:
            return None
        dropped = f"; {self.dropped:,} of these have no other and are left out" * bool(self.dropped)
        return (
            f"{self.images:,} images of users set aside are those of {self.affected:,} users to "
            f"learn from, too, and are not learnt from{dropped}."
        )


def set_aside(users: Subset, fraction: float, seed: int) -> Parts:
    """Set a share of the users aside; see `split_users`.

    Raises:
        TrainingError: no user to learn from has an image of their own.
    """
    train, val = split_users(users.labels, fraction, seed)
    return keep_apart(users.take(train), users.take(val))


def keep_apart(train: Subset, val: Subset) -> Parts:
    """Keep the images of users set aside out of those to learn from.

    Raises:
        TrainingError: no user to learn from has an image of their own.
    """
    shared = np.intersect1d(train.hashes, val.hashes)
    if not len(shared):
        return Parts(train, val, 0, 0, 0)
    affected = users_with(train, shared)
    kept = train.without_images(shared)
    if not len(kept):
        raise TrainingError(
            "every image of the users to learn from is one of users set aside, too; lower "
            "--val-fraction, or give users with other images as --val."
        )
    return Parts(kept, val, len(shared), affected, len(train) - len(kept))


def users_with(users: Subset, hashes: np.ndarray) -> int:
    """How many of the users have an image of these hashes."""
    found = np.isin(users.cache.hashes, hashes)
    return sum(bool(found[users.frames_of(position)].any()) for position in range(len(users)))


def warn_of_shared_images(train: Subset, val: Subset) -> str | None:
    """A warning where users that were given to validate on have images that are learnt from."""
    shared = np.intersect1d(train.hashes, val.hashes)
    if not len(shared):
        return None
    return (
        f"{len(shared):,} images of users to train on are those of {users_with(val, shared):,} of "
        f"the {len(val):,} users set aside, too: scores on them are flattered."
    )


def warn_of_few_users(
    schema: TraitSchema, users: int, val: Subset, fraction: float, *, folds: int | None = None
) -> list[str]:
    """A warning for traits that too few users set aside have a label of, and how many it takes.

    Args:
        schema: the traits, in the order of the columns of labels.
        users: all of them, those set aside included.
        val: users set aside.
        fraction: share of the users that was to be set aside; 0 where that was not asked for.
        folds: of a cross-validation, which measures with all users; None for none.
    """
    few = [
        f"{trait.name} {count}"
        for column, trait in enumerate(schema)
        if (count := int((val.labels[:, column] != UNKNOWN).sum())) < FEWEST_USERS
    ]
    if not few or not (len(val) or fraction):
        return []
    takes = f", which takes some {round(FEWEST_USERS / fraction):,} users" if fraction else ""
    return [
        f"few labelled users are set aside to measure with ({', '.join(few)}), so scores and "
        f"confidences may be far off. {FEWEST_USERS} would give an accuracy within 0.16{takes}; "
        f"there are {users:,} in all{_folds_instead(folds)}."
    ]


def _folds_instead(folds: int | None) -> str:
    return ". Use --folds 5, which tests on every user" if folds is None else ""
