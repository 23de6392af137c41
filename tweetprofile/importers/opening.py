"""Open a dump in its layout: find out what it brings before its users are read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tweetprofile.errors import OptionError
from tweetprofile.importers.layouts.image_folder import ImageFolder
from tweetprofile.importers.layouts.pan17 import PAN17_COLUMNS, pan17_users
from tweetprofile.importers.layouts.pan18 import PAN18_COLUMNS, has_texts, pan18_users
from tweetprofile.importers.layouts.text_table import TextTable
from tweetprofile.importers.layouts.twitter_api import media_folder_of, twitter_api_users
from tweetprofile.importers.layouts.twitter_archive import archive_users
from tweetprofile.importers.skipped import Skipped, Wanted
from tweetprofile.importers.users import PROFILE_FIELDS, DumpUser

Layout = Literal["folder", "pan17", "pan18", "twitter-api", "twitter-archive"]

TEXTS_COLUMN = "texts"

Users = Callable[[Skipped], Iterator[DumpUser]]


@dataclass(frozen=True, slots=True)
class Choices:
    """What to take from a dump; each layout knows some of the choices.

    Attributes:
        media_dir: The folder of the photos; None for that of the source.
        texts: The table of texts; None for none.
        no_texts: Whether to leave texts out.
        retweets: Whether the texts of retweets count as those of the user who retweeted them.
        profile_fields: Whether to take names and descriptions.
    """

    media_dir: Path | None = None
    texts: Path | None = None
    no_texts: bool = False
    retweets: bool = False
    profile_fields: bool = False

    def check(self, layout: Layout) -> None:
        """Raise OptionError if a layout does not know a choice that was made, or two conflict."""
        if layout != "twitter-api" and self.media_dir is not None:
            raise OptionError(
                f"`media_dir` is for twitter-api; in a {layout} dump the place of the images is "
                "known."
            )
        for name, layouts in _KNOWN_BY.items():
            if getattr(self, name) and layout not in layouts:
                raise OptionError(f"`{name}` is for {' and '.join(layouts)}, not for {layout}.")
        if self.no_texts and self.retweets:
            raise OptionError("`retweets` takes texts, which `no_texts` leaves out; drop one.")

    @property
    def wanted(self) -> Wanted:
        """What to take from tweets besides photos."""
        return Wanted(not self.no_texts, self.retweets, self.profile_fields)


_KNOWN_BY: dict[str, tuple[Layout, ...]] = {
    "texts": ("folder",),
    "no_texts": ("pan18", "twitter-api", "twitter-archive"),
    "retweets": ("twitter-api", "twitter-archive"),
    "profile_fields": ("twitter-api",),
}


@dataclass(frozen=True, slots=True)
class Dump:
    """A dump that has been opened.

    Attributes:
        images: The folder that its users' image paths are relative to.
        columns: The names of its own labels.
        text_columns: The columns of texts that it brings.
        users: Reads its users.
    """

    images: Path
    columns: tuple[str, ...]
    text_columns: tuple[str, ...]
    users: Users


def open_dump(layout: Layout, source: Path, choices: Choices) -> Dump:
    """Open a dump in its layout.

    Raises:
        OptionError: The source is not what the layout needs, or the layout does not know a choice.
    """
    choices.check(layout)
    if not (source.is_dir() or (layout == "twitter-api" and source.is_file())):
        raise OptionError(f"{source} is not a folder; give the folder of the dump.")
    wanted = choices.wanted
    texts = (TEXTS_COLUMN,) if wanted.texts else ()
    match layout:
        case "folder":
            return _open_folder(source, choices.texts)
        case "pan17":
            return Dump(source, PAN17_COLUMNS, texts, lambda skipped: pan17_users(source, skipped))
        case "pan18":
            brought = texts if has_texts(source) else ()
            return Dump(
                source, PAN18_COLUMNS, brought, lambda skipped: pan18_users(source, wanted, skipped)
            )
        case "twitter-archive":
            return Dump(source, (), texts, lambda skipped: archive_users(source, wanted, skipped))
        case "twitter-api":
            fields = PROFILE_FIELDS if wanted.profile_fields else ()
            folder = choices.media_dir
            return Dump(
                folder or media_folder_of(source),
                (),
                (*texts, *fields),
                lambda skipped: twitter_api_users(source, folder, wanted, skipped),
            )


def _open_folder(source: Path, table: Path | None) -> Dump:
    folder = ImageFolder.open(source)
    if table is None:
        return Dump(source, folder.columns, (), folder.users)

    def users(skipped: Skipped) -> Iterator[DumpUser]:
        with TextTable(table, skipped) as texts:
            yield from texts.attach(folder.users(skipped))

    return Dump(source, folder.columns, (TEXTS_COLUMN,), users)
