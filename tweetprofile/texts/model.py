"""A linear model of the n-grams of a user's texts: a vector of logits per trait.

Counts become term weights, 1 + log count or 2 count / (1 + count), times the inverse document
frequency of the n-gram; the vector of each block of n-grams is scaled to length 1.

Shapes: F n-grams that the model knows, J n-grams that occur in a user's texts, K classes of all
traits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tweetprofile.texts.ngrams import NgramCounts
from tweetprofile.texts.spec import Frequencies, TextSpec


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

    def counted(self, counts: NgramCounts) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
        """Return the positions, in rising order, and counts of the n-grams that count."""
        positions_J = self._positions[counts.buckets_J]
        known_J = positions_J >= 0
        return positions_J[known_J], counts.counts_J[known_J]

    def weigh(self, counts: NgramCounts) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the positions of the n-grams that occur and count, in rising order, and weights.

        The weights of each block have length 1, unless there are none.
        """
        positions_J, counts_J = self.counted(counts)
        values_J = _TERM_FREQUENCIES[self.spec.frequencies][np.minimum(counts_J, _LARGEST_COUNT)]
        values_J = values_J * self.idf_F[positions_J]
        starts = np.searchsorted(positions_J, self.block_starts)
        for start, end in zip(starts, np.append(starts[1:], len(positions_J)), strict=True):
            block = values_J[start:end]
            if len(block):
                block /= np.sqrt(np.square(block, dtype=np.float64).sum())
        return positions_J, values_J


_LARGEST_COUNT = 0xFFFF
_COUNTS = np.arange(1, _LARGEST_COUNT + 1, dtype=np.float64)
_TERM_FREQUENCIES: Mapping[Frequencies, NDArray[np.float32]] = {
    "logarithmic": np.append(0, 1 + np.log(_COUNTS)).astype(np.float32),
    "saturating": np.append(0, 2 * _COUNTS / (1 + _COUNTS)).astype(np.float32),
}
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
        return self._by_trait(sums_K)

    def contributions(
        self, counts: NgramCounts, texts: Sequence[NgramCounts]
    ) -> dict[str, NDArray[np.float32]]:
        """Return what each text of a user adds to the logits: (texts, K) by trait.

        What an n-gram adds is divided among the texts by how often it occurs in each, so that all
        of them and the biases add up to the logits.

        Args:
            counts: The counts of all texts together.
            texts: The counts of each text.
        """
        positions_J, values_J = self.terms.weigh(counts)
        added_JK = values_J[:, None] * self._fast_weights.take(positions_J, axis=0)
        found = [_places(self.terms.counted(each), positions_J) for each in texts]
        totals_J = np.zeros(len(positions_J))
        for places, often in found:
            totals_J[places] += often
        none = np.empty((0, added_JK.shape[1]), np.float32)
        rows = [
            np.einsum("j,jk->k", often / totals_J[places], added_JK[places])
            for places, often in found
        ]
        return self._by_trait(np.stack(rows).astype(np.float32) if rows else none)

    def _by_trait(self, values: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Divide the last axis, the classes of all traits, by trait."""
        ends = np.cumsum(list(self.classes.values()))[:-1]
        return dict(zip(self.classes, np.split(values, ends, axis=-1), strict=True))


def _places(
    counted: tuple[NDArray[np.int32], NDArray[np.uint16]], positions_J: NDArray[np.int32]
) -> tuple[NDArray[np.intp], NDArray[np.uint16]]:
    """Return where the n-grams of a text are among those of its user, and how often they occur."""
    positions, often = counted
    places = np.searchsorted(positions_J, positions)
    there = places < len(positions_J)
    there[there] = positions_J[places[there]] == positions[there]
    return places[there], often[there]
