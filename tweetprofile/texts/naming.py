"""Find out which n-grams buckets stand for, in texts that have them.

A model keeps buckets only. Whoever has texts can look there for what the buckets stand for.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tweetprofile.texts.ngrams import Units, bucket_numbers, pieces_of
from tweetprofile.texts.normalising import END, LINK, MENTION
from tweetprofile.texts.spec import NgramBlock, TextSpec

_SHOWN = {LINK: "<link>", MENTION: "<mention>", END: "<end>"}
"""What stands for characters that normalising puts in the place of others."""


def name_ngrams(
    texts: Iterable[str],
    spec: TextSpec,
    buckets_W: NDArray[np.uint32],
    profile: Mapping[str, str] | None = None,
) -> dict[int, str]:
    """Return the first n-gram of some texts in each of the wanted buckets that they have.

    Args:
        texts: The texts of a user.
        spec: How to normalise them, and which n-grams to count.
        buckets_W: The wanted buckets, in rising order.
        profile: The fields of the user's profile, of which the spec may name some.
    """
    found: dict[int, str] = {}
    for piece, source in pieces_of(texts, spec, profile or {}):
        units = Units.of(piece, spec)
        for start, block in spec.blocks_of(source):
            for bucket, ngram in _in_block(units, block, start, buckets_W):
                found.setdefault(bucket, ngram)
    return found


def _in_block(
    units: Units, block: NgramBlock, start: int, buckets_W: NDArray[np.uint32]
) -> Iterator[tuple[int, str]]:
    """Yield the wanted buckets of a block that a piece has, each with one of its n-grams."""
    if not len(buckets_W):
        return
    for length, there, hashes in units.ngrams(block):
        buckets = bucket_numbers(hashes, block) + np.uint32(start)
        places = np.searchsorted(buckets_W, buckets)
        places[places == len(buckets_W)] = 0
        wanted = np.flatnonzero(buckets_W[places] == buckets)
        positions = np.flatnonzero(there)
        for bucket, first in zip(*np.unique(buckets[wanted], return_index=True), strict=True):
            begin = positions[wanted[first]]
            yield int(bucket), _shown(units, block, int(begin), length)


def _shown(units: Units, block: NgramBlock, begin: int, length: int) -> str:
    """Return an n-gram as people read it."""
    end = begin + length
    if block.unit == "word":
        starts = units.starts_W
        begin, end = starts[begin], starts[end] if end < len(starts) else len(units.codes_L)
    ngram = units.codes_L[begin:end].tobytes().decode("utf-32-le")
    if block.unit == "word":
        ngram = ngram.strip(" ")
    for character, name in _SHOWN.items():
        ngram = ngram.replace(character, name)
    return ngram
