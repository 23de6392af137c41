"""`tweetprofile import`: turns a dump into a manifest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tweetprofile.cli import options as shared
from tweetprofile.cli.command import Command, Section, option


@click.group(
    "import",
    short_help="Make a manifest from a dump, as a crawler left it.",
    subcommand_metavar="LAYOUT SOURCE -o MANIFEST",
)
def command() -> None:
    """Make a manifest from a dump, as a crawler or the organisers of a task left it.

    \b
      tweetprofile import folder dump -o manifest.parquet

    Nothing is fetched from the network, and the dump is not changed. Anything that cannot be
    imported is counted on the screen and listed, with its file and line, in a CSV file next to the
    manifest.

    'tweetprofile import LAYOUT --help' describes each layout.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument and the options that all layouts share."""
    for add in reversed(
        (
            click.argument("source", type=shared.PATH),
            shared.output(
                "MANIFEST",
                "Parquet file to write; with --embed a folder, named with a '/' at its end.",
            ),
            option(
                Section.INPUT,
                "--labels",
                type=shared.FILE,
                metavar="TABLE",
                help="CSV or Parquet file with the column user_id and one column per trait: text, "
                "whole numbers, or true and false. The import fails if none of its users is in the "
                "dump.",
            ),
            option(
                Section.INPUT,
                "--min-images",
                type=click.IntRange(min=0),
                metavar="N",
                default=0,
                show_default=True,
                help="Leave out users with fewer images.",
            ),
            option(
                Section.INPUT,
                "--max-images",
                type=click.IntRange(min=1),
                metavar="N",
                help="Import only the first N images of each user.  [default: all]",
            ),
            option(
                Section.OUTPUT,
                "--embed",
                is_flag=True,
                help="Store the images themselves in the manifest, in files of about 512 MB: a few "
                "large files are faster to read, and much faster to copy, than millions of small "
                "ones.",
            ),
            option(
                Section.OUTPUT,
                "--max-image-bytes",
                type=click.IntRange(min=1),
                metavar="BYTES",
                default=64 * 1024 * 1024,
                show_default=True,
                help="Larger image files are not embedded.",
            ),
            shared.overwrite,
            shared.messages,
        )
    ):
        command = add(command)
    return command


_no_texts = option(
    Section.INPUT, "--no-texts", is_flag=True, help="Take images only, which is faster."
)
_retweets = option(
    Section.INPUT,
    "--retweets",
    is_flag=True,
    help="Count the texts of retweets as texts of the user who retweeted them.  [default: left "
    "out]",
)


@command.command(
    "folder", cls=Command, short_help="SOURCE/USER/IMAGE, or Hugging Face's ImageFolder."
)
@option(
    Section.INPUT,
    "--texts",
    type=shared.FILE,
    metavar="TABLE",
    help="CSV, TSV, JSON lines or Parquet file with the columns user_id and text, one row per "
    "text, the oldest first; or texts, with a list per row.",
)
@_shared
def folder(source: Path, out: str, quiet: bool, **choices: Any) -> None:
    """Import SOURCE/USER/IMAGE: one folder per user, in the order of names (2.jpg before 10.jpg).

    \b
      tweetprofile import folder dump -o manifest.parquet --labels labels.csv

    If SOURCE has a metadata.csv, .jsonl or .parquet, as Hugging Face's ImageFolder does, that file
    decides. Its columns are user_id, file_names (a list; or file_name, with one row per image) and
    labels as text.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    _import("folder", source, out, choices, quiet=quiet)


@command.command(
    "pan17", cls=Command, short_help="The corpora of PAN's author profiling tasks of 2015 to 2017."
)
@_shared
def pan17(source: Path, out: str, quiet: bool, **choices: Any) -> None:
    """Import a corpus of PAN's author profiling tasks of 2015 to 2017, which hold texts alone.

    \b
      tweetprofile import pan17 pan17-training -o manifest.parquet

    SOURCE is a language, or a folder of several. Texts are in LANG/ID.xml; labels are lines like
    'ID:::male:::mexico' in LANG/truth.txt or another text file in LANG, and ';' may stand for
    ':::'. The manifest gets the columns gender, variety and language.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    _import("pan17", source, out, choices, quiet=quiet)


@command.command(
    "pan18", cls=Command, short_help="The corpus of PAN's author profiling task of 2018."
)
@_no_texts
@_shared
def pan18(source: Path, out: str, quiet: bool, **choices: Any) -> None:
    """Import the corpus of PAN's author profiling task of 2018: a language, or a folder of several.

    \b
      tweetprofile import pan18 pan18-training -o manifest.parquet

    Images are LANG/photo/ID/ID.0.jpeg and so on, and texts are in LANG/text/ID.xml; labels are
    lines like 'ID:::male' in LANG/truth.txt or LANG/LANG.txt. The manifest gets the columns gender
    and language.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    _import("pan18", source, out, choices, quiet=quiet)


@command.command("twitter-api", cls=Command, short_help="Tweets as JSON, and a folder of photos.")
@option(
    Section.INPUT,
    "--media-dir",
    type=shared.FOLDER,
    metavar="FOLDER",
    help="Folder with the photos, at any depth; it may be left out if only texts are wanted.  "
    "[default: the folder of SOURCE]",
)
@option(
    Section.INPUT,
    "--profile-fields",
    is_flag=True,
    help="Also take name, screen_name and description, which can identify people.",
)
@_retweets
@_no_texts
@_shared
def twitter_api(source: Path, out: str, quiet: bool, **choices: Any) -> None:
    """Import tweets as crawlers and scrapers store them: a JSON file, or a folder of such files.

    \b
      tweetprofile import twitter-api dump --media-dir photos -o manifest.parquet

    Reads API v2 (twarc2), as pages or flattened; API v1.1, from searches and streams; GraphQL;
    snscrape, twscrape, twint and the metadata of gallery-dl; as JSON lines, arrays or
    pretty-printed; plain, .gz, .bz2 or .zst. Photos are found by media key, whatever the downloader
    has added to it (ABC.jpg, ABC.jpg:orig, TWEET-ABC.jpg, ABC_large.jpg), or by tweet and position
    (TWEET_1.jpg), and are put in the order of the tweets. The photos of a retweet belong to its
    author. Texts are taken in full and in the same order, each tweet once, without those of
    retweets.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    _import("twitter-api", source, out, choices, quiet=quiet)


@command.command(
    "twitter-archive", cls=Command, short_help="Archives that account owners can download."
)
@_retweets
@_no_texts
@_shared
def twitter_archive(source: Path, out: str, quiet: bool, **choices: Any) -> None:
    """Import the unpacked archive that Twitter sends to account owners, or a folder of several.

    \b
      tweetprofile import twitter-archive archives -o manifest.parquet

    An archive holds data/account.js, data/tweets.js with its further parts, and data/tweets_media;
    older archives, in which these have other names, are read too. Several archives of one account
    become one user.
    """  # noqa: D301 - \b is click's mark for lines to be left as they are
    _import("twitter-archive", source, out, choices, quiet=quiet)


def _import(layout: Any, source: Path, out: str, choices: dict[str, Any], *, quiet: bool) -> None:
    from tweetprofile.cli.given import require_paths

    require_paths(source, *(choices.get(name) for name in ("labels", "texts", "media_dir")))

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
