"""Counts of n-grams as a dictionary, and blocks with so many buckets that few are shared."""

from collections.abc import Sequence

from tweetprofile.texts.ngrams import count_ngrams
from tweetprofile.texts.spec import NgramBlock, TextSpec

DEFAULT = TextSpec()
WORDS = TextSpec((NgramBlock("word", 1, 1, 24),))
PAIRS = TextSpec((NgramBlock("word", 2, 2, 24),))
CHARACTERS = TextSpec((NgramBlock("character", 3, 5, 24),))


def counted(texts: Sequence[str], spec: TextSpec = DEFAULT) -> dict[int, int]:
    """Return how often each bucket occurs."""
    counts = count_ngrams(texts, spec)
    return dict(zip(counts.buckets_J.tolist(), counts.counts_J.tolist(), strict=True))
