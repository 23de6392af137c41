"""The consoles that commands print to: results go to stdout, everything else to stderr.

Every printed string, tables included, may contain untrusted text. It is therefore never read as
markup, and characters that control a terminal are escaped.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any, TextIO, cast

from rich.console import Console, ConsoleDimensions, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
)
from rich.text import Text

from tweetprofile.cli import streams
from tweetprofile.cli.shortening import cut_middle
from tweetprofile.plurals import count_of, one_or_many
from tweetprofile.untrusted.text import LONGEST_LINE, printable

_SIZES = {"COLUMNS": range(20, 1001), "LINES": range(5, 1001)}
"""Plausible terminal sizes; shells that do not know theirs set `COLUMNS=0`."""


def _sane_environment() -> dict[str, str]:
    """Return the environment without implausible terminal sizes, and with TERM set."""
    environment = dict(os.environ)
    for name, sizes in _SIZES.items():
        value = environment.get(name, "")
        if not (value.isascii() and value.isdigit() and len(value) < 5 and int(value) in sizes):
            environment.pop(name, None)
    if not environment.get("TERM"):
        environment["TERM"] = "dumb"  # nothing is known about what it can do
    return environment


class SafeConsole(Console):
    """A console that shows every string as plain text, on a stream that may be closed or full.

    Args:
        stderr: Whether to print to stderr, where a failure is ignored, rather than to stdout.
        **options: Options of `rich.console.Console`.
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
        """The current stream."""
        stream = cast(TextIO, super().file)
        return cast(
            IO[str], streams.ErrorStream(stream) if self.stderr else streams.OutputStream(stream)
        )

    @file.setter
    def file(self, stream: IO[str]) -> None:
        self._file = stream

    @property
    def is_animated(self) -> bool:
        """Whether the stream is a terminal that can redraw lines."""
        return self.is_terminal and not self.is_dumb_terminal

    @property
    def size(self) -> ConsoleDimensions:
        """The size of the terminal; a file or a pipe has as many columns as the longest line."""
        size = super().size
        return ConsoleDimensions(LONGEST_LINE, size.height) if self.is_wide else size

    @size.setter
    def size(self, size: tuple[int, int]) -> None:
        self._width, self._height = size

    @property
    def is_wide(self) -> bool:
        """Whether nothing needs to be cut or wrapped, as in a file or a pipe.

        Programs read these, which need every name whole and a line per row. The environment
        variable COLUMNS sets another width.
        """
        return self._width is None and not self.is_terminal

    @property
    def soft_wrap(self) -> bool:
        """Whether lines stay whole, for programs that read them; people get them wrapped at words.

        The report on stdout is a page, which COLUMNS can make narrower.
        """
        return self.stderr and not self.is_terminal

    @soft_wrap.setter
    def soft_wrap(self, value: bool) -> None:
        pass  # rich sets it when a console is made

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as text for rich, unprintable characters escaped."""
        wanted = {
            name: options[name]
            for name in ("style", "justify", "overflow")
            if options.get(name) is not None
        }
        return self.text(text, **wanted)

    def text(self, text: str, style: str = "", **options: Any) -> Text:
        """Return styled text, with characters escaped that are unprintable or not encodable."""
        return Text(self.printable(text), style, **options)

    def printable(self, text: str) -> str:
        """Return text with characters escaped that are unprintable or not encodable."""
        encoding = self.encoding
        shown = printable(text, LONGEST_LINE)
        return shown.encode(encoding, "backslashreplace").decode(encoding)

    def cut(self, text: str, width: int) -> str:
        """Return printable text without its middle, if it is wider than `width` columns."""
        ellipsis = "…" if self.encoding.startswith("utf") else "..."
        return cut_middle(self.printable(text), width, ellipsis)

    def cut_name(self, name: str, width: int) -> str:
        """Return a name like `cut`, but whole in a file or a pipe."""
        return self.printable(name) if self.is_wide else self.cut(name, width)

    def warn(self, sentence: str) -> None:
        """Print a sentence that a person should read before trusting the result."""
        self.print(self.text("warning: ", "bold yellow") + self.text(sentence))

    def waiting(self, words: str) -> AbstractContextManager[object]:
        """Show on a terminal what is being waited for, until the `with` block ends."""
        if not self.is_animated:
            return nullcontext()
        spinner = "dots" if self.encoding.startswith("utf") else "line"
        return self.status(self.text(words), spinner=spinner)


CONSOLE = SafeConsole(stderr=True)
OUTPUT = SafeConsole()


def print_json(facts: Mapping[str, Any], indent: int = 2) -> None:
    """Print facts as JSON to stdout, in ASCII so that every terminal can show them."""
    output = streams.stdout()
    output.write(json.dumps(facts, indent=indent) + "\n")
    output.flush()


def images_beyond(number: int) -> str:
    """Say that some images were not read, because their users have too many."""
    return (
        f"{count_of(number, 'image')} beyond --max-images {one_or_many(number, 'was', 'were')} not "
        "read"
    )


def clock(seconds: float) -> str:
    """Return a duration as clocks show it: `0:07`, `12:30`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _CountColumn(ProgressColumn):
    """How much of a task is done, and how much there is in all if that is known."""

    def render(self, task: Task) -> Text:
        of = "" if task.total is None else f"/{int(task.total):,}"
        return Text(f"{int(task.completed):,}{of}", "green", no_wrap=True)


class _TimesColumn(ProgressColumn):
    """How long a task has taken, and how long it will still take."""

    max_refresh = 0.5  # the estimate would jump otherwise

    def render(self, task: Task) -> Text:
        elapsed = task.finished_time if task.finished else task.elapsed
        left = "" if task.time_remaining is None else f", {clock(task.time_remaining)} left"
        return Text(f"{clock(elapsed or 0)} elapsed{left}", "cyan", no_wrap=True)


class _Bars(Progress):
    """A bar per task, with the task's field `below` as a line below it."""

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            yield self.make_tasks_table([task])
            if below := task.fields.get("below"):
                yield CONSOLE.text(below, "dim", no_wrap=True, overflow="ellipsis")


def make_bar() -> Progress:
    """Return a progress bar that disappears at its end; a task may have a text `below` it."""
    return _Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),  # what the others leave of the terminal
        _CountColumn(),
        _TimesColumn(),
        console=CONSOLE,
        transient=True,
        expand=True,
    )


def kept_epochs(epochs: Sequence[object]) -> str:
    """Return which epochs of a training were kept, in few words."""
    if len(epochs) > _MOST_EPOCHS:
        return f"the best epoch of each of {len(epochs)} members"
    return f"epoch {' and '.join(map(str, epochs))}"


_MOST_EPOCHS = 3
