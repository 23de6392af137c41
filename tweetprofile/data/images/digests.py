"""What images and users are known by: numbers of 64 bits that are equal where they are."""

import hashlib

import numpy as np
from numpy.typing import NDArray

Digests = NDArray[np.uint64]


def image_digest(data: bytes) -> int:
    """The digest of an encoded image; another encoding of the same picture has another one."""
    return _digest(data)


def user_digest(user_id: object) -> int:
    """The digest of a user's id, be it a number or the same number as text."""
    return _digest(b"user " + str(user_id).encode("utf-8", "surrogatepass"))


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little")
