"""Cuts long names in their middle for tables, between words where possible."""

from collections.abc import Iterator
from itertools import accumulate, takewhile

from rich.cells import cell_len


def cut_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """Return text without its middle if it is too wide; its ends say most of a name.

    Both ends consist of whole words if each of them can keep a third of the room then.

    Args:
        text: The text.
        width: The largest width in columns of a terminal; some characters take two.
        ellipsis: What stands for the middle.
    """
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    if room < 2:
        return text[: _fitting(text, width)]

    def cost(ends: tuple[int, int]) -> tuple[int, int, int]:
        """Return how many words are cut, how much room is not used, and how uneven the ends are."""
        head, tail = ends
        cut = _is_within_word(text, head) + _is_within_word(text, len(text) - tail)
        return cut, room - _width(text, *ends), abs(head - tail)

    head, tail = min(_ends(text, room), key=cost)
    return text[:head] + ellipsis + text[len(text) - tail :]


def _ends(text: str, room: int) -> Iterator[tuple[int, int]]:
    """Yield sizes that the two ends may have, in characters."""
    least, backwards = room // 3, text[::-1]
    for head in range(_fitting(text, least), _fitting(text, room - least) + 1):
        longest = _fitting(backwards, room - cell_len(text[:head]))
        yield head, longest
        for tail in range(longest, _fitting(backwards, least) - 1, -1):
            if not _is_within_word(text, len(text) - tail):
                yield head, tail
                break


def _fitting(text: str, width: int) -> int:
    """Return how many of the first characters fit into a width."""
    return sum(1 for _ in takewhile(lambda total: total <= width, accumulate(map(cell_len, text))))


def _width(text: str, head: int, tail: int) -> int:
    return cell_len(text[:head]) + cell_len(text[len(text) - tail :])


def _is_within_word(text: str, place: int) -> bool:
    """Return whether a cut before this place is between two letters or digits."""
    return 0 < place < len(text) and text[place - 1 : place + 1].isalnum()
