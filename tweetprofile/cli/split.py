"""`tweetprofile split`: splits a manifest into training, held-out and test users."""

from pathlib import Path
from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command, Section, option


@click.command(
    "split", cls=Command, short_help="Split a manifest into parts that share no user and no image."
)
@shared.manifest
@option(
    Section.OUTPUT,
    "--out",
    "-o",
    "folder",
    type=shared.FOLDER,
    metavar="FOLDER",
    help="Folder to write the parts to.  [default: the folder of MANIFEST, where image paths stay "
    "valid]",
)
@option(
    Section.SPLIT,
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SHARE",
    default=0.1,
    show_default=True,
    help="Share of the users to hold out from training; 0 for none.",
)
@option(
    Section.SPLIT,
    "--test",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SHARE",
    default=0.2,
    show_default=True,
    help="Share of the users to test on.",
)
@option(
    Section.SPLIT,
    "--folds",
    type=click.IntRange(2, 100),
    metavar="N",
    help="Write this many splits into training and test users instead, in which each user is "
    "tested once.",
)
@option(
    Section.SPLIT,
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Random seed of the split.",
)
@shared.image_root
@shared.overwrite
@shared.messages
def command(manifest: str, folder: Path | None, quiet: bool, **choices: Any) -> None:
    """Split the users of MANIFEST into MANIFEST.train, .validation and .test.

    \b
      tweetprofile split users.parquet
      tweetprofile train users.train.parquet --val users.validation.parquet -o run
      tweetprofile evaluate users.test.parquet --checkpoint run

    All images are read and compared by content. Users who share images stay in one part, and each
    part gets its share of every class. If an image would tie nearly all users together, the test
    users keep it and it is removed from the image lists of the others.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    from tweetprofile.cli.given import require_manifests

    require_manifests(manifest)

    from tweetprofile.cli import split_view as view
    from tweetprofile.cli.interruptions import interruptions
    from tweetprofile.splitting.run import SplitOptions, split_manifest

    options = SplitOptions(**choices)
    with (
        interruptions(lambda: "interrupted; nothing was written, run the command again."),
        view.split_progress(quiet=quiet) as on_progress,
    ):
        summary = split_manifest(manifest, folder, options, on_progress)
    if not quiet:
        view.show_split(summary)
