"""What a run has seen, for its checkpoint to keep."""

import numpy as np

from tweetprofile.checkpoints.fingerprints import Fingerprint, TrainingFingerprint
from tweetprofile.data.images.digests import user_digest
from tweetprofile.data.labels.reading import read_user_ids
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.training.cache import Subset


def what_was_seen(
    manifest: Manifest, validation: Manifest | None, train: Subset, val: Subset
) -> TrainingFingerprint:
    """The fingerprints of all users and images of a run.

    Args:
        manifest: of the users to learn from.
        validation: of the users set aside; None where they are of the same manifest.
        train: users to learn from.
        val: users set aside.
    """
    users = [_ids_of(manifest, train), _ids_of(validation or manifest, val)]
    images = [part.cache.digests[part.frames] for part in (train, val)]
    manifests = [each.fingerprint() for each in (manifest, validation) if each is not None]
    return TrainingFingerprint(
        Fingerprint.of(np.concatenate(users)),
        Fingerprint.of(np.concatenate(images)),
        tuple(manifests),
    )


def _ids_of(manifest: Manifest, part: Subset) -> np.ndarray:
    ids = read_user_ids(manifest).gather(part.users)
    return np.array([user_digest(each) for each in ids], np.uint64)
