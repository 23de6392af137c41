"""Photos of tweets: whose they are, of which tweet, and what their files are called.

What every shape of tweet has in common. A field that is null counts as one that is not there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from tweetprofile.importers.skipped import Line, SkipReason, brief
from tweetprofile.importers.users import is_id

Record = Mapping[str, Any]

Kind = TypeVar("Kind", dict[str, Any], list[Any])

RETWEETS = "retweets, whose photos are their authors'"
VIDEOS = "videos and animations"
WITHOUT_PHOTOS = "tweets without photos"
EMPTY_PAGES = "pages without tweets"

_TWEET = re.compile("[0-9]{1,19}")
_LARGEST_ID = (1 << 63) - 1

_NAME = re.compile(r"[\w\-][\w.\-]*", re.ASCII)

_ORDINARY_URL = re.compile(r"https?://pbs\.twimg\.com/media/([A-Za-z0-9][\w\-]*\.[a-z]+)", re.ASCII)
"""Of most photos, with no need to take it apart."""

_LONGEST_URL = 2_048
"""Characters; the addresses of photos have some 60."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo of a tweet.

    Attributes:
        user_id: whose it is.
        tweet: number of the tweet; later tweets have higher ones.
        place: in the tweet, from 1.
        name: of the file at Twitter, `ABC.jpg`.
    """

    user_id: str
    tweet: int
    position: int
    name: str


def owner_and_tweet(user: object, tweet: object, line: Line) -> tuple[str, int] | None:
    """Id of the user and number of the tweet; where one is missing, that is noted as a loss."""
    number = tweet_number(tweet)
    if number is None:
        line.skip(SkipReason.MISSING_KEY, f"a tweet of user {brief(user)} without an id")
        return None
    owner = id_text(user)
    if owner is None or not is_id(owner):
        line.skip(SkipReason.MISSING_KEY, f"tweet {number} without its user")
        return None
    return owner, number


def id_text(value: object) -> str | None:
    """An id as text; None of what is neither text nor a whole number.

    Numbers with a fraction or an exponent have lost digits, so they are no ids. MongoDB writes
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
    except ValueError:  # of thousands of digits
        return None


def id_of(thing: Record, name: str = "id") -> str | None:
    """The id of a thing, from `<name>_str` before `<name>`, as text."""
    return id_text(thing.get(f"{name}_str")) or id_text(thing.get(name))


def tweet_number(tweet: object) -> int | None:
    """The number that a tweet's id is; None where it is no id of a tweet."""
    text = id_text(tweet)
    if text is None or not _TWEET.fullmatch(text):
        return None
    number = int(text)
    return number if number <= _LARGEST_ID else None


def photo_name(media: Record, url_key: str, what: str, line: Line) -> str | None:
    """Name of a photo's file; None for what is no photo, or has no address."""
    if (media.get("type") or "photo") != "photo":
        line.leave_out(VIDEOS)
        return None
    name = media_name(media.get(url_key) or media.get("media_url"))
    if name is None:
        line.skip(SkipReason.MISSING_KEY, f"{what} has no {url_key}")
    return name


def media_name(url: object) -> str | None:
    """Name of the file that an address stands for; None where it stands for none.

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
    kind = parse_qs(parts.query).get("format", [""])[0]
    if name and "." not in name and kind:
        name = f"{name}.{kind}"
    return name if _NAME.fullmatch(name) else None


def value_of_type(value: Any, kind: type[Kind], name: str, line: Line) -> Kind | None:
    """A value of the kind that it should have; one of another is lost, with the photos in it."""
    if value is None or isinstance(value, kind):
        return value
    line.skip(SkipReason.MALFORMED, f"{name} of a tweet is not as it should be: {brief(value)}")
    return None


def as_object(value: object) -> dict[str, Any]:
    """An object, or an empty one where the value is none."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """A list, or an empty one where the value is none."""
    return value if isinstance(value, list) else []
