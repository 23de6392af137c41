"""Text that strangers wrote, made safe to show: names, classes, paths, weights' names, messages.

A terminal obeys escape sequences, C1 controls and bidirectional overrides wherever they come from,
so none of them may reach one; what is escaped here is text, whatever it held.
"""

LONGEST_SHOWN = 400
"""Characters; nobody reads more, whatever a manifest holds."""

LONGEST_LINE = 4000
"""Characters of a sentence, or of a cell of a table: a path can have so many."""


def printable(text: str, longest: int = LONGEST_SHOWN) -> str:
    """A text with everything escaped that is not for eyes: control and terminal codes above all.

    Line breaks are escaped, too: a name must not write lines of its own.
    """
    shown = shorten(text, longest)
    if shown.isprintable():
        return shown
    return "".join(char if char.isprintable() else escape(char) for char in shown)


def escape(char: str) -> str:
    """A character's number, as Python writes it."""
    return char.encode("unicode_escape").decode("ascii")


def shorten(text: str, longest: int) -> str:
    """A text with its middle left out where it is too long: ends tell most, of paths and ids."""
    if len(text) <= longest:
        return text
    kept = max(0, longest - 3)
    return f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"
