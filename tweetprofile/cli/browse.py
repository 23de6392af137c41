"""`tweetprofile browse`: makes a page of users with their images, predictions and labels."""

from pathlib import Path
from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command, Section, option


@click.command(
    "browse", cls=Command, short_help="Look at users with their images and what was predicted."
)
@click.argument("profiles", callback=shared.check_names, shell_complete=shared.complete_files)
@option(
    Section.INPUT,
    "--manifest",
    "-m",
    required=True,
    metavar="MANIFEST",
    shell_complete=shared.complete_files,
    callback=shared.check_names,
    help="Manifest that was predicted, with the images.",
)
@option(
    Section.INPUT,
    "--labels",
    metavar="LABELS",
    shell_complete=shared.complete_files,
    callback=shared.check_names,
    help="Manifest with labels.  [default: the label columns of MANIFEST, if there are any]",
)
@option(
    Section.INPUT,
    "--sample",
    type=click.IntRange(min=0),
    metavar="N",
    help="Show N users, spread evenly over the manifest.  [default: 500, or none with --mistakes "
    "or --user]",
)
@option(
    Section.INPUT,
    "--mistakes",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    help="Show the N most confident mistakes of each trait, which needs labels.",
)
@option(
    Section.INPUT,
    "--user",
    "users",
    multiple=True,
    metavar="USER",
    help="Show the user with this id; can be repeated.",
)
@option(
    Section.OUTPUT,
    "--out",
    "-o",
    "folder",
    required=True,
    type=shared.PATH,
    metavar="FOLDER",
    help="Folder to write the page to; open index.html in it.",
)
@option(
    Section.OUTPUT,
    "--anonymous",
    is_flag=True,
    help="Number the users instead of naming their ids. Faces are not blurred.",
)
@option(
    Section.OUTPUT,
    "--texts",
    is_flag=True,
    help="Also show the texts that contributed most to a prediction, not only their positions.",
)
@option(
    Section.OUTPUT,
    "--thumbnail-side",
    type=click.IntRange(16, 512),
    metavar="PIXELS",
    default=128,
    show_default=True,
    help="Width and height of the thumbnails in pixels.",
)
@shared.image_root
@shared.detail("frame", "frame")
@shared.caps
@shared.stall_seconds
@shared.overwrite
@shared.messages
def command(
    profiles: str,
    manifest: str,
    folder: Path,
    users: tuple[str, ...],
    quiet: bool,
    **choices: Any,
) -> None:
    """Make a page to browse the users in PROFILES.

    \b
      tweetprofile browse profiles.parquet --manifest manifest.parquet -o page

    PROFILES is what predict has written, or a table of another program. Open FOLDER/index.html in a
    browser; it needs neither a server nor a network. It shows users with their images, the
    predicted classes with their probabilities, and the labels if there are any. Unusable images are
    marked with the reason. Users can be filtered, sorted and searched for, and a user's own view
    shows what each image contributed, if the profiles say so.

    The page shows images of people: keep it as confidential as the images themselves.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    from tweetprofile.browsing.options import PROFILES_FIRST, BrowseOptions
    from tweetprofile.cli.given import require_manifests
    from tweetprofile.evaluation.opening import open_manifest

    options = BrowseOptions(users=users, **choices)
    open_manifest(manifest, [profiles], PROFILES_FIRST)
    require_manifests(options.labels)

    from tweetprofile.cli import browse_view as view

    view.browse(profiles, manifest, folder, options, quiet=quiet)
