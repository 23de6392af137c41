"""Shows the progress and the summary of `import`."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tweetprofile.cli.console import CONSOLE
from tweetprofile.cli.flags import with_flags
from tweetprofile.importers.run import ImportSummary
from tweetprofile.importers.skipped import MOST_LISTED
from tweetprofile.plurals import count_of

_LINE_EVERY = 30.0
"""Seconds between progress lines if there is no terminal."""

_REDRAW_EVERY = 0.2
"""Seconds between updates of the line on a terminal."""


@contextmanager
def import_progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a counting line on a terminal, or a line every 30 s elsewhere; nothing if quiet."""
    if quiet:
        yield lambda users, images: None
    elif CONSOLE.is_animated:
        with CONSOLE.status(CONSOLE.text("reading the dump ...")) as status:
            yield _every(_REDRAW_EVERY, lambda words: status.update(CONSOLE.text(words)))
    else:
        yield _every(_LINE_EVERY, CONSOLE.print)


def show_import(summary: ImportSummary) -> None:
    """Show what was imported: what was skipped first, the manifest last."""
    for remark in summary.remarks:
        CONSOLE.print(with_flags(remark))
    for words, count in sorted(summary.left_out.items()):
        CONSOLE.print(f"left out: {count:,} {with_flags(words)}")
    for reason, count in summary.skipped.items():
        first = summary.first_skipped[reason]
        CONSOLE.print(f"{reason}: {count:,}, first {first}")
    if summary.skipped_list is not None:
        lost = sum(summary.skipped.values())
        listed = "all" if lost <= MOST_LISTED else f"the first {MOST_LISTED:,} of {lost:,}"
        CONSOLE.print(f"{listed} that could not be imported are listed in {summary.skipped_list}")
    for note in summary.label_notes:
        CONSOLE.print(f"labels: {with_flags(note)}")
    for trait, users in summary.labelled.items():
        CONSOLE.print(f"{trait}: {users:,} of {count_of(summary.users, 'user')}")
    if summary.users_with_texts_only:
        CONSOLE.print(f"{count_of(summary.users_with_texts_only, 'user')} with texts only")
    taken = _counted(summary.users, summary.images)
    if summary.texts is not None:
        taken += f", {count_of(summary.texts, 'text')}"
    CONSOLE.print(f"{taken} -> {summary.out}")
    if summary.image_root is not None:
        CONSOLE.print(
            f"The images are in another folder: give --image-root {summary.image_root} to other "
            "commands.",
        )


def _every(seconds: float, say: Callable[[str], object]) -> Callable[[int, int], None]:
    last = time.monotonic()

    def report(users: int, images: int) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            say(_counted(users, images))

    return report


def _counted(users: int, images: int) -> str:
    return f"{count_of(users, 'user')}, {count_of(images, 'image')}"
