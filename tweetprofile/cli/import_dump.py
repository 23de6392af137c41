"""`tweetprofile import`: from what a crawler or a task's organisers left to a manifest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command


@click.group(
    "import",
    short_help="Make a manifest of a dump, as a crawler left it.",
    subcommand_metavar="LAYOUT SOURCE -o MANIFEST",
)
def command() -> None:
    """Make a manifest of a dump, as a crawler or the organisers of a task left it.

    Nothing is fetched from the network, and nothing of the dump is changed. What cannot be taken is
    counted on the screen and listed, with file and line, in a CSV file beside the manifest.

    'tweetprofile import LAYOUT --help' says what each layout is.
    """


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what every layout takes."""
    for option in reversed(
        (
            click.argument("source", type=shared.PATH),
            shared.output(
                "MANIFEST",
                "Parquet file to write; with --embed a folder, named with a '/' at its end.",
            ),
            click.option(
                "--labels",
                type=shared.FILE,
                metavar="TABLE",
                help="CSV or Parquet file with the column user_id and one a trait, of text, whole "
                "numbers, or true and false. The import fails if none of its users is in the dump.",
            ),
            click.option(
                "--min-images",
                type=click.IntRange(min=0),
                default=0,
                show_default=True,
                help="Leave users out who have fewer.",
            ),
            click.option(
                "--max-images",
                type=click.IntRange(min=1),
                metavar="N",
                help="Of each user, take the first N images.  [default: all]",
            ),
            click.option(
                "--embed",
                is_flag=True,
                help="Put the images themselves into the manifest, in files of some 512 MB: a few "
                "large files are read faster, and copied far faster, than millions of small ones.",
            ),
            click.option(
                "--max-image-bytes",
                type=click.IntRange(min=1),
                default=64 * 1024 * 1024,
                show_default=True,
                help="Larger files are not embedded.",
            ),
            shared.overwrite,
            shared.talk,
        )
    ):
        command = option(command)
    return command


@command.command(
    "folder", cls=Command, short_help="SOURCE/USER/IMAGE, or Hugging Face's ImageFolder."
)
@_shared
def folder(source: Path, out: str, quiet: bool, **choices: Any) -> None:
    """Take SOURCE/USER/IMAGE: a folder a user, in the order of names (2.jpg before 10.jpg).

    Where SOURCE has a metadata.csv, .jsonl or .parquet, as Hugging Face's ImageFolder, it decides:
    its columns are user_id, file_names (a list; or file_name, a row an image) and labels as text.
    """
    _import("folder", source, out, choices, quiet=quiet)


@command.command("pan18", cls=Command, short_help="The corpus of PAN's task of 2018.")
@_shared
def pan18(source: Path, out: str, quiet: bool, **choices: Any) -> None:
    """Take the corpus of PAN's author profiling task of 2018: one language, or a folder of them.

    Images are LANG/photo/ID/ID.0.jpeg and so on, labels 'ID:::male' lines of LANG/truth.txt or
    LANG/LANG.txt. The manifest gets the columns gender and language.
    """
    _import("pan18", source, out, choices, quiet=quiet)


@command.command("twitter-api", cls=Command, short_help="Tweets as JSON, and a folder of photos.")
@click.option(
    "--media-dir",
    type=shared.FOLDER,
    help="Folder of the photos, however deep.  [default: SOURCE's own folder]",
)
@_shared
def twitter_api(source: Path, out: str, quiet: bool, **choices: Any) -> None:
    """Take tweets as crawlers and scrapers keep them: a file of JSON, or a folder of such files.

    API v2 (twarc2), pages or flattened; API v1.1, searches and streams; GraphQL; snscrape,
    twscrape, twint, gallery-dl's notes; JSON lines, arrays or pretty-printed; plain, .gz, .bz2 or
    .zst. Photos are found by media key, whatever the downloader has added (ABC.jpg, ABC.jpg:orig,
    TWEET-ABC.jpg, ABC_large.jpg), or by tweet and place (TWEET_1.jpg), and put in the order of
    tweets. Photos of a retweet are its author's.
    """
    _import("twitter-api", source, out, choices, quiet=quiet)


@command.command("twitter-archive", cls=Command, short_help="Archives that account owners get.")
@_shared
def twitter_archive(source: Path, out: str, quiet: bool, **choices: Any) -> None:
    """Take the archive that Twitter sends to an account's owner, unpacked; or a folder of them.

    That is data/account.js, data/tweets.js with its further parts, and data/tweets_media; older
    archives have other names. Several archives of an account become one user.
    """
    _import("twitter-archive", source, out, choices, quiet=quiet)


def _import(layout: Any, source: Path, out: str, choices: dict[str, Any], *, quiet: bool) -> None:
    from tweetprofile.cli import import_view as view
    from tweetprofile.cli.interruptions import interruptions
    from tweetprofile.importers.run import ImportOptions, import_dump

    with (
        interruptions(lambda: "interrupted; nothing was written, run the command again."),
        view.import_progress(quiet=quiet) as on_progress,
    ):
        summary = import_dump(layout, source, out, ImportOptions(**choices), on_progress)
    if not quiet:
        view.show_import(summary)
