"""What a model has seen, in so few bits that nobody can be read out of it.

A checkpoint keeps a Bloom filter (Bloom 1970) of the users and images that it was trained with, so
that `evaluate` can tell when they are the ones to be predicted. The filter says yes to everything
that went in and, by chance, to one in a thousand of all else: enough to notice a test set that was
learnt from, and too little to show that one given person was in the training data.
"""

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.images.digests import Digests
from tweetprofile.untrusted.fields import FieldError, Reader, list_of, read_known, text, whole

_HASHES = 10
_BITS_PER_ITEM = 14.4
"""For a chance of one in a thousand: 1.44 bits and one hash for each halving of it."""

_MOST_BITS = 1 << 24
"""Two megabytes, which a million items fill; of more than that, a sample goes in."""

_WHOLE = 1 << 32

_CERTAIN = 1e-4
"""Hits that are less likely than this by chance are taken for real ones."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many of some items a model has seen.

    Attributes:
        seen: items that were found.
        tried: items that were looked up; less than all where the filter holds a sample.
        share: estimated share of the items that was really seen, from 0 to 1.
        certain: whether that is more than chance finds.
    """

    seen: int
    tried: int
    share: float
    certain: bool


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A Bloom filter of digests.

    Attributes:
        bits: the filter, 8 to a byte.
        items: distinct digests that went in.
        sampled: of the 2^32 values of a digest's upper half, those below this went in.
    """

    bits: NDArray[np.uint8]
    items: int
    sampled: int

    @classmethod
    def of(cls, digests: Digests) -> "Fingerprint":
        """The fingerprint of some digests, each of which counts once."""
        digests = np.unique(digests)
        most = int(_MOST_BITS / _BITS_PER_ITEM)
        sampled = _WHOLE if len(digests) <= most else _WHOLE * most // len(digests)
        digests = _sample(digests, sampled)
        size = 8 * max(1, math.ceil(len(digests) * _BITS_PER_ITEM / 8))
        places = np.zeros(size, np.bool_)
        for part in np.array_split(digests, max(1, len(digests) // 100_000)):
            places[_places(part, size)] = True
        return cls(np.packbits(places), len(digests), sampled)

    def overlap(self, digests: Digests) -> Overlap:
        """How many of these digests went in, by more than chance or not."""
        digests = _sample(np.unique(digests), self.sampled)
        tried = len(digests)
        places = _places(digests, 8 * len(self.bits))
        hits = (self.bits[places // 8] >> (7 - places % 8).astype(np.uint8)) & 1
        seen = int(hits.astype(bool).all(axis=1).sum()) if tried else 0
        full = float(np.unpackbits(self.bits).mean())
        expected = tried * full**_HASHES
        certain = _chance_of(seen, expected) < _CERTAIN
        share = max(0.0, (seen - expected) / max(1e-9, tried - expected)) if tried else 0.0
        return Overlap(seen, tried, share, certain)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        bits = base64.b85encode(self.bits.tobytes()).decode("ascii")
        return {"bits": bits, "items": self.items, "sampled": self.sampled}


def read_fingerprint(value: object, what: str) -> Fingerprint:
    """The inverse of `Fingerprint.to_dict`, from untrusted JSON.

    Raises:
        FieldError: it is no fingerprint.
    """
    found: Mapping[str, Any] = read_known(value, what, _READERS, tuple(_READERS))
    try:
        bits = base64.b85decode(found["bits"])
    except ValueError:
        raise FieldError(f"{what} is damaged") from None
    if not 1 <= len(bits) <= _MOST_BITS // 8 or not 1 <= found["sampled"] <= _WHOLE:
        raise FieldError(f"{what} is of no size that a fingerprint has")
    return Fingerprint(np.frombuffer(bits, np.uint8), found["items"], found["sampled"])


_READERS: Mapping[str, Reader] = {"bits": text, "items": whole, "sampled": whole}


def _chance_of(hits: int, expected: float) -> float:
    """How likely so many hits or more are by chance: the upper tail of a Poisson distribution."""
    if expected > 100:
        return 0.5 * math.erfc((hits - 0.5 - expected) / math.sqrt(2 * expected))
    terms = (expected**count / math.factorial(count) for count in range(min(hits, 150)))
    return max(0.0, 1.0 - math.exp(-expected) * math.fsum(terms))


def _sample(digests: Digests, sampled: int) -> Digests:
    return digests[(digests >> np.uint64(32)) < np.uint64(sampled)] if sampled < _WHOLE else digests


def _places(digests: Digests, size: int) -> NDArray[np.int64]:
    """(N, `_HASHES`) bits of each digest, by double hashing (Kirsch and Mitzenmacher 2006)."""
    mixed = digests * np.uint64(0x9E3779B97F4A7C15)  # so that a sample's upper half varies, too
    first, step = mixed >> np.uint64(32), mixed & np.uint64(0xFFFFFFFF) | np.uint64(1)
    rounds = np.arange(_HASHES, dtype=np.uint64)
    return ((first[:, None] + rounds * step[:, None]) % np.uint64(size)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class TrainingFingerprint:
    """What a model was trained with, users and images set aside included.

    Attributes:
        users: fingerprint of the users' ids, as `digests.user_digest` gives them.
        images: fingerprint of their images, as `digests.image_digest` gives them.
        manifests: fingerprints of the manifests.
    """

    users: Fingerprint
    images: Fingerprint
    manifests: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "users": self.users.to_dict(),
            "images": self.images.to_dict(),
            "manifests": list(self.manifests),
        }


def read_training_fingerprint(value: object, what: str) -> TrainingFingerprint:
    """The inverse of `TrainingFingerprint.to_dict`, from untrusted JSON.

    Raises:
        FieldError: a field is missing or of another type.
    """
    readers: Mapping[str, Reader] = {
        "users": read_fingerprint,
        "images": read_fingerprint,
        "manifests": list_of(text),
    }
    found = read_known(value, what, readers, tuple(readers))
    return TrainingFingerprint(found["users"], found["images"], tuple(found["manifests"]))
