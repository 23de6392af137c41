"""`twitter-archive`: what Twitter hands out to the owner of an account, unpacked; one or many.

`data/account.js` says whose it is; `data/tweets.js` and `tweets-part<N>.js` (or older `tweet.js`)
hold the tweets, `data/tweets_media/` (or older `tweet_media/`) the files, each `<tweet>-<name>`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tweetprofile.errors import OptionError
from tweetprofile.importers.folder import sorted_entries
from tweetprofile.importers.losses import Line, Loss, Losses
from tweetprofile.importers.media import file_names
from tweetprofile.importers.tweets import RETWEETS, Photo, photos_of_status
from tweetprofile.importers.users import DumpUser, in_order, is_text

_TWEET_FILES = re.compile(r"tweets?(-part[0-9]+)?\.js")
_MEDIA_FOLDERS = ("tweets_media", "tweet_media")
_NEXT_RECORD = re.compile(r"\{\s*\"tweet\"\s*:")
_BETWEEN = re.compile(r"[\s,]*")


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
    return (folder / "data" / "account.js").is_file()


def _archives(folder: Path, losses: Losses) -> Iterator[Path]:
    for entry in sorted_entries(folder):
        if _is_archive(Path(entry.path)):
            yield Path(entry.path)
        elif not entry.name.startswith("."):
            losses.note(Loss.MISSING_FILE, entry.path, None, "no unpacked archive: data/account.js")


def _owner(archive: Path, source: Path, losses: Losses) -> Iterator[DumpUser]:
    data = archive / "data"
    accounts = [record for _, record in _records(data / "account.js", losses)]
    account = _within(accounts[0], "account").get("accountId") if accounts else None
    if not isinstance(account, str) or not account or not is_text(account):
        losses.note(Loss.MISSING_KEY, data / "account.js", None, "it names no accountId")
        return
    photos = [photo for file in _tweet_files(data) for photo in _photos(file, account, losses)]
    photos.sort(key=lambda photo: (photo.tweet, photo.place))
    paths = (_find(photo, data, losses) for photo in dict.fromkeys(photos))
    yield DumpUser(account, [path.relative_to(source).as_posix() for path in paths if path])


def _tweet_files(data: Path) -> list[Path]:
    names = [entry.name for entry in sorted_entries(data) if _TWEET_FILES.fullmatch(entry.name)]
    return [data / name for name in sorted(names, key=in_order)]


def _photos(file: Path, account: str, losses: Losses) -> Iterator[Photo]:
    for line, record in _records(file, losses):
        tweet = _within(record, "tweet")
        if str(tweet.get("full_text", "")).startswith("RT @"):
            losses.set_aside(RETWEETS)
            continue
        yield from photos_of_status(tweet, Line(losses, file, line), account)


def _find(photo: Photo, data: Path, losses: Losses) -> Path | None:
    for folder in _MEDIA_FOLDERS:
        for name in file_names(photo):
            if (data / folder / name).is_file():
                return data / folder / name
    losses.note(Loss.MISSING_FILE, data, None, f"{photo.name} of tweet {photo.tweet}")
    return None


def _records(file: Path, losses: Losses) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of `window.YTD.<name>.part<N> = [...]`, each with the line that it begins in.

    What cannot be read is noted, and reading goes on with the next tweet.
    """
    text = file.read_text("utf-8", "replace")
    decoder, position, line = json.JSONDecoder(), text.find("[") + 1, 1
    counted, cut = 0, False
    while (position := _skip(text, position)) < len(text) and text[position] != "]":
        line, counted = line + text.count("\n", counted, position), position
        try:
            record, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            following = _NEXT_RECORD.search(text, position + 1)
            cut = following is None
            reason = Loss.CUT if cut else Loss.MALFORMED
            losses.note(reason, file, line, f"no JSON: {text[position : position + 60]}")
            position = following.start() if following else len(text)
            continue
        if isinstance(record, dict):
            yield line, record
        else:
            losses.note(Loss.MALFORMED, file, line, f"no JSON object: {str(record)[:60]}")
    if position >= len(text) and not cut:
        losses.note(Loss.CUT, file, line, "the list of records has no end")


def _skip(text: str, position: int) -> int:
    found = _BETWEEN.match(text, position)
    assert found is not None
    return found.end()


def _within(record: dict[str, Any], name: str) -> dict[str, Any]:
    """The object of that name; older archives leave the name out."""
    inner = record.get(name, record)
    return inner if isinstance(inner, dict) else {}
