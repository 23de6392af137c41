"""Weights are those of TF-IDF per block of n-grams, and logits their products with the model."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfTransformer

from tweetprofile.texts.model import TermWeights, TextModel
from tweetprofile.texts.ngrams import NgramCounts, count_ngrams
from tweetprofile.texts.spec import NgramBlock, TextSpec

SPEC = TextSpec((NgramBlock("word", 1, 1, 10), NgramBlock("character", 2, 3, 12)))


def draw_counts(users: int) -> list[NgramCounts]:
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("aeiost"), 4)) for _ in range(50)]
    return [
        count_ngrams([" ".join(random.choice(words, 20)) for _ in range(5)], SPEC)
        for _ in range(users)
    ]


def terms_of(every: Sequence[NgramCounts]) -> TermWeights:
    frequencies = np.zeros(SPEC.buckets, np.int64)
    for counts in every:
        frequencies[counts.buckets_J] += 1
    buckets = np.flatnonzero(frequencies)
    idf = np.log((1 + len(every)) / (1 + frequencies[buckets])) + 1
    return TermWeights(spec=SPEC, buckets_F=buckets.astype(np.uint32), idf_F=idf.astype(np.float32))


def test_weights_agree_with_scikit_learn_block_by_block() -> None:
    every = draw_counts(20)
    terms = terms_of(every)
    dense = np.zeros((len(every), SPEC.buckets))
    for row, counts in enumerate(every):
        dense[row, counts.buckets_J] = counts.counts_J
    for start, block in zip(SPEC.starts, SPEC.blocks, strict=True):
        columns = slice(start, start + block.buckets)
        transform = TfidfTransformer(sublinear_tf=True, smooth_idf=True, norm="l2")
        expected = transform.fit_transform(dense[:, columns]).toarray()
        found = np.zeros_like(dense)
        for row, counts in enumerate(every):
            positions, values = terms.weigh(counts)
            found[row, terms.buckets_F[positions]] = values
        assert np.allclose(found[:, columns], expected, atol=1e-6)


def test_saturating_frequencies_grow_to_twice_the_weight_of_a_single_one() -> None:
    terms = replace(terms_of(draw_counts(20)), spec=replace(SPEC, frequencies="saturating"))
    buckets = terms.buckets_F[:4]
    terms = replace(terms, buckets_F=buckets, idf_F=np.ones(4, np.float32))
    _, values = terms.weigh(NgramCounts(buckets, np.array([1, 2, 3, 65535], np.uint16)))
    assert values / values[0] == pytest.approx([1, 4 / 3, 3 / 2, 2], abs=1e-4)


def small_terms() -> TermWeights:
    """Two words and one n-gram of characters that count, with simple weights."""
    return TermWeights(
        spec=SPEC,
        buckets_F=np.array([3, 7, 1024 + 5], np.uint32),
        idf_F=np.array([1, 2, 4], np.float32),
    )


def counts_of(**counts: int) -> NgramCounts:
    buckets = [int(name[1:]) for name in counts]
    return NgramCounts(np.array(buckets, np.uint32), np.array([*counts.values()], np.uint16))


def test_the_weights_of_each_block_have_length_1() -> None:
    counts = counts_of(_3=1, _7=1, _1029=9)
    positions, values = small_terms().weigh(counts)
    assert positions.tolist() == [0, 1, 2]
    assert values == pytest.approx([1 / 5**0.5, 2 / 5**0.5, 1])


def test_a_count_weighs_one_more_than_its_logarithm() -> None:
    _, values = small_terms().weigh(counts_of(_3=65_535, _7=1))
    assert values[0] / values[1] == pytest.approx((1 + np.log(65_535)) / 2)


def test_ngrams_that_do_not_count_change_nothing() -> None:
    expected = small_terms().weigh(counts_of(_3=2, _7=1))
    found = small_terms().weigh(counts_of(_2=9, _3=2, _7=1, _8=1, _1023=3, _2000=1))
    assert [each.tolist() for each in found] == [each.tolist() for each in expected]


def test_the_first_ngram_of_each_block_is_known_even_for_blocks_without_any() -> None:
    assert small_terms().block_starts == (0, 2)
    without = TermWeights(
        spec=SPEC, buckets_F=np.array([5], np.uint32), idf_F=np.ones(1, np.float32)
    )
    assert without.block_starts == (0, 1)
    assert without.weigh(counts_of(_5=1, _1500=1))[1].tolist() == [1]


def model() -> TextModel:
    return TextModel(
        terms=small_terms(),
        classes={"gender": 2, "age": 3},
        weights_FK=np.arange(15).reshape(3, 5).astype(np.float16),
        biases_K=np.array([0.5, 0, 0, 0, -1], np.float32),
    )


def test_logits_are_the_weighted_sums_of_a_trait() -> None:
    logits = model().logits(counts_of(_7=4, _1029=1))
    assert list(logits) == ["gender", "age"]
    assert logits["gender"] == pytest.approx([5 + 10 + 0.5, 6 + 11])
    assert logits["age"] == pytest.approx([7 + 12, 8 + 13, 9 + 14 - 1])
    assert {each.dtype for each in logits.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("counts", [counts_of(), counts_of(_0=3, _4000=1)])
def test_without_an_ngram_that_counts_the_biases_decide(counts: NgramCounts) -> None:
    logits = model().logits(counts)
    assert logits["gender"].tolist() == [0.5, 0]
    assert logits["age"].tolist() == [0, 0, -1]
