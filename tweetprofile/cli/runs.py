"""`tweetprofile runs`: lists the runs of `train` with their scores side by side."""

from pathlib import Path
from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command, Section, option


@click.command("runs", cls=Command, short_help="List training runs with their scores.")
@click.argument("folder", type=shared.FOLDER)
@option(
    Section.OUTPUT,
    "--sort",
    metavar="COLUMN",
    default="mean",
    show_default=True,
    help="What to sort by: mean (of the traits' scores), name, date, users, or a trait. The best, "
    "newest and largest come first.",
)
@option(
    Section.OUTPUT,
    "--score",
    type=click.Choice(["macro-f1", "accuracy"]),
    default="macro-f1",
    show_default=True,
    help="Score of each trait to show.",
)
@option(Section.OUTPUT, "--json", "as_json", is_flag=True, help="Print JSON, with all scores.")
@option(
    Section.INPUT,
    "--depth",
    type=click.IntRange(0, 32),
    metavar="N",
    default=4,
    show_default=True,
    help="Levels of folders below FOLDER to search.",
)
@shared.messages
def command(folder: Path, as_json: bool, quiet: bool, **choices: Any) -> None:
    """List the runs of train in FOLDER and below it, with their scores side by side.

    \b
      tweetprofile runs .

    One row per run: its name, when it finished, the network or backbone, the number of training
    users, the epoch that was kept and the largest number of epochs (7/40), and the scores on the
    held-out users of the run. Runs that are unfinished or damaged are listed with the reason. Links
    and hidden folders are not followed.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    from tweetprofile.cli.given import require_paths

    require_paths(folder)

    from tweetprofile.cli import runs_view as view
    from tweetprofile.runs.listing import ListOptions, list_runs

    listed = list_runs(folder, ListOptions(**choices))
    if as_json:
        view.print_json(listed)
    else:
        view.show_runs(listed)
    if not quiet:
        view.show_left_out(listed.left_out)
