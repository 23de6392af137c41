"""`twitter-archive`: what Twitter hands out to the owner of an account, unpacked; one or many.

`data/account.js` says whose it is; `data/tweets.js` and `tweets-part<N>.js` (or older `tweet.js`)
hold the tweets, `data/tweets_media/` (or older `tweet_media/`) the files, each `<tweet>-<name>`.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tweetprofile.errors import OptionError
from tweetprofile.importers.archive_records import read_archive
from tweetprofile.importers.files import is_file, sorted_entries
from tweetprofile.importers.folder import root_entries
from tweetprofile.importers.losses import Line, Loss, Losses, brief
from tweetprofile.importers.media import file_names
from tweetprofile.importers.tweets import RETWEETS, Photo, photos_of_status
from tweetprofile.importers.users import REPEATED, DumpUser, is_id, is_text

_TWEET_FILES = re.compile(r"tweets?(-part[0-9]+)?\.js")
_MEDIA_FOLDERS = ("tweets_media", "tweet_media")


def archive_users(source: Path, losses: Losses) -> Iterator[DumpUser]:
    """The owners of an archive, or of all archives in a folder; image paths are relative to it.

    Raises:
        OptionError: there is no archive.
    """
    archives = [source] if _is_archive(source) else list(_archives(source, losses))
    if not archives:
        raise OptionError(
            f"{source} is no archive of an account, nor a folder of them: there is no "
            "data/account.js; unpack the archive that Twitter sent and give its folder."
        )
    for archive in archives:
        yield from _owner(archive, source, losses)


def _is_archive(folder: Path) -> bool:
    return is_file(folder / "data" / "account.js")


def _archives(folder: Path, losses: Losses) -> Iterator[Path]:
    for entry in root_entries(folder):
        if not entry.name.startswith("."):
            if not is_text(entry.name):
                losses.note(Loss.BAD_NAME, entry.path, None, "the folder's name is no UTF-8")
            elif _is_archive(Path(entry.path)):
                yield Path(entry.path)
            else:
                what = "no unpacked archive: data/account.js"
                losses.note(Loss.MISSING_FILE, entry.path, None, what)


def _owner(archive: Path, source: Path, losses: Losses) -> Iterator[DumpUser]:
    data = archive / "data"
    _, account = next(read_archive(data / "account.js", losses), (0, {}))
    account_id = _within(account, "account").get("accountId")
    if not is_id(account_id):
        losses.note(Loss.MISSING_KEY, data / "account.js", None, "it names no accountId")
        return
    media = [_Media(data / name) for name in _MEDIA_FOLDERS]
    places: dict[str, tuple[int, int]] = {}
    for file in _tweet_files(data, losses):
        for photo, line in _photos(file, account_id, losses):
            found = next(filter(None, (folder.find(photo) for folder in media)), None)
            if found is None:
                line.lost(Loss.MISSING_FILE, f"{photo.name} of tweet {photo.tweet}")
                continue
            place = (photo.tweet, photo.place)
            if found in places and places[found] != place:
                line.set_aside(REPEATED)
            places[found] = min(place, places.get(found, place))
    below = data.relative_to(source).as_posix()
    paths = sorted(places, key=places.__getitem__)
    yield DumpUser(account_id, [f"{below}/{path}" for path in paths])


def _tweet_files(data: Path, losses: Losses) -> list[Path]:
    try:
        entries = sorted_entries(data)
    except OSError as error:
        losses.note(Loss.UNREADABLE, data, None, str(error.strerror))
        return []
    return [data / entry.name for entry in entries if _TWEET_FILES.fullmatch(entry.name)]


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
    """A folder of an archive's photos, of which the names are held."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            with os.scandir(folder) as entries:
                self._names = {entry.name for entry in entries if is_file(entry)}
        except OSError:
            self._names = set()  # archives have one such folder or the other

    def find(self, photo: Photo) -> str | None:
        """The path of a photo's file below `data`; None where there is none."""
        name = next((name for name in file_names(photo) if name in self._names), None)
        return None if name is None else f"{self._folder.name}/{name}"


def _within(record: dict[str, Any], name: str) -> dict[str, Any]:
    """The object of that name; older archives leave the name out."""
    inner = record.get(name, record)
    return inner if isinstance(inner, dict) else {}
