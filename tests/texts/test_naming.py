"""Buckets are named by the n-grams that texts have in them."""

import numpy as np
import pytest

from tests.texts.test_ngrams import draw_texts
from tweetprofile.texts.naming import name_ngrams
from tweetprofile.texts.ngrams import count_ngrams
from tweetprofile.texts.spec import NgramBlock, TextSpec

SPEC = TextSpec((NgramBlock("word", 1, 2, 20), NgramBlock("character", 2, 3, 20)))
NOTHING = np.empty(0, np.uint32)


def named(texts: list[str]) -> dict[int, str]:
    return name_ngrams(texts, SPEC, count_ngrams(texts, SPEC).buckets_J)


def test_words_pairs_and_characters_are_named_as_they_are_normalised() -> None:
    found = set(named(["Sí, SOL"]).values())
    assert {"sí", ",", "sol", "sí,", ", sol", "<end>sí", "sol<end>"} <= found  # words and pairs
    assert {"so", "sol", "í, ", " so", "<end>s", "ol<end>"} <= found  # characters


def test_links_and_mentions_have_names() -> None:
    found = set(named(["@ada vea https://example.org/x"]).values())
    assert {"<mention>", "<link>", "vea <link>", "<mention> vea"} <= found


@pytest.mark.parametrize("seed", range(3))
def test_every_bucket_that_occurs_gets_a_name_that_leads_back_to_it(seed: int) -> None:
    texts = draw_texts(30, seed)
    counts = count_ngrams(texts, SPEC)
    found = name_ngrams(texts, SPEC, counts.buckets_J)
    assert sorted(found) == counts.buckets_J.tolist()
    words = [(bucket, name) for bucket, name in found.items() if bucket < 1 << 20]
    for bucket, name in words[:200]:
        if "<end>" not in name:
            assert bucket in count_ngrams([name], SPEC).buckets_J


def test_only_wanted_buckets_are_named() -> None:
    texts = ["el sol", "la luna"]
    wanted = count_ngrams(["sol"], TextSpec((SPEC.blocks[0],))).buckets_J
    assert "sol" in name_ngrams(texts, SPEC, wanted).values()
    assert "luna" not in name_ngrams(texts, SPEC, wanted).values()
    assert name_ngrams(texts, SPEC, NOTHING) == {}
    assert name_ngrams(["", "\ud800\0"], SPEC, wanted) == {}


def test_ngrams_of_profiles_are_named_in_profiles_only() -> None:
    spec = TextSpec((NgramBlock("word", 1, 1, 20), NgramBlock("word", 1, 1, 20, "names")))
    profile = {"name": "Ada"}
    wanted = count_ngrams([], spec, profile).buckets_J
    assert list(name_ngrams(["ada"], spec, wanted, profile).values()) == ["ada"]
    assert name_ngrams(["ada"], spec, wanted) == {}
