"""`tweetprofile split`: users to train on and users to measure with, who share no image."""

from pathlib import Path
from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command


@click.command(
    "split", cls=Command, short_help="Split a manifest into parts that share no user and no image."
)
@shared.manifest
@click.option(
    "--out",
    "-o",
    "folder",
    type=shared.FOLDER,
    metavar="FOLDER",
    help="Folder of the parts.  [default: the manifest's own, so that image paths hold]",
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the users to validate on; 0 for none.",
)
@click.option(
    "--test",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.2,
    show_default=True,
    help="Share of the users to test on.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 100),
    help="Write so many splits into train and test, in which each user is tested on once.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draw."
)
@shared.image_root
@shared.overwrite
@shared.talk
def command(manifest: str, folder: Path | None, quiet: bool, **choices: Any) -> None:
    """Split the users of MANIFEST into MANIFEST.train, .validation and .test.

    \b
    tweetprofile split dump/labelled.parquet
    tweetprofile train dump/labelled.train.parquet --val dump/labelled.validation.parquet -o run
    tweetprofile evaluate dump/labelled.test.parquet --checkpoint run

    Every image is read and compared by its content. Users who share images stay together, and each
    part gets its share of every class. An image that ties nearly all users together is left to
    the users who are tested on, and taken out of the lists of the others.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    from tweetprofile.cli import split_view as view
    from tweetprofile.cli.interruptions import interruptions
    from tweetprofile.splitting.run import SplitOptions, split_manifest

    options = SplitOptions(**choices)
    with (
        interruptions(lambda: "interrupted: nothing was written; run the command again."),
        view.split_progress(quiet=quiet) as on_progress,
    ):
        summary = split_manifest(manifest, folder, options, on_progress)
    if not quiet:
        view.show_split(summary)
