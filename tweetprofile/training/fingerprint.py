"""The fingerprint of a training: the users and images that its checkpoint was trained on."""

import numpy as np
from numpy.typing import NDArray

from tweetprofile.checkpoints.fingerprints import Fingerprint, TrainingFingerprint
from tweetprofile.data.images.digests import user_digest
from tweetprofile.data.labels.reading import read_user_ids
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.training.cache import Subset


def fingerprint_users(
    manifest: Manifest, validation: Manifest | None, train: Subset, val: Subset
) -> TrainingFingerprint:
    """Return the fingerprints of all users and images of a training.

    Args:
        manifest: The manifest of the training users.
        validation: The manifest of the held-out users; None if they come from the same manifest.
        train: The training users.
        val: The held-out users.
    """
    users = [_user_digests(manifest, train.users), _user_digests(validation or manifest, val.users)]
    images = [part.cache.digests[part.frames] for part in (train, val)]
    manifests = [each.fingerprint() for each in (manifest, validation) if each is not None]
    return TrainingFingerprint(
        Fingerprint.of(np.concatenate(users)),
        Fingerprint.of(np.concatenate(images)),
        tuple(manifests),
    )


def fingerprint_text_users(
    manifest: Manifest,
    validation: Manifest | None,
    train: NDArray[np.int64],
    val: NDArray[np.int64],
) -> TrainingFingerprint:
    """Return the fingerprints of all users of a training that looks at no images.

    Args:
        manifest: The manifest of the training users.
        validation: The manifest of the held-out users; None if they come from the same manifest.
        train: The numbers of the training users.
        val: The numbers of the held-out users.
    """
    users = [_user_digests(manifest, train), _user_digests(validation or manifest, val)]
    manifests = [each.fingerprint() for each in (manifest, validation) if each is not None]
    return TrainingFingerprint(
        Fingerprint.of(np.concatenate(users)),
        Fingerprint.of(np.empty(0, np.uint64)),
        tuple(manifests),
    )


def _user_digests(manifest: Manifest, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    ids = read_user_ids(manifest).gather(numbers)
    return np.array([user_digest(each) for each in ids], np.uint64)
