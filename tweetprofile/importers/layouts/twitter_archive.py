"""`twitter-archive`: what Twitter hands out to the owner of an account, unpacked; one or many.

`account.js` says whose it is; `tweets.js` with its parts `tweets-part<N>.js` (or older `tweet.js`)
holds the tweets, `tweets_media/` (or older `tweet_media/`) the files, each `<tweet>-<name>`. They
stand in `data/`, and in archives of 2018 in the archive itself.
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
from tweetprofile.importers.skipped import Line, Loss, Losses, brief
from tweetprofile.importers.tweets.api_v1 import photos_of_status
from tweetprofile.importers.tweets.media_names import BY_CONTENT, key_of, other_keys_of, read_name
from tweetprofile.importers.tweets.photos import RETWEETS, Photo
from tweetprofile.importers.users import REPEATED, DumpUser, is_id, is_text

_TWEET_FILES = re.compile(r"tweets?(-part[0-9]+)?\.js")
_MEDIA_FOLDERS = ("tweets_media", "tweet_media")

_LEFT_OUT = {
    re.compile(r"community[-_]tweets?(-part[0-9]+)?\.js"): "community tweets",
    re.compile(r"deleted[-_]tweets?(-part[0-9]+)?\.js"): "deleted tweets",
    re.compile(r"twitter[-_]circle[-_]tweets?(-part[0-9]+)?\.js"): "circle tweets",
}
"""Files of tweets that are counted and not taken: a profile is of what an account shows to all, and
community and circle tweets are for a group, while deleted ones were taken back."""

HELD_TWICE = "photos of tweets that another archive of the account holds as well"


@dataclass(frozen=True, slots=True)
class _Archive:
    """An unpacked archive.

    Attributes:
        data: folder of its files.
        account: id of its owner.
    """

    data: Path
    account: str


def archive_users(source: Path, losses: Losses) -> Iterator[DumpUser]:
    """The owners of an archive, or of all archives in a folder; image paths are relative to it.

    Several archives of an account give one user, with each photo once.

    Raises:
        OptionError: there is no archive.
    """
    own = _data_of(source)
    folders = [own] if own is not None else list(_folders_of_data(source, losses))
    if not folders:
        raise OptionError(
            f"{source} is no archive of an account, nor a folder of them: there is no "
            "account.js, neither in data/ nor beside it; unpack the archive that Twitter sent and "
            f"give its folder.{_of_before_2018(source)}"
        )
    accounts: dict[str, list[_Archive]] = {}
    for data in folders:
        account = _account_of(data, losses)
        if account is not None:
            accounts.setdefault(account, []).append(_Archive(data, account))
    for archives in accounts.values():
        yield _owner(archives, source, losses)


def _data_of(archive: Path) -> Path | None:
    """Folder of an archive's files; None of what is no archive."""
    places = (archive / "data", archive)
    return next((each for each in places if is_file(each / "account.js")), None)


def _of_before_2018(source: Path) -> str:
    if not (source / "data" / "js" / "tweets").is_dir():
        return ""
    return " It looks like an archive of before 2018, and these hold no photos."


def _folders_of_data(folder: Path, losses: Losses) -> Iterator[Path]:
    for entry in root_entries(folder):
        if not entry.name.startswith("."):
            if not is_text(entry.name):
                losses.note(Loss.BAD_NAME, entry.path, None, "the folder's name is no UTF-8")
            elif found := _data_in(Path(entry.path)):
                yield from found
            else:
                what = "no unpacked archive: it has no account.js, neither in data/ nor beside it"
                losses.note(Loss.MISSING_FILE, entry.path, None, what)


def _data_in(folder: Path) -> list[Path]:
    """Folders of the files of an archive, or of the archives right below a folder."""
    if (own := _data_of(folder)) is not None:
        return [own]
    try:
        inner = [Path(entry.path) for entry in sorted_entries(folder) if is_text(entry.name)]
    except OSError:
        return []  # a file, which the caller notes
    return [data for each in inner if (data := _data_of(each)) is not None]


def _account_of(data: Path, losses: Losses) -> str | None:
    """Id of the account that an archive is of; where it names none, that is noted as a loss."""
    _, account = next(read_archive(data / "account.js", losses), (0, {}))
    account_id = _within(account, "account").get("accountId")
    if is_id(account_id):
        return account_id
    losses.note(Loss.MISSING_KEY, data / "account.js", None, "it names no accountId")
    return None


def _owner(archives: list[_Archive], source: Path, losses: Losses) -> DumpUser:
    """The owner of some archives of one account, with the photos of all."""
    media = _Media([archive.data for archive in archives])
    places: dict[str, tuple[int, int]] = {}
    first_found: dict[str, Path] = {}
    for archive in archives:
        _count_left_out(archive.data, losses)
        for file in _tweet_files(archive.data, losses):
            for photo, line in _photos(file, archive.account, losses):
                found = media.find(photo)
                if found is None:
                    line.lost(Loss.MISSING_FILE, f"{photo.name} of tweet {photo.tweet}")
                    continue
                place = (photo.tweet, photo.place)
                if found in places and first_found[found] != archive.data:
                    line.set_aside(HELD_TWICE)
                elif found in places and places[found] != place:
                    line.set_aside(REPEATED)
                first_found.setdefault(found, archive.data)
                places[found] = min(place, places.get(found, place))
    paths = sorted(places, key=places.__getitem__)
    below = [Path(path).relative_to(source).as_posix() for path in paths]
    return DumpUser(archives[0].account, below)


def _count_left_out(data: Path, losses: Losses) -> None:
    """Count the tweets of files that are not taken."""
    for name in _names_in(data, losses):
        for pattern, what in _LEFT_OUT.items():
            if pattern.fullmatch(name):
                count = sum(1 for _ in read_archive(data / name, losses))
                losses.set_aside(f"{what} ({name})", count)


def _tweet_files(data: Path, losses: Losses) -> list[Path]:
    return [data / name for name in _names_in(data, losses) if _TWEET_FILES.fullmatch(name)]


def _names_in(data: Path, losses: Losses) -> list[str]:
    try:
        return [entry.name for entry in sorted_entries(data)]
    except OSError as error:
        losses.note(Loss.UNREADABLE, data, None, str(error.strerror))
        return []


def _photos(file: Path, account: str, losses: Losses) -> Iterator[tuple[Photo, Line]]:
    for number, record in read_archive(file, losses):
        tweet, line = _within(record, "tweet"), Line(losses, file, number)
        text = tweet.get("full_text")
        if not isinstance(record.get("tweet", record), dict):
            line.lost(Loss.MALFORMED, f"a tweet that is no object: {brief(record['tweet'])}")
        elif isinstance(text, str) and text.startswith("RT @"):
            losses.set_aside(RETWEETS)
        else:
            yield from ((photo, line) for photo in photos_of_status(tweet, line, account))


class _Media:
    """The photos of an account's archives, found by what their names say."""

    def __init__(self, folders: list[Path]) -> None:
        self._paths: dict[str, tuple[int, str]] = {}
        for folder in folders:
            for name in _MEDIA_FOLDERS:
                self._take(folder / name)

    def find(self, photo: Photo) -> str | None:
        """Path of a photo's file; None where there is none."""
        keys = (key_of(photo), *other_keys_of(photo))
        found = [self._paths[key] for key in keys if key in self._paths]
        return min(found)[1] if found else None

    def _take(self, folder: Path) -> None:
        try:
            entries = sorted_entries(folder)
        except OSError:
            return  # archives have one such folder or the other
        for entry in entries:
            name = read_name(entry.name) if is_text(entry.name) and is_file(entry) else None
            if name is None or name.rank == BY_CONTENT:
                continue
            for key in name.keys:
                # Of equal ones the first counts, which is of the first archive.
                if key not in self._paths or self._paths[key][0] > name.rank:
                    self._paths[key] = (name.rank, entry.path)


def _within(record: dict[str, Any], name: str) -> dict[str, Any]:
    """The object of that name; older archives leave the name out."""
    inner = record.get(name, record)
    return inner if isinstance(inner, dict) else {}
