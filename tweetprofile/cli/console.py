"""Where commands speak: data to stdout, everything else to stderr."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

CONSOLE = Console(stderr=True, highlight=False, soft_wrap=True)
OUTPUT = Console(highlight=False)


def count_of(number: int, noun: str) -> str:
    """`1 user`, `2,000 users`."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def make_bar(*texts: str) -> Progress:
    """A progress bar that goes when it is done, with further texts from its task's fields."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *(TextColumn(text) for text in texts),
        TimeRemainingColumn(),
        console=CONSOLE,
        transient=True,
    )
