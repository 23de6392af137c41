"""Shows the progress of `split`, and what each part contains."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tweetprofile.cli.console import CONSOLE, make_bar
from tweetprofile.plurals import count_of, one_or_many
from tweetprofile.splitting.run import SplitSummary

_CLASSES_SHOWN = 6


@contextmanager
def split_progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal, and nothing elsewhere or if quiet."""
    if quiet or not CONSOLE.is_animated:
        yield lambda users, total: None
        return
    with make_bar() as bar:
        task = bar.add_task("comparing images", total=None)
        yield lambda users, total: bar.update(task, completed=users, total=total)


def show_split(summary: SplitSummary) -> None:
    """Show how users and images were divided, then one line per part."""
    CONSOLE.print(
        f"{count_of(summary.users, 'user')} in {count_of(summary.groups, 'group')} that share no "
        f"image with each other; {count_of(summary.shared, 'image')} of several users, counting "
        "unusable files",
    )
    if summary.unreadable:
        CONSOLE.warn(
            f"{summary.unreadable:,} of the images could not be read under "
            f"{summary.folder} (--image-root) and were compared by path",
        )
    for part in summary.parts:
        traits = []
        for trait, classes in part.classes.items():
            shown = [f"{name} {count:,}" for name, count in classes.items()]
            more = f", and {len(shown) - _CLASSES_SHOWN} more" * (len(shown) > _CLASSES_SHOWN)
            traits.append(f"{trait}: {', '.join(shown[:_CLASSES_SHOWN])}{more}")
        CONSOLE.print(
            f"{count_of(part.users, 'user')} ({'; '.join(traits) or 'no labels'}) -> {part.path}"
        )
        if part.images_removed:
            CONSOLE.print(
                f"  {count_of(part.images_removed, 'image')} "
                f"{one_or_many(part.images_removed, 'was', 'were')} removed from their lists "
                "because held-out or test users have them too; "
                f"{count_of(part.emptied, 'user')} {one_or_many(part.emptied, 'has', 'have')} none "
                "left",
            )
    parts = {part.path.parent for part in summary.parts}
    if parts != {summary.folder}:
        CONSOLE.print(
            f"Image paths are still relative to {summary.folder}: give it as --image-root.",
        )
