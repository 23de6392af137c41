"""Untrusted text, made safe to show: names, classes, paths, names of weights, messages.

A terminal obeys escape sequences, C1 controls and bidirectional overrides wherever they come from,
so none of them may reach it. Text that is escaped here is safe, whatever it held.
"""

LONGEST_SHOWN = 400
"""The largest number of characters in a value that are shown; nobody reads more."""

LONGEST_LINE = 4000
"""The largest number of characters in a sentence or a table cell; a path can have this many."""


def printable(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Return text with unprintable characters escaped, such as control and terminal codes.

    Line breaks are escaped, too, so that a name cannot add lines to the output.
    """
    shown = shorten(text, longest)
    if shown.isprintable():
        return shown
    return "".join(char if char.isprintable() else escape(char) for char in shown)


def escape(char: str) -> str:
    """Return a character as the escape sequence that Python uses for it."""
    return char.encode("unicode_escape").decode("ascii")


def shorten(text: str, longest: int) -> str:
    """Return text without its middle if it is too long; the ends of paths and ids say most."""
    if len(text) <= longest:
        return text
    kept = max(0, longest - 3)
    return f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"
