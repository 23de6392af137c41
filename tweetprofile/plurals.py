"""Counts and lists in messages: `1 user has`, `2,000 users have`, `name, place and work`."""

from collections.abc import Sequence


def count_of(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: `1 user`, `2,000 users`.

    Args:
        number: The number.
        one: The noun for one.
        many: The noun for any other number; None for that of one with an s.
    """
    return f"{number:,} {one_or_many(number, one, many or one + 's')}"


def one_or_many(number: int, one: str, many: str) -> str:
    """Return the word that fits a number: `has` or `have`."""
    return one if number == 1 else many


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: `name`, `name and place`, `name, place and work`."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
