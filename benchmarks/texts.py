"""Measure what the texts of a user cost, against scikit-learn's analysers, on one core.

    OMP_NUM_THREADS=1 python benchmarks/texts.py
    OMP_NUM_THREADS=1 python benchmarks/texts.py --pan FOLDER    # PAN 2017, instead of drawn texts

Both count single words, pairs of words, and 3 to 5 characters. scikit-learn is measured twice:
`HashingVectorizer`, one for words and one for characters, which does the same work; and only the
analysers of a `CountVectorizer`, which yield the n-grams as Python strings without counting them.
"""

import statistics
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np
from numpy.typing import NDArray
from report import report
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

from tweetprofile.texts.model import TermWeights, TextModel
from tweetprofile.texts.ngrams import NgramCounts, count_ngrams
from tweetprofile.texts.spec import TextSpec

_CLASSES = {"gender": 2, "location": 7, "occupation": 8}
"""The traits of the model, whose weights are drawn; they cost as much as learned ones."""

_LETTERS = list("eeeeeaaaaoooossrrnniiiddlcctuumpbgvyqhfzjñxáéíóú")
_SIGNS = (",", ".", "!", "...", "😀", "❤", "#", "¿")

_WORDS: dict[str, Any] = {"analyzer": "word", "ngram_range": (1, 2)}
_CHARACTERS: dict[str, Any] = {"analyzer": "char", "ngram_range": (3, 5)}
"""The n-grams in the words of scikit-learn."""

Texts = Sequence[str]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Round:
    """One pass over the users, in milliseconds per user.

    Attributes:
        counting: What tweetprofile takes to count n-grams.
        predicting: What its model takes from counts to logits.
        hashing: What scikit-learn takes to count hashed n-grams.
        analysers: What scikit-learn's analysers take, which only yield n-grams.
    """

    counting: float
    predicting: float
    hashing: float
    analysers: float


@click.command()
@click.option(
    "--pan",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of XML files of PAN 2017; by default, texts are drawn.",
)
@click.option("--users", default=100, show_default=True, help="Users per round.")
@click.option("--texts", default=100, show_default=True, help="Texts per user.")
@click.option("--rounds", default=7, show_default=True, help="Passes over the users.")
def main(pan: Path | None, users: int, texts: int, rounds: int) -> None:
    """Measure milliseconds per user, for n-grams and for a prediction."""
    every = draw_users(users, texts) if pan is None else read_users(pan, users, texts)
    lengths = [len(text) for own in every for text in own]
    passes = measure(every, rounds)
    settings: dict[str, object] = {
        "pan": pan is not None,
        "users": len(every),
        "texts_per_user": len(lengths) / len(every),
        "characters_per_text": statistics.mean(lengths),
        "rounds": rounds,
    }
    show(passes, settings)


def draw_users(users: int, texts: int) -> list[Texts]:
    """Draw users who write invented words, frequent and rare ones as in any language."""
    random = np.random.default_rng(0)
    lengths = random.integers(1, 11, 30_000)
    words = ["".join(random.choice(_LETTERS, length)) for length in lengths]
    chances = 1 / np.arange(5, len(words) + 5)  # the law of Zipf and Mandelbrot
    chances /= chances.sum()
    return [[_draw_text(words, chances, random) for _ in range(texts)] for _ in range(users)]


def _draw_text(words: list[str], chances: NDArray[np.float64], random: np.random.Generator) -> str:
    """Draw a text of some 87 characters, as long as the tweets of PAN 2017."""
    drawn = random.choice(words, random.integers(4, 20), p=chances).tolist()
    extra = random.random(4)
    if extra[0] < 0.4:
        drawn.append(f"https://t.co/{''.join(random.choice(_LETTERS[:40], 10))}")
    if extra[1] < 0.4:
        drawn.insert(0, f"@{random.choice(words)}")
    if extra[2] < 0.5:
        drawn.append(str(random.choice(_SIGNS)))
    if extra[3] < 0.5:
        drawn[0] = drawn[0].capitalize()
    return " ".join(drawn)


def read_users(folder: Path, users: int, texts: int) -> list[Texts]:
    """Read the texts of the first users of a folder."""
    paths = sorted(folder.glob("*.xml"))[:users]
    if not paths:
        raise click.ClickException(f"{folder} holds no XML file; name the folder of PAN 2017.")
    return [
        [document.text or "" for document in ET.parse(path).getroot().iter("document")][:texts]
        for path in paths
    ]


def measure(every: Sequence[Texts], rounds: int) -> list[Round]:
    """Pass over the users several times, each contender in turn; the first pass does not count."""
    spec = TextSpec()
    counted = [count_ngrams(texts, spec) for texts in every]
    model = draw_model(spec, counted)
    hash_ngrams, analyse = hashing(spec), analysers()
    passes = [
        Round(
            counting=_milliseconds(lambda texts: count_ngrams(texts, spec), every),
            predicting=_milliseconds(model.logits, counted),
            hashing=_milliseconds(hash_ngrams, every),
            analysers=_milliseconds(analyse, every),
        )
        for _ in range(rounds + 1)
    ]
    return passes[1:]


def _milliseconds(call: Callable[[Item], object], items: Sequence[Item]) -> float:
    began = time.perf_counter()
    for item in items:
        call(item)
    return 1e3 * (time.perf_counter() - began) / len(items)


def draw_model(spec: TextSpec, counted: Sequence[NgramCounts]) -> TextModel:
    """Draw the weights of a model that knows the n-grams of at least two users."""
    random = np.random.default_rng(0)
    occurring = np.concatenate([counts.buckets_J for counts in counted])
    buckets, frequencies = np.unique(occurring, return_counts=True)
    buckets = buckets[frequencies >= 2].astype(np.uint32)
    idf = random.uniform(1, 6, len(buckets)).astype(np.float32)
    classes = sum(_CLASSES.values())
    return TextModel(
        terms=TermWeights(spec=spec, buckets_F=buckets, idf_F=idf),
        classes=_CLASSES,
        weights_FK=random.normal(size=(len(buckets), classes)).astype(np.float16),
        biases_K=np.zeros(classes, np.float32),
    )


def hashing(spec: TextSpec) -> Callable[[Texts], None]:
    """Return scikit-learn's hashed counts, with as many buckets as ours."""
    _, pairs, characters = (block.buckets for block in spec.blocks)
    vectorizers = [
        HashingVectorizer(n_features=buckets, norm=None, alternate_sign=False, **ngrams)
        for buckets, ngrams in ((pairs, _WORDS), (characters, _CHARACTERS))
    ]

    def count(texts: Texts) -> None:
        joined = "\n".join(texts)
        for vectorizer in vectorizers:
            vectorizer.transform([joined])

    return count


def analysers() -> Callable[[Texts], None]:
    """Return scikit-learn's analysers of words and pairs of words, and of 3 to 5 characters."""
    words = CountVectorizer(**_WORDS).build_analyzer()
    characters = CountVectorizer(**_CHARACTERS).build_analyzer()

    def analyse(texts: Texts) -> None:
        joined = "\n".join(texts)
        words(joined)
        characters(joined)

    return analyse


def show(passes: Sequence[Round], settings: dict[str, object]) -> None:
    """Print the medians, with the fastest and slowest pass, and the median of the ratios."""
    figures = {
        "tweetprofile, n-grams": [each.counting for each in passes],
        "tweetprofile, counts to logits": [each.predicting for each in passes],
        "scikit-learn, hashed n-grams": [each.hashing for each in passes],
        "scikit-learn, analysers alone": [each.analysers for each in passes],
    }
    ratios = {
        "hashed n-grams": [each.hashing / each.counting for each in passes],
        "analysers alone": [each.analysers / each.counting for each in passes],
    }
    rows = [
        (name, f"{statistics.median(own):.2f}", f"{min(own):.2f} to {max(own):.2f}")
        for name, own in figures.items()
    ]
    rows += [
        (f"ratio, {name}", f"{statistics.median(own):.1f}", f"{min(own):.1f} to {max(own):.1f}")
        for name, own in ratios.items()
    ]
    report(
        "texts of a user on one core",
        ("", "ms per user", "lowest to highest"),
        rows,
        {"settings": settings, "milliseconds": figures, "ratios": ratios},
    )


if __name__ == "__main__":
    main()
