"""Count the n-grams of a user's texts, hashed into buckets, without a loop over characters.

Every character gets a random number of 64 bits. The hash of an n-gram is a polynomial of the
numbers of its units, so the hashes of all n-grams of a length are sums of shifted arrays. Nothing
that is kept tells which n-gram a bucket stands for.

Shapes: L characters, W words, J buckets that occur.
"""

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tweetprofile.texts.normalising import END, normalised_pieces
from tweetprofile.texts.spec import PROFILE_FIELDS, NgramBlock, Source, TextSpec

_BASE = np.uint64(0x9E3779B97F4A7C15)
"""The base of the polynomials: odd, and otherwise of no meaning."""

_LONGEST_WORD = 64
"""The number of characters of a word whose order counts; a longer one is rarely a word."""

_POWERS = np.cumprod(np.array([1] + [_BASE] * (_LONGEST_WORD - 1), np.uint64))

_CODE_POINTS = sys.maxunicode + 1

_SPACE, _WORD, _SYMBOL = 0, 1, 2
"""Kinds of characters. Each symbol, such as an emoji or a full stop, is a word of its own."""

_JOINERS = (0x200C, 0x200D, 0xFE0E, 0xFE0F)
"""Characters without a shape of their own, which choose or join the shapes of others."""

_CONTROLS = ("Cc", "Cf", "Cs")
"""Categories of characters that show nothing. Those that Unicode has not assigned yet are symbols,
since most will be emoji, and another version of Python may know them already."""

_MARKS_BELOW = 0x20000
"""All combining marks but variation selectors are below."""

_LARGEST_COUNT = 0xFFFF

_Occurrences = tuple[NDArray[np.uint32], NDArray[np.int64]]
"""Buckets in rising order, and how often each occurs."""


@dataclass(frozen=True, slots=True)
class NgramCounts:
    """How often n-grams occur in the texts of a user.

    Attributes:
        buckets_J: The buckets that occur, uint32, in rising order.
        counts_J: How often each occurs, uint16; at most 65,535.
    """

    buckets_J: NDArray[np.uint32]
    counts_J: NDArray[np.uint16]


def count_ngrams(
    texts: Sequence[str], spec: TextSpec, profile: Mapping[str, str] | None = None
) -> NgramCounts:
    """Count the n-grams of a user's texts.

    The result depends on nothing but the texts, the profile and the spec, to the last count.

    Args:
        texts: The texts of a user, in any order.
        spec: How to normalise them, and which n-grams to count.
        profile: The fields of the user's profile, of which the spec may name some.
    """
    found: list[_Occurrences] = []
    for piece, source in pieces_of(texts, spec, profile or {}):
        found.append(_buckets_of(piece, spec, source))
        # Merged only when what is new is as large as the rest, so that long texts take no longer
        # per character than short ones, and memory stays bounded.
        if sum(len(buckets) for buckets, _ in found[1:]) > len(found[0][0]):
            found = [_merged(found)]
    if not found:
        return NgramCounts(np.empty(0, np.uint32), np.empty(0, np.uint16))
    buckets_J, counts_J = _merged(found)
    return NgramCounts(buckets_J, np.minimum(counts_J, _LARGEST_COUNT).astype(np.uint16))


def _merged(found: Sequence[_Occurrences]) -> _Occurrences:
    """Return the buckets of several pieces, in rising order, and how often each occurs in all."""
    if len(found) == 1:
        return found[0]
    buckets = np.concatenate([each for each, _ in found]).astype(np.uint64)
    counts = np.concatenate([each for _, each in found]).astype(np.uint64)
    pairs = (buckets << np.uint64(32)) | counts  # sorted as one number, which is much faster
    pairs.sort()
    every = (pairs >> np.uint64(32)).astype(np.uint32)
    firsts = _firsts(every)
    sums = np.add.reduceat((pairs & np.uint64(0xFFFFFFFF)).astype(np.int64), firsts)
    return every[firsts], np.minimum(sums, _LARGEST_COUNT)


def _firsts(buckets: NDArray[np.uint32]) -> NDArray[np.intp]:
    """Return where each bucket comes first among buckets in rising order."""
    is_first = np.ones(len(buckets), bool)
    is_first[1:] = buckets[1:] != buckets[:-1]
    return np.flatnonzero(is_first)


def pieces_of(
    texts: Iterable[str], spec: TextSpec, profile: Mapping[str, str]
) -> Iterator[tuple[str, Source]]:
    """Yield what a spec counts of a user in normalised pieces, each with where it comes from."""
    for piece in normalised_pieces(texts if "texts" in spec.sources else (), spec):
        yield piece, "texts"
    for source, names in PROFILE_FIELDS.items():
        if source in spec.sources:
            counted = [name for name in names if name in spec.profile_fields and name in profile]
            fields = [_field(name, profile[name]) for name in counted]
            for piece in normalised_pieces(fields, spec):
                yield piece, source


def _field(name: str, text: str) -> str:
    """Return a field as it is counted: a screen name without its `@`, which makes it a mention."""
    return text.lstrip().removeprefix("@") if name == "screen_name" else text


def _buckets_of(piece: str, spec: TextSpec, source: Source) -> _Occurrences:
    """Return the buckets that occur in a piece, in rising order, and how often each occurs."""
    units = Units.of(piece, spec)
    found = []
    for start, block in spec.blocks_of(source):
        hashes = [np.empty(0, np.uint64), *(each for _, _, each in units.ngrams(block))]
        buckets = bucket_numbers(np.concatenate(hashes), block)
        buckets.sort()
        buckets += np.uint32(start)
        found.append(buckets)
    every = np.concatenate(found)
    firsts = _firsts(every)
    return every[firsts], np.diff(np.append(firsts, len(every)))


def bucket_numbers(hashes: NDArray[np.uint64], block: NgramBlock) -> NDArray[np.uint32]:
    """Return the bucket of each hash, counted from the first bucket of the block."""
    return (_mixed(hashes) >> np.uint64(64 - block.bits)).astype(np.uint32)


@dataclass(frozen=True, slots=True)
class Units:
    """The characters and words of a normalised piece of text.

    Attributes:
        codes_L: The code point of each character.
        numbers_L: The random number of each character.
        is_end_L: Which characters are ends of texts.
        words_W: A number per word.
        is_end_W: Which of them are the ends of texts instead.
        starts_W: The position of the first character of each word.
    """

    codes_L: NDArray[np.uint32]
    numbers_L: NDArray[np.uint64]
    is_end_L: NDArray[np.bool_]
    words_W: NDArray[np.uint64]
    is_end_W: NDArray[np.bool_]
    starts_W: NDArray[np.intp]

    @classmethod
    def of(cls, piece: str, spec: TextSpec) -> "Units":
        """Divide a normalised piece of text."""
        codes_L = np.frombuffer(piece.encode("utf-32-le", "replace"), np.uint32)
        codes_L = _with_short_runs(codes_L, spec.longest_run)
        numbers_L = _numbers()[codes_L]
        is_end_L = codes_L == ord(END)
        words_W, starts_W = _words(codes_L, numbers_L, is_end_L)
        return cls(codes_L, numbers_L, is_end_L, words_W, is_end_L[starts_W], starts_W)

    def ngrams(
        self, block: NgramBlock
    ) -> Iterator[tuple[int, NDArray[np.bool_], NDArray[np.uint64]]]:
        """Yield the n-grams of each length that do not reach across the end of a text.

        Words and pairs of words may begin or end with the end of a text, and so may characters, but
        a single unit must not be one.

        Yields:
            The length; whether there is an n-gram at each position; and the hashes of those that
            there are, in order.
        """
        units, is_end = self.numbers_L, self.is_end_L
        if block.unit == "word":
            units, is_end = self.words_W, self.is_end_W
        sums = units
        inner = np.zeros(len(units), bool)
        for length in range(1, min(block.longest, len(units)) + 1):
            count = len(units) - length + 1
            if length > 1:
                sums = sums[:count] + units[length - 1 :] * _POWERS[length - 1]
            if length > 2:
                inner = inner[:count] | is_end[length - 2 :][:count]
            if length >= block.shortest:
                there = ~(is_end if length == 1 else inner[:count])
                yield length, there, sums[there]


def _with_short_runs(codes_L: NDArray[np.uint32], longest: int) -> NDArray[np.uint32]:
    """Return characters without those that follow `longest` or more equal ones."""
    if len(codes_L) <= longest:
        return codes_L
    same = codes_L[1:] == codes_L[:-1]
    repeats = same[longest - 1 :].copy()
    for step in range(1, longest):
        repeats &= same[longest - 1 - step : len(same) - step]
    return np.concatenate([codes_L[:longest], codes_L[longest:][~repeats]])


def _words(
    codes_L: NDArray[np.uint32], numbers_L: NDArray[np.uint64], is_end_L: NDArray[np.bool_]
) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """Return a number for each word or end of a text, and the position of its first character."""
    kinds_L = _kinds()[codes_L]
    is_word_L = kinds_L == _WORD
    begins_L = is_word_L.copy()
    begins_L[1:] &= ~is_word_L[:-1]
    begins_L |= (kinds_L == _SYMBOL) | is_end_L
    starts_W = np.flatnonzero(begins_L)
    lengths_W = np.diff(np.append(starts_W, len(codes_L)))
    offsets_L = np.arange(len(codes_L)) - np.repeat(starts_W, lengths_W)
    terms_L = numbers_L * _POWERS[np.minimum(offsets_L, _LONGEST_WORD - 1)]
    terms_L[(kinds_L == _SPACE) & ~is_end_L] = 0
    return _mixed(np.add.reduceat(terms_L, starts_W)), starts_W


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return numbers whose every bit depends on all bits (as MurmurHash3 does at its end)."""
    mixed = numbers ^ (numbers >> np.uint64(33))
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    mixed ^= mixed >> np.uint64(33)
    return mixed


@cache
def _numbers() -> NDArray[np.uint64]:
    """Return a random number for each code point, the same on every machine."""
    return _mixed(np.arange(1, _CODE_POINTS + 1, dtype=np.uint64) * _BASE)


@cache
def _kinds() -> NDArray[np.uint8]:
    """Return the kind of each code point."""
    kinds = np.full(_CODE_POINTS, _SYMBOL, np.uint8)
    every = "".join(map(chr, range(_CODE_POINTS)))
    for kind, pattern in ((_WORD, r"\w+"), (_SPACE, r"\s+")):
        for match in re.finditer(pattern, every):
            kinds[match.start() : match.end()] = kind
    for code in range(_MARKS_BELOW):
        category = unicodedata.category(chr(code))
        if category[0] == "M":
            kinds[code] = _WORD
        elif category in _CONTROLS:
            kinds[code] = _SPACE
    kinds[list(_JOINERS)] = _SPACE
    return kinds
