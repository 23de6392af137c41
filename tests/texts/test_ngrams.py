"""The buckets count what a plain loop over words and characters counts."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.texts.counting import CHARACTERS, PAIRS, WORDS, counted
from tweetprofile.texts import normalising
from tweetprofile.texts.ngrams import count_ngrams
from tweetprofile.texts.spec import NgramBlock, TextSpec


def draw_texts(count: int, seed: int = 0) -> list[str]:
    """Draw texts of invented words, with accents, digits, signs and emoji between them."""
    random = np.random.default_rng(seed)
    words = [
        "".join(random.choice(list("aeiñóújkst0"), size)) for size in random.integers(1, 9, 60)
    ]
    signs = [",", "!", "...", "😀", "❤", "👍🏽", "#", "¿"]
    return [
        " ".join(random.choice(words + signs, length)) for length in random.integers(1, 15, count)
    ]


def plain_words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text)


def plain_ngrams(texts: Sequence[str], block: NgramBlock) -> Counter[tuple[str, ...]]:
    """Count n-grams one by one; each text begins and ends with an end, which is no word."""
    found: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        short = re.sub(r"(.)\1{3,}", r"\1\1\1", text)
        units = ["\n", *(plain_words(short) if block.unit == "word" else short), "\n"]
        for length in range(block.shortest, block.longest + 1):
            ngrams = (tuple(units[i : i + length]) for i in range(len(units) - length + 1))
            found.update(ngram for ngram in ngrams if ngram != ("\n",))
    return found


@pytest.mark.parametrize(
    "block",
    [
        NgramBlock("word", 1, 1, 24),
        NgramBlock("word", 2, 2, 24),
        NgramBlock("word", 1, 4, 24),
        NgramBlock("character", 1, 1, 22),
        NgramBlock("character", 3, 5, 24),
        NgramBlock("character", 2, 8, 24),
    ],
)
def test_counts_are_those_of_a_plain_loop(block: NgramBlock) -> None:
    texts = draw_texts(12, seed=1)
    expected = plain_ngrams(texts, block)
    assert sorted(counted(texts, TextSpec((block,))).values()) == sorted(expected.values())


def test_an_ngram_has_the_same_bucket_wherever_it_stands() -> None:
    assert counted(["uno"], WORDS).items() <= counted(["dos, uno tres"], WORDS).items()
    pair = counted(["uno dos"], PAIRS).keys() - counted(["uno", "dos"], PAIRS).keys()
    assert len(pair) == 1
    assert pair < counted(["tres uno dos"], PAIRS).keys()


def test_blocks_have_buckets_of_their_own() -> None:
    texts = draw_texts(20)
    blocks = [replace(part.blocks[0], bits=20) for part in (WORDS, PAIRS, CHARACTERS)]
    spec = TextSpec(tuple(blocks))
    expected = {
        start + bucket: count
        for start, part in zip(spec.starts, (TextSpec((each,)) for each in blocks), strict=True)
        for bucket, count in counted(texts, part).items()
    }
    assert counted(texts, spec) == expected
    assert list(counted(texts, spec)) == sorted(expected)


def test_characters_run_across_words_but_not_across_texts() -> None:
    within = counted(["uno dos"], CHARACTERS)
    apart = counted(["uno", "dos"], CHARACTERS)
    across = {"o d", "no d", "o do", "uno d", "no do", "o dos"} | {"no ", "uno ", " do", " dos"}
    across |= {"\nuno ", " dos\n"}
    ends = {"no\n", "uno\n", "\nuno\n", "\ndo", "\ndos", "\ndos\n"}
    assert len(within.keys() - apart.keys()) == len(across)
    assert len(apart.keys() - within.keys()) == len(ends)


def test_pairs_reach_the_ends_of_a_text_but_not_into_the_next() -> None:
    assert len(counted(["uno dos"], PAIRS)) == len({"\n uno", "uno dos", "dos \n"})
    apart = counted(["uno", "dos"], PAIRS)
    assert apart == counted(["uno"], PAIRS) | counted(["dos"], PAIRS)


def test_the_order_of_units_counts_and_that_of_texts_does_not() -> None:
    texts = [*draw_texts(50), "", "   ", "", "\n"]
    assert counted(["uno dos"], PAIRS) != counted(["dos uno"], PAIRS)
    assert counted(["ab"], WORDS) != counted(["ba"], WORDS)
    shuffled = np.random.default_rng(1).permutation(texts).tolist()
    assert counted(texts) == counted(shuffled) == counted(texts[::-1])


def test_a_combining_accent_belongs_to_its_word() -> None:
    assert len(counted(["cafe\u0301s"], WORDS)) == 1
    assert counted(["cafe\u0301s"], WORDS) != counted(["cafes"], WORDS)


def test_an_emoji_that_this_python_does_not_know_yet_is_a_word_too() -> None:
    newest = "\U0001fae8"  # of Unicode 15, which Python 3.11 lacks
    assert len(counted([f"hoy {newest}"], WORDS)) == 2
    assert counted([f"hoy{newest}"], WORDS) == counted([f"hoy {newest}"], WORDS)


@pytest.mark.parametrize("piece", [64, 1000])
def test_many_pieces_give_the_counts_of_one(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text[:60] for text in draw_texts(300)]
    whole = counted(texts)
    monkeypatch.setattr(normalising, "_PIECE", piece)
    assert counted(texts) == whole


def test_a_long_text_in_pieces_differs_at_the_seams_only(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(draw_texts(200))
    whole = counted([text])
    monkeypatch.setattr(normalising, "_PIECE", len(text) // 4)
    parts = counted([text])
    differing = sum(
        abs(whole.get(each, 0) - parts.get(each, 0)) for each in whole.keys() | parts.keys()
    )
    # A seam cuts a word, two pairs, and 2 + 3 + 4 n-grams of characters, and makes others.
    assert 0 < differing <= 4 * 40


def test_counts_stop_at_the_largest_of_their_type(monkeypatch: pytest.MonkeyPatch) -> None:
    for piece in (1 << 18, 5000):
        monkeypatch.setattr(normalising, "_PIECE", piece)
        assert list(counted(["uno"] * 70_000, WORDS).values()) == [65_535]


def test_other_bits_give_the_high_bits_of_the_same_hash() -> None:
    texts = draw_texts(10)
    fine = count_ngrams(texts, WORDS).buckets_J
    coarse = count_ngrams(texts, TextSpec((NgramBlock("word", 1, 1, 12),))).buckets_J
    assert np.unique(fine >> 12).tolist() == coarse.tolist()


def test_few_ngrams_share_a_bucket() -> None:
    texts = [f"palabra{number}" for number in range(20_000)]
    buckets = 1 << 18
    expected = buckets * (1 - (1 - 1 / buckets) ** len(texts))
    found = counted(texts, TextSpec((NgramBlock("word", 1, 1, 18),)))
    assert len(found) == pytest.approx(expected, rel=0.005)


def test_counts_are_the_same_on_every_machine() -> None:
    counts = count_ngrams(["¡Qué día! 😀", "hola @ana https://t.example"], TextSpec())
    total = int((counts.buckets_J.astype(np.uint64) * counts.counts_J).sum())
    assert (len(counts.buckets_J), total) == (69, 130_191_706)


def test_each_source_is_counted_in_blocks_of_its_own() -> None:
    words = TextSpec((NgramBlock("word", 1, 1, 20),))
    names = NgramBlock("word", 1, 1, 20, "names")
    spec = TextSpec((*words.blocks, names, replace(names, source="description")))
    profile = {"name": "Ada Lara", "screen_name": "ada", "description": "el sol"}

    def parts(texts: list[str], profile: dict[str, str]) -> list[dict[int, int]]:
        counts = count_ngrams(texts, spec, profile)
        found: list[dict[int, int]] = [{} for _ in spec.blocks]
        for bucket, count in zip(counts.buckets_J.tolist(), counts.counts_J.tolist(), strict=True):
            block = int(np.searchsorted(spec.starts, bucket, "right")) - 1
            found[block][bucket - spec.starts[block]] = count
        return found

    assert parts(["sol"], profile) == [
        counted(["sol"], words),
        counted(["Ada Lara", "ada"], words),
        counted(["el sol"], words),
    ]
    assert parts(["sol"], {}) == [counted(["sol"], words), {}, {}]


def test_a_spec_without_profiles_does_not_look_at_them() -> None:
    with_profile = count_ngrams(["sol"], WORDS, {"name": "Ada", "description": "luna"})
    assert with_profile.buckets_J.tolist() == count_ngrams(["sol"], WORDS).buckets_J.tolist()


def test_a_screen_name_counts_the_same_with_and_without_its_at_sign() -> None:
    spec = TextSpec((NgramBlock("character", 2, 3, 12, "names"),))
    plain = count_ngrams([], spec, {"name": "Ada", "screen_name": "adalara"})
    written = count_ngrams([], spec, {"name": "Ada", "screen_name": " @adalara"})
    assert written.buckets_J.tolist() == plain.buckets_J.tolist()


def test_fields_that_a_spec_does_not_name_are_not_counted() -> None:
    spec = TextSpec((NgramBlock("word", 1, 1, 12, "names"),), fields=("name",))
    both = count_ngrams([], spec, {"name": "Ada", "screen_name": "adalara"})
    assert both.buckets_J.tolist() == count_ngrams([], spec, {"name": "Ada"}).buckets_J.tolist()
