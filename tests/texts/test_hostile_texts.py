"""No text crashes the counting, and none makes it slow or large."""

import subprocess
import sys

import numpy as np
import pytest

from tests.texts.counting import PAIRS, WORDS, counted
from tweetprofile.texts.ngrams import count_ngrams
from tweetprofile.texts.spec import TextSpec

SPEC = TextSpec()

HOSTILE = {
    "a NUL": "\0",
    "NULs between words": "uno\0dos\0\0tres",
    "half a surrogate pair": "\ud83d",
    "the other half first": "\ude00\ud83d",
    "right-to-left marks": "\u202euno\u202c \u200fdos\u2066",
    "a family of joined emoji": "👨\u200d👩\u200d👧\u200d👦",
    "a joiner alone": "\u200d",
    "a flag": "🇲🇽🇪",
    "a keycap": "1\ufe0f\u20e3",
    "combining marks without a letter": "\u0301" * 1000,
    "the last code point": "\U0010ffff",
    "not a character": "\ufffe\uffff",
    "the characters that stand for links and mentions": "\ue000\ue001",
    "a capital letter of two small ones": "İ" * 1000,
    "Arabic": "مرحبا",
    "Chinese": "你好世界",
    "an endless link": "https://" + "a" * 100_000,
    "many beginnings of links": "http" * 20_000,
    "many at signs": "@" * 100_000,
    "an endless word": "".join(map(chr, range(0x4E00, 0x9E00))),
    "line ends": "\r\n\v\f\x1c\x85\u2028",
    "one character": "a",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_counted_and_disturbs_no_other(name: str) -> None:
    text = HOSTILE[name]
    alone = counted([text])
    both = counted(["uno dos", text])
    expected = counted(["uno dos"])
    assert both == {
        each: alone.get(each, 0) + expected.get(each, 0) for each in alone.keys() | expected.keys()
    }


def test_no_texts_have_no_ngrams() -> None:
    for texts in ([], [""], ["   "], [" ", "\n\n", "\u3000"], [""] * 100_000):
        counts = count_ngrams(texts, SPEC)
        assert len(counts.buckets_J) == len(counts.counts_J) == 0
        assert counts.buckets_J.dtype == np.dtype(np.uint32)
        assert counts.counts_J.dtype == np.dtype(np.uint16)


def test_characters_that_show_nothing_are_no_words() -> None:
    for text in ("\0", "\u200d", "\u202e", "\u200f", "\ufe0f", "\ud83d\u200d"[1:]):
        assert counted([text], WORDS) == {}
        assert counted([f"uno{text} dos"], WORDS) == counted(["uno dos"], WORDS)


def test_each_emoji_of_a_sequence_is_a_word() -> None:
    assert counted(["👨\u200d👩\u200d👧"], WORDS) == counted(["👨 👩 👧"], WORDS)
    assert counted(["❤\ufe0f"], PAIRS) == counted(["❤"], PAIRS)


def test_half_a_surrogate_pair_counts_as_a_question_mark() -> None:
    assert counted(["uno \ud83d dos"]) == counted(["uno ? dos"])


def test_a_hundred_thousand_texts_are_counted() -> None:
    counts = counted([f"texto {number}" for number in range(100_000)], WORDS)
    assert max(counts.values()) == 65_535
    assert len(counts) > 99_000


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [
        # The buckets and counts of millions of different n-grams, and a copy to merge them.
        pytest.param(
            "random.integers(0x800, 0xD800, 3_500_000, np.uint32).tobytes().decode('utf-32-le')",
            500,
            marks=pytest.mark.slow,
        ),
        ("'a' * 10_000_000", 10),
        ("' ' * 10_000_000", 10),
        ("'\\ud800' * 3_500_000", 10),
    ],
)
def test_a_text_of_ten_megabytes_takes_bounded_memory(text: str, megabytes: int) -> None:
    code = f"""
import re
import numpy as np
from tweetprofile.texts.ngrams import count_ngrams
from tweetprofile.texts.spec import TextSpec
random = np.random.default_rng(0)
text = {text}
def peak():  # of this process alone; getrusage includes that of its parent
    return int(re.search(r'VmHWM:\\s+([0-9]+)', open('/proc/self/status').read())[1])
count_ngrams(['uno'], TextSpec())
open('/proc/self/clear_refs', 'w').write('5')  # the peak starts anew
before = peak()
count_ngrams([text], TextSpec())
print((peak() - before) / 1000)
"""
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert float(printed) < megabytes
