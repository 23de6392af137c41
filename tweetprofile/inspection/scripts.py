"""Tell the script that a text is written in: a coarse and honest hint at its language."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NO_LETTERS = "no letters"

_RANGES: dict[str, tuple[tuple[int, int], ...]] = {
    "Latin": (
        (0x41, 0x5A), (0x61, 0x7A), (0xAA, 0xAA), (0xBA, 0xBA), (0xC0, 0xD6), (0xD8, 0xF6),
        (0xF8, 0x24F), (0x1E00, 0x1EFF), (0xFF21, 0xFF3A), (0xFF41, 0xFF5A),
    ),
    "Greek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "Cyrillic": ((0x400, 0x52F), (0x1C80, 0x1C8F), (0x2DE0, 0x2DFF), (0xA640, 0xA69F)),
    "Hebrew": ((0x5D0, 0x5EA), (0xFB1D, 0xFB4F)),
    "Arabic": (
        (0x620, 0x65F), (0x66E, 0x6D3), (0x6D5, 0x6D5), (0x6FA, 0x6FF), (0x750, 0x77F),
        (0x8A0, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC),
    ),
    "Devanagari": ((0x900, 0x963), (0x970, 0x97F)),
    "Thai": ((0xE01, 0xE4E),),
    "Korean": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7A3)),
    "Japanese kana": ((0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F)),
    "Chinese characters": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF)),
    "another script": (
        (0x530, 0x58F), (0x700, 0x74F), (0x780, 0x7FF), (0x980, 0xDFF), (0xE80, 0x10FF),
        (0x1200, 0x1C7F), (0x1C90, 0x1CFF), (0x2C00, 0x2DDF), (0xA000, 0xA4FF), (0xAA00, 0xABEF),
    ),
}  # fmt: skip
"""Scripts by the ranges of their code points: whole blocks of Unicode, more or less."""

_NAMES = (NO_LETTERS, *_RANGES)

_NOT_WORDS = r"https?://\S+|www\.\S+|@\w+"
"""URLs and mentions, whose letters are Latin in every language."""

_CHARACTERS_AT_ONCE = 1 << 22


def _table() -> NDArray[np.uint8]:
    table = np.zeros(1 << 16, np.uint8)
    for number, ranges in enumerate(_RANGES.values(), 1):
        for first, last in ranges:
            table[first : last + 1] = number
    return table


_SCRIPT_OF = _table()


def scripts_of(texts: pa.LargeStringArray) -> tuple[list[str], NDArray[np.int64]]:
    """Return the script of most letters of each text, and each text's number of characters.

    URLs and mentions do not count.
    """
    words = pc.replace_substring_regex(texts, _NOT_WORDS, "")
    lengths = pc.utf8_length(words).to_numpy(zero_copy_only=False).astype(np.int64)
    found: list[str] = []
    start = 0
    while start < len(words):
        reached = np.cumsum(lengths[start:])
        count = max(1, int(np.searchsorted(reached, _CHARACTERS_AT_ONCE, "right")))
        part = "".join(words[start : start + count].to_pylist())
        points = np.frombuffer(part.encode("utf-32-le"), np.uint32)
        scripts = _SCRIPT_OF[np.where(points < len(_SCRIPT_OF), points, 0)].astype(np.int64)
        owners = np.repeat(np.arange(count), lengths[start : start + count])
        cells = np.bincount(owners * len(_NAMES) + scripts, minlength=count * len(_NAMES))
        letters = cells.reshape(count, len(_NAMES))[:, 1:]
        most = np.where(letters.any(axis=1), letters.argmax(axis=1) + 1, 0)
        found += [_NAMES[number] for number in most.tolist()]
        start += count
    return found, lengths
