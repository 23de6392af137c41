"""Whether the output that a page shows below a command is what the command prints.

The output is that on a terminal of 80 columns, and what the page shows of it is compared word by
word:

- A line `...` stands for any number of lines, also none.
- A number with a decimal point stands for any such number, because the figures of a training and
  the rates of a machine vary. So do times (`12 s`), shares (`45%`), dates and checksums, and what
  the machine computes with.
- Whole numbers, which count users, images and epochs, must be right.
- The lengths of lines and bars do not matter, nor where lines are wrapped.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

import pytest

from tweetprofile.cli.console import CONSOLE, OUTPUT

WIDTH = 80
"""The columns of the terminal."""

_VARYING = (
    (r"\b[0-9a-f]{64}\b", "SHA256"),
    (r"\b[0-9a-f]{8}\.\.\.[0-9a-f]{8}\b|\b[0-9a-f]{32,63}\b", "SHA256"),
    (r"\b\d{4}-\d\d-\d\d( \d\d:\d\d UTC)?", "DATE"),
    (r"; bound by [a-z -]+: \d+% of the time", ""),
    (r"\bon \S+, (fp32|bf16), decoder \w+", "MACHINE"),
    (r"\d[\d,]*(\.\d+)?(?=%)", "N"),
    (r"\d[\d,]*(\.\d+)? s\b", "TIME"),
    (r"\d[\d,]*(\.\d+)?(?= (users|images)/s)", "N"),
    (r"\d[\d,]*\.\d+\*?", "N"),
    (r"[─━═┄┈╌-]{3,}", "LINE"),
    (r"[█▏#]+", "BAR"),
)


@contextmanager
def on_a_terminal(patch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    """Yield what the block prints on both streams, as a terminal of 80 columns shows it."""
    shown = StringIO()
    with patch.context() as narrow, redirect_stdout(shown), redirect_stderr(shown):
        for console in (CONSOLE, OUTPUT):
            narrow.setattr(console, "_width", WIDTH)
            narrow.setattr(console, "_force_terminal", True)
            narrow.setattr(console, "no_color", True)
            narrow.setitem(console._environ, "TERM", "dumb")
        yield shown


def differences(page: Sequence[str], printed: str) -> str | None:
    """Return what a page shows wrongly, in words; None if nothing is wrong.

    Args:
        page: The lines that the page shows; none if it shows no output.
        printed: What the command printed.
    """
    if not page:
        return None
    if (widest := max(map(len, page))) > WIDTH:
        return f"the page shows a line of {widest} columns; the terminal has {WIDTH}"
    words, place = _words(printed.splitlines()), 0
    parts = _parts(page)
    for number, part in enumerate(parts):
        is_first, is_last = number == 0, number == len(parts) - 1
        found = _find(part, words, place, at_end=is_last)
        if found is None or (is_first and found != 0):
            return f"the page shows {' '.join(part)!r}; the command printed:\n{printed}"
        place = found + len(part)
    return None


def _parts(page: Sequence[str]) -> list[list[str]]:
    """Return the words between lines that stand for others; a part may be empty."""
    parts: list[list[str]] = [[]]
    for line in page:
        if line.strip() == "...":
            parts.append([])
        else:
            parts[-1].append(line)
    return list(map(_words, parts))


def _find(part: Sequence[str], words: Sequence[str], place: int, *, at_end: bool) -> int | None:
    """Return where some words follow each other; None if they do not."""
    last = len(words) - len(part)
    for start in range(last if at_end else place, last + 1):
        if start >= place and words[start : start + len(part)] == part:
            return start
    return None


def _words(lines: Sequence[str]) -> list[str]:
    text = " ".join(" ".join(lines).split())
    for pattern, name in _VARYING:
        text = re.sub(pattern, name, text)
    return text.split()
