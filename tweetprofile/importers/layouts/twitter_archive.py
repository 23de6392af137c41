"""`twitter-archive`: the archive that Twitter gives to the owner of an account, unpacked; or many.

`account.js` names the account. `tweets.js` with its parts `tweets-part<N>.js` (`tweet.js` in older
archives) holds the tweets, and `tweets_media/` (`tweet_media/`) the files, each `<tweet>-<name>`.
They are in `data/`, or in archives of 2018 in the archive itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tweetprofile.errors import OptionError
from tweetprofile.importers.layouts.user_folders import root_entries
from tweetprofile.importers.readers.archive_records import read_archive
from tweetprofile.importers.readers.folders import is_file, sorted_entries
from tweetprofile.importers.skipped import Line, Skipped, SkipReason, Wanted, brief
from tweetprofile.importers.tweets.api_v1 import Item, items_of_status
from tweetprofile.importers.tweets.media_names import BY_CONTENT, key_of, other_keys_of, read_name
from tweetprofile.importers.tweets.photos import RETWEETS, Photo
from tweetprofile.importers.tweets.texts import TweetText
from tweetprofile.importers.users import REPEATED, DumpUser, is_id, is_text, newest_texts

_TWEET_FILES = re.compile(r"tweets?(-part[0-9]+)?\.js")
_MEDIA_FOLDERS = ("tweets_media", "tweet_media")

_FILES_LEFT_OUT = {
    re.compile(r"community[-_]tweets?(-part[0-9]+)?\.js"): "community tweets",
    re.compile(r"deleted[-_]tweets?(-part[0-9]+)?\.js"): "deleted tweets",
    re.compile(r"twitter[-_]circle[-_]tweets?(-part[0-9]+)?\.js"): "circle tweets",
}
"""Files of tweets that are counted and not taken. A profile describes what an account shows to
everyone; community and circle tweets are for a group, and deleted tweets were taken back."""

IN_ANOTHER_ARCHIVE = "photos of tweets that another archive of the account holds as well"


@dataclass(frozen=True, slots=True)
class _Archive:
    """An unpacked archive.

    Attributes:
        data: The folder of its files.
        account: The id of its owner.
    """

    data: Path
    account: str


def archive_users(source: Path, wanted: Wanted, skipped: Skipped) -> Iterator[DumpUser]:
    """Yield the owner of an archive, or the owners of all archives in a folder.

    Image paths are relative to `source`. Several archives of an account become one user, with each
    photo and each text once.

    Args:
        source: The archive or the folder.
        wanted: What to take besides photos.
        skipped: Records what cannot be taken.

    Raises:
        OptionError: There is no archive.
    """
    own = _data_of(source)
    folders = [own] if own is not None else list(_folders_of_data(source, skipped))
    if not folders:
        raise OptionError(
            f"{source} is neither an archive of an account nor a folder of archives: there is no "
            "account.js in it or in its folder data/; unpack the archive that Twitter sent and "
            f"give its folder.{_remark_on_2018(source)}"
        )
    accounts: dict[str, list[_Archive]] = {}
    for data in folders:
        account = _account_of(data, skipped)
        if account is not None:
            accounts.setdefault(account, []).append(_Archive(data, account))
    for archives in accounts.values():
        yield _owner(archives, source, wanted, skipped)


def _data_of(archive: Path) -> Path | None:
    """Return the folder of an archive's files, or None if it is not an archive."""
    folders = (archive / "data", archive)
    return next((each for each in folders if is_file(each / "account.js")), None)


def _remark_on_2018(source: Path) -> str:
    if not (source / "data" / "js" / "tweets").is_dir():
        return ""
    return " It looks like an archive from before 2018, and these hold no photos."


def _folders_of_data(folder: Path, skipped: Skipped) -> Iterator[Path]:
    for entry in root_entries(folder):
        if not entry.name.startswith("."):
            if not is_text(entry.name):
                skipped.add(SkipReason.BAD_NAME, entry.path, None, "the folder's name is not UTF-8")
            elif found := _data_in(Path(entry.path)):
                yield from found
            else:
                what = (
                    "not an unpacked archive: there is no account.js in it or in its folder data/"
                )
                skipped.add(SkipReason.MISSING_FILE, entry.path, None, what)


def _data_in(folder: Path) -> list[Path]:
    """Return the folders of the files of an archive, or of the archives directly in a folder."""
    if (own := _data_of(folder)) is not None:
        return [own]
    try:
        inner = [Path(entry.path) for entry in sorted_entries(folder) if is_text(entry.name)]
    except OSError:
        return []  # a file, which the caller skips
    return [data for each in inner if (data := _data_of(each)) is not None]


def _account_of(data: Path, skipped: Skipped) -> str | None:
    """Return the id of an archive's account; skip an archive that names none."""
    _, account = next(read_archive(data / "account.js", skipped), (0, {}))
    account_id = _within(account, "account").get("accountId")
    if is_id(account_id):
        return account_id
    skipped.add(SkipReason.MISSING_KEY, data / "account.js", None, "it has no accountId")
    return None


def _owner(archives: list[_Archive], source: Path, wanted: Wanted, skipped: Skipped) -> DumpUser:
    """Return the owner of one account's archives, with the photos and texts of all of them."""
    found = _Found(_Media([archive.data for archive in archives]))
    for archive in archives:
        _count_left_out(archive.data, skipped)
        for file in _tweet_files(archive.data, skipped):
            for item, line in _items(file, archive.account, wanted, skipped):
                if isinstance(item, Photo):
                    found.add_photo(item, archive.data, line)
                elif isinstance(item, TweetText) and not item.is_inner:
                    # The longest version, as the order of archives says nothing.
                    known = found.texts.get(item.tweet, "")
                    found.texts[item.tweet] = max(known, item.text, key=len)
    images = [Path(path).relative_to(source).as_posix() for path in found.paths()]
    texts = [found.texts[number] for number in sorted(found.texts)]
    return DumpUser(archives[0].account, images, texts=newest_texts(texts, skipped.leave_out))


class _Found:
    """What was found in the archives of one account.

    Attributes:
        texts: The texts, by the numbers of their tweets.
    """

    def __init__(self, media: "_Media") -> None:
        self.texts: dict[int, str] = {}
        self._media = media
        self._order: dict[str, tuple[int, int]] = {}
        self._first_found: dict[str, Path] = {}

    def add_photo(self, photo: Photo, data: Path, line: Line) -> None:
        """Add a photo of a tweet in the archive whose files are in `data`."""
        found = self._media.find(photo)
        if found is None:
            line.skip(SkipReason.MISSING_FILE, f"{photo.name} of tweet {photo.tweet}")
            return
        rank = (photo.tweet, photo.position)
        if found in self._order and self._first_found[found] != data:
            line.leave_out(IN_ANOTHER_ARCHIVE)
        elif found in self._order and self._order[found] != rank:
            line.leave_out(REPEATED)
        self._first_found.setdefault(found, data)
        self._order[found] = min(rank, self._order.get(found, rank))

    def paths(self) -> list[str]:
        """Return the paths of the photos, in the order of the tweets."""
        return sorted(self._order, key=self._order.__getitem__)


def _count_left_out(data: Path, skipped: Skipped) -> None:
    """Count the tweets in files that are not taken."""
    for name in _names_in(data, skipped):
        for pattern, what in _FILES_LEFT_OUT.items():
            if pattern.fullmatch(name):
                count = sum(1 for _ in read_archive(data / name, skipped))
                skipped.leave_out(f"{what} ({name})", count)


def _tweet_files(data: Path, skipped: Skipped) -> list[Path]:
    return [data / name for name in _names_in(data, skipped) if _TWEET_FILES.fullmatch(name)]


def _names_in(data: Path, skipped: Skipped) -> list[str]:
    try:
        return [entry.name for entry in sorted_entries(data)]
    except OSError as error:
        skipped.add(SkipReason.UNREADABLE, data, None, str(error.strerror))
        return []


def _items(
    file: Path, account: str, wanted: Wanted, skipped: Skipped
) -> Iterator[tuple[Item, Line]]:
    for number, record in read_archive(file, skipped):
        tweet, line = _within(record, "tweet"), Line(skipped, file, number, wanted)
        text = tweet.get("full_text")
        is_retweet = isinstance(text, str) and text.startswith("RT @")
        if not isinstance(record.get("tweet", record), dict):
            line.skip(SkipReason.MALFORMED, f"a tweet is not an object: {brief(record['tweet'])}")
        elif is_retweet and not wanted.retweets:
            skipped.leave_out(RETWEETS)
        else:
            for item in items_of_status(tweet, line, account):
                if not (is_retweet and isinstance(item, Photo)):
                    yield item, line


class _Media:
    """The photos in an account's archives, found by their names."""

    def __init__(self, folders: list[Path]) -> None:
        self._paths: dict[str, tuple[int, str]] = {}
        for folder in folders:
            for name in _MEDIA_FOLDERS:
                self._add_files(folder / name)

    def find(self, photo: Photo) -> str | None:
        """Return the path of a photo's file, or None if there is none."""
        keys = (key_of(photo), *other_keys_of(photo))
        found = [self._paths[key] for key in keys if key in self._paths]
        return min(found)[1] if found else None

    def _add_files(self, folder: Path) -> None:
        try:
            entries = sorted_entries(folder)
        except OSError:
            return  # archives have one such folder or the other
        for entry in entries:
            name = read_name(entry.name) if is_text(entry.name) and is_file(entry) else None
            if name is None or name.rank == BY_CONTENT:
                continue
            for key in name.keys:
                # Of equal files the first counts, which is in the first archive.
                if key not in self._paths or self._paths[key][0] > name.rank:
                    self._paths[key] = (name.rank, entry.path)


def _within(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object under a name; older archives leave the name out."""
    inner = record.get(name, record)
    return inner if isinstance(inner, dict) else {}
