"""Makes a page to browse, and shows how far it is and what is on it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tweetprofile.browsing.options import BrowseOptions, BrowseSummary
from tweetprofile.browsing.run import browse_profiles
from tweetprofile.cli.console import CONSOLE, make_bar
from tweetprofile.cli.flags import with_flags
from tweetprofile.cli.interruptions import interruptions
from tweetprofile.plurals import count_of


def browse(
    profiles: str, manifest: str, folder: Path, options: BrowseOptions, *, quiet: bool
) -> None:
    """Make a page, and show what is on it."""
    with (
        interruptions(lambda: "interrupted; run the command again."),
        _progress(quiet=quiet) as on_user,
    ):
        summary = browse_profiles(profiles, manifest, folder, options, on_user=on_user)
    if not quiet:
        _show(summary)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, and nothing elsewhere or if quiet."""
    if quiet or not CONSOLE.is_animated:
        yield lambda done, total: None
        return
    with make_bar() as bar:
        task = bar.add_task("users", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(summary: BrowseSummary) -> None:
    for note in summary.notes:
        CONSOLE.print(with_flags(note))
    unusable = f", {count_of(summary.failed, 'unusable image')} marked" if summary.failed else ""
    CONSOLE.print(
        f"{summary.users:,} of {count_of(summary.of, 'user')}, "
        f"{count_of(summary.images, 'thumbnail')}{unusable} -> {summary.page}"
    )
