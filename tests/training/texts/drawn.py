"""Users with drawn texts: invented words, some of which are more frequent in one class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tweetprofile.texts.model import TermWeights
from tweetprofile.texts.ngrams import count_ngrams
from tweetprofile.texts.spec import NgramBlock, TextSpec
from tweetprofile.training.texts.counts import TextCounts
from tweetprofile.training.texts.weighted import Weighted

SPEC = TextSpec(
    (NgramBlock("word", 1, 1, 12), NgramBlock("word", 2, 2, 13), NgramBlock("character", 3, 4, 14))
)
"""Fewer buckets than by default, so that tests are fast."""


def draw_texts(
    labels_N: Sequence[int] | NDArray[np.int64], seed: int = 0, *, texts: int = 6
) -> list[list[str]]:
    """Draw the texts of users; each class prefers words of its own, a little."""
    random = np.random.default_rng(seed)
    words = ["".join(random.choice(list("aeiostrlnm"), 5)) for _ in range(120)]
    every = []
    for label in np.asarray(labels_N).tolist():
        chances = np.ones(len(words))
        chances[label * 10 : label * 10 + 10] = 2.5
        drawn = random.choice(words, (texts, 8), p=chances / chances.sum())
        every.append([" ".join(row) for row in drawn])
    return every


def counts_of(users: Sequence[Sequence[str]], spec: TextSpec = SPEC) -> TextCounts:
    """Count the n-grams of users, without a cache."""
    every = [count_ngrams(texts, spec) for texts in users]
    lengths = [len(each.buckets_J) for each in every]
    return TextCounts(
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        texts=np.array([len(texts) for texts in users]),
        buckets_J=np.concatenate([each.buckets_J for each in every]),
        counts_J=np.concatenate([each.counts_J for each in every]),
    )


def terms_of(counts: TextCounts, spec: TextSpec = SPEC) -> TermWeights:
    """Let all n-grams that occur count, each with a weight of its own."""
    buckets = np.unique(counts.buckets_J)
    idf = np.random.default_rng(0).uniform(1, 5, len(buckets)).astype(np.float32)
    return TermWeights(spec=spec, buckets_F=buckets, idf_F=idf)


def weigh(counts: TextCounts, terms: TermWeights, folder: Path) -> Weighted:
    """Weigh the n-grams of all users."""
    folder.mkdir(exist_ok=True)
    return Weighted.of(counts, np.arange(len(counts)), terms, folder)


def dense(weighted: Weighted) -> NDArray[np.float64]:
    """Return the matrix of weights."""
    matrix = np.zeros((len(weighted), weighted.terms))
    for row in range(len(weighted)):
        positions, values = weighted.of_user(row)
        matrix[row, positions] = values
    return matrix
