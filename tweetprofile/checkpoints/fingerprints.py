"""Fingerprints of training data, with so few bits that no one can be identified from them.

A checkpoint contains a Bloom filter (Bloom 1970) of its training users and images, so that
`evaluate` can detect leakage. The filter finds everything that was added and, by chance, one in a
thousand of all other items: enough to notice that a test set was used for training, and too little
to show that a given person was in the training data.
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
"""Bits per item for a chance of one in a thousand: 1.44 bits and one hash per halving of it."""

_MOST_BITS = 1 << 24
"""The largest filter, two megabytes, which a million items fill; of more items, it has a sample."""

_ALL_HASHES = 1 << 32

_CERTAIN = 1e-4
"""Matches that are less likely than this by chance are considered real."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """The overlap of some items with those that a model was trained on.

    Attributes:
        seen: The number of items that the filter finds.
        tried: The number of items that were looked up; not all, if the filter has a sample.
        share: The estimated share of the items that the model was trained on, from 0 to 1.
        certain: Whether chance alone would hardly find as many.
    """

    seen: int
    tried: int
    share: float
    certain: bool


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A Bloom filter of digests.

    Attributes:
        bits: The filter, with 8 bits per byte.
        items: The number of distinct digests in the filter.
        sampled: The limit of the sample: digests whose upper half, one of 2^32 values, is below it
            are in the filter.
    """

    bits: NDArray[np.uint8]
    items: int
    sampled: int

    @classmethod
    def of(cls, digests: Digests) -> "Fingerprint":
        """Return the fingerprint of digests, counting each of them once."""
        digests = np.unique(digests)
        most = int(_MOST_BITS / _BITS_PER_ITEM)
        sampled = _ALL_HASHES if len(digests) <= most else _ALL_HASHES * most // len(digests)
        digests = _sample(digests, sampled)
        size = 8 * max(1, math.ceil(len(digests) * _BITS_PER_ITEM / 8))
        bits = np.zeros(size, np.bool_)
        for part in np.array_split(digests, max(1, len(digests) // 100_000)):
            bits[_bit_positions(part, size)] = True
        return cls(np.packbits(bits), len(digests), sampled)

    def overlap(self, digests: Digests) -> Overlap:
        """Return how many of these digests are in the filter, and whether chance explains them."""
        digests = _sample(np.unique(digests), self.sampled)
        tried = len(digests)
        positions = _bit_positions(digests, 8 * len(self.bits))
        hits = (self.bits[positions // 8] >> (7 - positions % 8).astype(np.uint8)) & 1
        seen = int(hits.astype(bool).all(axis=1).sum()) if tried else 0
        full = float(np.unpackbits(self.bits).mean())
        expected = tried * full**_HASHES
        certain = _chance_of(seen, expected) < _CERTAIN
        share = max(0.0, (seen - expected) / max(1e-9, tried - expected)) if tried else 0.0
        return Overlap(seen, tried, share, certain)

    def to_dict(self) -> dict[str, Any]:
        """Return the fingerprint as JSON."""
        bits = base64.b85encode(self.bits.tobytes()).decode("ascii")
        return {"bits": bits, "items": self.items, "sampled": self.sampled}


def read_fingerprint(value: object, what: str) -> Fingerprint:
    """Return the fingerprint that untrusted JSON describes, as `Fingerprint.to_dict` wrote it.

    Raises:
        FieldError: The value is not a fingerprint.
    """
    found: Mapping[str, Any] = read_known(value, what, _READERS, tuple(_READERS))
    try:
        bits = base64.b85decode(found["bits"])
    except ValueError:
        raise FieldError(f"{what} is damaged") from None
    if not 1 <= len(bits) <= _MOST_BITS // 8 or not 1 <= found["sampled"] <= _ALL_HASHES:
        raise FieldError(f"{what} does not have the size of a fingerprint")
    return Fingerprint(np.frombuffer(bits, np.uint8), found["items"], found["sampled"])


_READERS: Mapping[str, Reader] = {"bits": text, "items": whole, "sampled": whole}


def _chance_of(hits: int, expected: float) -> float:
    """Return the probability of at least `hits` by chance: the tail of a Poisson distribution."""
    if expected > 100:
        return 0.5 * math.erfc((hits - 0.5 - expected) / math.sqrt(2 * expected))
    terms = (expected**count / math.factorial(count) for count in range(min(hits, 150)))
    return max(0.0, 1.0 - math.exp(-expected) * math.fsum(terms))


def _sample(digests: Digests, sampled: int) -> Digests:
    return (
        digests[(digests >> np.uint64(32)) < np.uint64(sampled)]
        if sampled < _ALL_HASHES
        else digests
    )


def _bit_positions(digests: Digests, size: int) -> NDArray[np.int64]:
    """Return the (N, `_HASHES`) bits of digests, by double hashing (Kirsch, Mitzenmacher 2006)."""
    mixed = digests * np.uint64(
        0x9E3779B97F4A7C15
    )  # so that the upper half varies even within a sample
    first, step = mixed >> np.uint64(32), mixed & np.uint64(0xFFFFFFFF) | np.uint64(1)
    rounds = np.arange(_HASHES, dtype=np.uint64)
    return ((first[:, None] + rounds * step[:, None]) % np.uint64(size)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class TrainingFingerprint:
    """The fingerprint of everything that a model was trained on, including held-out users.

    Attributes:
        users: The fingerprint of the user ids, as `digests.user_digest` hashes them.
        images: The fingerprint of the images, as `digests.image_digest` hashes them.
        manifests: The fingerprints of the manifests.
    """

    users: Fingerprint
    images: Fingerprint
    manifests: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the training fingerprint as JSON."""
        return {
            "users": self.users.to_dict(),
            "images": self.images.to_dict(),
            "manifests": list(self.manifests),
        }


def read_training_fingerprint(value: object, what: str) -> TrainingFingerprint:
    """Return what untrusted JSON describes, as `TrainingFingerprint.to_dict` wrote it.

    Raises:
        FieldError: A field is missing or of another type.
    """
    readers: Mapping[str, Reader] = {
        "users": read_fingerprint,
        "images": read_fingerprint,
        "manifests": list_of(text),
    }
    found = read_known(value, what, readers, tuple(readers))
    return TrainingFingerprint(found["users"], found["images"], tuple(found["manifests"]))
