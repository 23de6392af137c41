"""Photos of tweets: what all shapes of tweets have in common.

A field that is null counts as missing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from tweetprofile.importers.skipped import Line, SkipReason, brief
from tweetprofile.importers.users import is_id

Record = Mapping[str, Any]

Container = TypeVar("Container", dict[str, Any], list[Any])

RETWEETS = "retweets, whose photos are their authors'"
VIDEOS = "videos and animations"
WITHOUT_PHOTOS = "tweets without photos"
EMPTY_PAGES = "pages without tweets"

_TWEET_ID = re.compile("[0-9]{1,19}")
_LARGEST_ID = (1 << 63) - 1

_FILE_NAME = re.compile(r"[\w\-][\w.\-]*", re.ASCII)

_ORDINARY_URL = re.compile(r"https?://pbs\.twimg\.com/media/([A-Za-z0-9][\w\-]*\.[a-z]+)", re.ASCII)
"""The address of most photos, which need not be taken apart."""

_LONGEST_URL = 2_048
"""The largest number of characters in an address; those of photos have some 60."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo of a tweet.

    Attributes:
        user_id: The user whose photo it is.
        tweet: The number of the tweet; later tweets have higher numbers.
        position: The position of the photo in the tweet, from 1.
        name: The name of its file at Twitter: `ABC.jpg`.
    """

    user_id: str
    tweet: int
    position: int
    name: str


def owner_and_tweet(user: object, tweet: object, line: Line) -> tuple[str, int] | None:
    """Return the id of a user and the number of a tweet; if one is missing, skip the tweet."""
    number = tweet_number(tweet)
    if number is None:
        line.skip(SkipReason.MISSING_KEY, f"a tweet of user {brief(user)} has no id")
        return None
    owner = id_text(user)
    if owner is None or not is_id(owner):
        line.skip(SkipReason.MISSING_KEY, f"tweet {number} does not name its user")
        return None
    return owner, number


def id_text(value: object) -> str | None:
    """Return an id as text, or None if it is neither text nor an integer.

    Numbers with a fraction or an exponent have lost digits, so they are not ids. MongoDB writes
    `{"$numberLong": "101"}`.
    """
    if isinstance(value, dict):
        value = value.get("$numberLong")
    if isinstance(value, str):
        return value or None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    try:
        return str(value)
    except ValueError:  # a number of thousands of digits
        return None


def id_of(record: Record, name: str = "id") -> str | None:
    """Return the id in a record as text, from `<name>_str` or else from `<name>`."""
    return id_text(record.get(f"{name}_str")) or id_text(record.get(name))


def tweet_number(tweet: object) -> int | None:
    """Return the id of a tweet as a number, or None if it cannot be a tweet's id."""
    text = id_text(tweet)
    if text is None or not _TWEET_ID.fullmatch(text):
        return None
    number = int(text)
    return number if number <= _LARGEST_ID else None


def photo_name(media: Record, url_key: str, what: str, line: Line) -> str | None:
    """Return the name of a photo's file, or None if the media is not a photo or has no address.

    Args:
        media: What a record says of one photo, video or animation.
        url_key: The key of its address, before `media_url`.
        what: What to call the media if it has no address.
        line: The line that it is in.
    """
    if (media.get("type") or "photo") != "photo":
        line.leave_out(VIDEOS)
        return None
    name = media_name(media.get(url_key) or media.get("media_url"))
    if name is None:
        line.skip(SkipReason.MISSING_KEY, f"{what} has no {url_key}")
    return name


def media_name(url: object) -> str | None:
    """Return the name of the file that an address leads to, or None if it leads to none.

    `https://pbs.twimg.com/media/ABC?format=jpg&name=large` and `.../ABC.jpg:large` are `ABC.jpg`.
    """
    if not isinstance(url, str) or len(url) > _LONGEST_URL:
        return None
    if ordinary := _ORDINARY_URL.fullmatch(url):
        return ordinary[1]
    try:
        parts = urlsplit(url)
    except ValueError:  # http://[
        return None
    name = parts.path.rpartition("/")[2].partition(":")[0]
    ending = parse_qs(parts.query).get("format", [""])[0]
    if name and "." not in name and ending:
        name = f"{name}.{ending}"
    return name if _FILE_NAME.fullmatch(name) else None


def value_of_type(
    value: Any, container: type[Container], name: str, line: Line
) -> Container | None:
    """Return a value if it is of the right type; skip one of another, with the photos in it."""
    if value is None or isinstance(value, container):
        return value
    wanted = "an object" if container is dict else "a list"
    line.skip(SkipReason.MALFORMED, f"{name} of a tweet is not {wanted}: {brief(value)}")
    return None


def as_object(value: object) -> dict[str, Any]:
    """Return a value if it is an object, or else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return a value if it is a list, or else an empty one."""
    return value if isinstance(value, list) else []
