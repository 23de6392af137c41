"""Texts of a user, made alike where differences say little, and joined for counting.

Emoji stay as they are. So do letters with accents, which tell varieties of a language apart.
"""

import re
from collections.abc import Iterable, Iterator

from tweetprofile.texts.spec import TextSpec

END = "\n"
"""What stands before, between and after texts, so that no n-gram reaches from one into another."""

LINK, MENTION = "\ue000", "\ue001"
"""Characters for private use, which no writing system has; they take the place of a word."""

_LINKS = r"https?://\S+|www\.\S+"
_LOWER_LINKS = re.compile(_LINKS)  # three times as fast as the other
_ANY_LINKS = re.compile(_LINKS, re.IGNORECASE)
_MENTIONS = re.compile(r"@\w+")

_PIECE = 1 << 18
"""The number of characters that are counted at once, which bounds the memory of a user."""


def normalised_pieces(texts: Iterable[str], spec: TextSpec) -> Iterator[str]:
    """Yield the texts of a user, normalised and joined, in pieces of bounded size.

    A piece begins and ends with `END`. A text that is longer than a piece is divided.

    Args:
        texts: The texts.
        spec: How to normalise them.
    """
    joined: list[str] = []
    length = 0
    for text in texts:
        for start in range(0, len(text), _PIECE):
            part = " ".join(text[start : start + _PIECE].split())
            if not part:  # two ends in a row would count as a pair of words
                continue
            if length + len(part) > _PIECE and joined:
                yield _normalised(joined, spec)
                joined, length = [], 0
            joined.append(part)
            length += len(part)
    if joined:
        yield _normalised(joined, spec)


def _normalised(texts: list[str], spec: TextSpec) -> str:
    """Return texts, normalised and joined: each is a line."""
    joined = END.join(texts)
    if spec.lower:
        joined = joined.lower()
    if spec.hide_links:
        links = _LOWER_LINKS if spec.lower else _ANY_LINKS
        joined = links.sub(LINK, joined)
    if spec.hide_mentions:
        joined = _MENTIONS.sub(MENTION, joined)
    return f"{END}{joined}{END}"
