"""Held-out users, who share no image with the users that a network learns from.

A network remembers images. If held-out users had some of the images that it learns from, their
scores would tell how well it remembers, not how well it predicts new users. So training leaves out
the images of held-out users, and with them the users who have no other images.
"""

from dataclasses import dataclass

import numpy as np

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.data.labels.split import split_users
from tweetprofile.errors import TrainingError
from tweetprofile.plurals import count_of, one_or_many
from tweetprofile.scoring.uncertainty import FEWEST_USERS
from tweetprofile.training.cache import Subset
from tweetprofile.traits import TraitSchema


@dataclass(frozen=True, slots=True)
class Holdout:
    """Training users and held-out users.

    Attributes:
        train: The users to learn from.
        val: The held-out users.
        images: The number of images of held-out users that were left out of `train`.
        affected: The number of training users who had some of these images.
        dropped: The number of users who had no other images, and are in neither part.
    """

    train: Subset
    val: Subset
    images: int = 0
    affected: int = 0
    dropped: int = 0

    @property
    def note(self) -> str | None:
        """A sentence on the shared images; None if there are none."""
        if not self.images:
            return None
        dropped = (
            f" {self.dropped:,} of these users {one_or_many(self.dropped, 'has', 'have')} no other "
            f"images and {one_or_many(self.dropped, 'is', 'are')} left out."
        )
        return (
            f"{count_of(self.affected, 'training user')} "
            f"{one_or_many(self.affected, 'has', 'have')} {count_of(self.images, 'image')} in "
            "common with held-out users; training leaves "
            f"{one_or_many(self.images, 'this image', 'these images')} out."
            f"{dropped * bool(self.dropped)}"
        )


def hold_out(users: Subset, fraction: float, seed: int) -> Holdout:
    """Hold out a share of the users.

    Args:
        users: The users to divide; see `split_users`.
        fraction: The share of the users to hold out.
        seed: The seed of the random choice.

    Raises:
        TrainingError: No training user has an image of their own.
    """
    train, val = split_users(users.labels, fraction, seed)
    return without_shared_images(users.take(train), users.take(val))


def without_shared_images(train: Subset, val: Subset) -> Holdout:
    """Leave the images of held-out users out of the training users.

    Args:
        train: The users to learn from.
        val: The held-out users.

    Raises:
        TrainingError: No training user has an image of their own.
    """
    shared = np.intersect1d(train.hashes, val.hashes)
    if not len(shared):
        return Holdout(train, val)
    affected = users_with(train, shared)
    kept = train.without_images(shared)
    if not len(kept):
        raise TrainingError(
            "every image of the training users is also an image of held-out users; lower "
            "`val_fraction`, or give users with other images as `val`."
        )
    return Holdout(kept, val, len(shared), affected, len(train) - len(kept))


def users_with(users: Subset, hashes: np.ndarray) -> int:
    """Count the users who have an image with one of these hashes."""
    found = np.isin(users.cache.hashes, hashes)
    return sum(bool(found[users.frames_of(position)].any()) for position in range(len(users)))


def warn_of_shared_images(train: Subset, val: Subset) -> str | None:
    """Return a warning if users of a validation manifest have images of training users."""
    shared = np.intersect1d(train.hashes, val.hashes)
    if not len(shared):
        return None
    affected = users_with(val, shared)
    return (
        f"{affected:,} of the {count_of(len(val), 'held-out user')} "
        f"{one_or_many(affected, 'has', 'have')} {count_of(len(shared), 'image')} in common with "
        "training users: their scores are flattered."
    )


def warn_of_few_users(
    schema: TraitSchema, users: int, val: Subset, fraction: float, *, folds: int | None = None
) -> list[str]:
    """Return a warning if too few held-out users have a label of some trait.

    Args:
        schema: The traits, in the order of the columns of labels.
        users: The number of all users, including the held-out ones.
        val: The held-out users.
        fraction: The share of the users to hold out; 0 if none were to be held out.
        folds: The number of folds of a cross-validation, which tests every user; None for none.
    """
    few = [
        f"{trait.name} {count}"
        for column, trait in enumerate(schema)
        if (count := int((val.labels[:, column] != UNKNOWN).sum())) < FEWEST_USERS
    ]
    if not few or not (len(val) or fraction):
        return []
    takes = f", about {round(FEWEST_USERS / fraction):,} users in all" if fraction else ""
    return [
        f"few held-out users have a label ({', '.join(few)}), so scores and confidences may be far "
        f"off. Measuring an accuracy to within 0.16 takes {FEWEST_USERS} of them{takes}; there are "
        f"{users:,}.{_advise_cross_validation(folds)}"
    ]


def _advise_cross_validation(folds: int | None) -> str:
    advice = " Pass `folds=5` for a cross-validation, which tests every user."
    return advice if folds is None else ""
