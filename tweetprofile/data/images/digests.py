"""64-bit digests that identify images and users."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.manifests.users import Encoded

Digests = NDArray[np.uint64]


def image_digest(data: Encoded) -> int:
    """Return the digest of an encoded image; another encoding of the same picture differs."""
    return _digest(data)


def user_digest(user_id: object) -> int:
    """Return the digest of a user id, which is the same for a number and for its text."""
    return _digest(b"user " + str(user_id).encode("utf-8", "surrogatepass"))


def _digest(data: Encoded) -> int:
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little")
