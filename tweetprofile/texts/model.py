"""A linear model of the n-grams of a user's texts: a vector of logits per trait.

Counts become term weights (1 + log count) times the inverse document frequency of the n-gram
(sublinear TF-IDF); the vector of each block of n-grams is scaled to length 1.

Shapes: F n-grams that the model knows, J n-grams that occur in a user's texts, K classes of all
traits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tweetprofile.texts.ngrams import NgramCounts
from tweetprofile.texts.spec import TextSpec


@dataclass(frozen=True, kw_only=True)
class TermWeights:
    """Which n-grams count, and how much.

    Attributes:
        spec: Which n-grams are counted.
        buckets_F: The buckets of the n-grams that count, uint32, in rising order.
        idf_F: The inverse document frequency of each, float32.
    """

    spec: TextSpec
    buckets_F: NDArray[np.uint32] = field(repr=False)
    idf_F: NDArray[np.float32] = field(repr=False)

    @cached_property
    def _positions(self) -> NDArray[np.int32]:
        """The position of each bucket among those that count; -1 for the others."""
        positions = np.full(self.spec.buckets, -1, np.int32)
        positions[self.buckets_F] = np.arange(len(self.buckets_F), dtype=np.int32)
        return positions

    @cached_property
    def block_starts(self) -> tuple[int, ...]:
        """The position of the first n-gram of each block among those that count."""
        starts = np.searchsorted(self.buckets_F, np.array(self.spec.starts, np.uint32))
        return tuple(starts.tolist())

    def weigh(self, counts: NgramCounts) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the positions of the n-grams that occur and count, in rising order, and weights.

        The weights of each block have length 1, unless there are none.
        """
        positions_J = self._positions[counts.buckets_J]
        known_J = positions_J >= 0
        positions_J = positions_J[known_J]
        values_J = _TERM_FREQUENCIES[np.minimum(counts.counts_J[known_J], _LARGEST_COUNT)]
        values_J = values_J * self.idf_F[positions_J]
        starts = np.searchsorted(positions_J, self.block_starts)
        for start, end in zip(starts, np.append(starts[1:], len(positions_J)), strict=True):
            block = values_J[start:end]
            if len(block):
                block /= np.sqrt(np.square(block, dtype=np.float64).sum())
        return positions_J, values_J


_LARGEST_COUNT = 0xFFFF
_TERM_FREQUENCIES = np.concatenate(
    [[0], 1 + np.log(np.arange(1, _LARGEST_COUNT + 1, dtype=np.float64))]
).astype(np.float32)
"""The weight of an n-gram by its count, before its inverse document frequency."""


@dataclass(frozen=True, kw_only=True)
class TextModel:
    """A trained model of texts.

    Attributes:
        terms: Which n-grams count.
        classes: The number of classes by trait; the traits are in the order of the columns.
        weights_FK: The weight of each n-gram for each class, float16.
        biases_K: The bias of each class, float32.
    """

    terms: TermWeights
    classes: Mapping[str, int]
    weights_FK: NDArray[np.float16] = field(repr=False)
    biases_K: NDArray[np.float32] = field(repr=False)

    @cached_property
    def _fast_weights(self) -> NDArray[np.float32]:
        return self.weights_FK.astype(np.float32)

    def logits(self, counts: NgramCounts) -> dict[str, NDArray[np.float32]]:
        """Return the logits (K,) of each trait for a user with these counts."""
        positions_J, values_J = self.terms.weigh(counts)
        weights_JK = self._fast_weights.take(positions_J, axis=0)  # twice as fast as an index
        # BLAS may add up in another order with other numbers of threads.
        sums_K = np.einsum("j,jk->k", values_J, weights_JK) + self.biases_K
        ends = np.cumsum(list(self.classes.values()))[:-1]
        return dict(zip(self.classes, np.split(sums_K, ends), strict=True))
