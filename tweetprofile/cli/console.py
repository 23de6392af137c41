"""Where commands speak: data to stdout, everything else to stderr; nothing is printed elsewhere.

Every string that is printed, or stands in a table, is text that a stranger may have written: there
is no markup in it, and what would steer a terminal is escaped.
"""

import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any, TextIO, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tweetprofile.cli import streams
from tweetprofile.untrusted.text import LONGEST_LINE, printable

_SIZES = {"COLUMNS": range(20, 1001), "LINES": range(5, 1001)}
"""Sizes of a terminal that are believed; `COLUMNS=0` is set by shells that do not know theirs."""


def _sane_environment() -> dict[str, str]:
    """The environment, without sizes that no terminal has, and with a name for a nameless one."""
    environment = dict(os.environ)
    for name, sizes in _SIZES.items():
        value = environment.get(name, "")
        if not (value.isascii() and value.isdigit() and len(value) < 5 and int(value) in sizes):
            environment.pop(name, None)
    if not environment.get("TERM"):
        environment["TERM"] = "dumb"  # nobody says what it knows
    return environment


class SafeConsole(Console):
    """A console to which every string is text, on a stream that may be closed, full or plain.

    Args:
        stderr: whether it is standard error, which may fail, and not standard output.
        **options: rich's own.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        super().__init__(
            stderr=stderr,
            markup=False,
            emoji=False,
            highlight=False,
            _environ=_sane_environment(),
            **options,
        )

    @property
    def file(self) -> IO[str]:
        """The stream, as it is now."""
        stream = cast(TextIO, super().file)
        return cast(IO[str], streams.Talk(stream) if self.stderr else streams.Result(stream))

    @file.setter
    def file(self, stream: IO[str]) -> None:
        self._file = stream

    @property
    def is_animated(self) -> bool:
        """Whether what was drawn can be drawn over: a terminal that knows how."""
        return self.is_terminal and not self.is_dumb_terminal

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as rich shows it: as it is, without what is not for eyes."""
        wanted = {
            name: options[name]
            for name in ("style", "justify", "overflow")
            if options.get(name) is not None
        }
        return self.text(text, **wanted)

    def text(self, text: str, style: str = "", **options: Any) -> Text:
        """Text in a style, without what is not for eyes or not in the stream's encoding."""
        shown = printable(text, LONGEST_LINE)
        encoding = self.encoding
        shown = shown.encode(encoding, "backslashreplace").decode(encoding)
        return Text(shown, style, **options)

    def waiting(self, words: str) -> AbstractContextManager[object]:
        """Say on a terminal, for the time of a `with` block, what is waited for."""
        if not self.is_animated:
            return nullcontext()
        spinner = "dots" if self.encoding.startswith("utf") else "line"
        return self.status(self.text(words), spinner=spinner)


CONSOLE = SafeConsole(stderr=True, soft_wrap=True)
OUTPUT = SafeConsole()


def print_json(facts: Mapping[str, Any], indent: int = 2) -> None:
    """Facts as JSON on stdout, in ASCII, whatever the terminal can write."""
    output = streams.stdout()
    output.write(json.dumps(facts, indent=indent) + "\n")
    output.flush()


def count_of(number: int, noun: str) -> str:
    """`1 user`, `2,000 users`."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def make_bar(*texts: str) -> Progress:
    """A progress bar that goes when it is done, with further texts from its task's fields."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(text, markup=False) for text in texts),
        TimeRemainingColumn(),
        console=CONSOLE,
        transient=True,
    )
