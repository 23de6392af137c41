"""Tweets of every shape that crawlers keep, and the photos in them, each with whose it is.

Two APIs, each in several shapes:

- v2: a page of tweets (`data`) whose media stand in `includes.media`; or a tweet by itself, with
  its media within its attachments, as twarc2's `flatten` leaves it.
- v1.1: a tweet with its `user` and `extended_entities`, as in streams, the Internet Archive's too.

Photos of a retweet are its author's. So is a photo that a tweet shows out of another tweet.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from tweetprofile.importers.losses import Line, Loss, brief
from tweetprofile.importers.users import is_id

Record = Mapping[str, Any]

Kind = TypeVar("Kind", dict[str, Any], list[Any])

_NOTICES = frozenset(
    {"delete", "limit", "scrub_geo", "status_withheld", "user_withheld", "warning", "disconnect",
     "friends", "event", "control", "heartbeat", "meta", "errors", "__twarc"}
)  # fmt: skip
"""What streams and pages send beside tweets."""

RETWEETS = "retweets, whose photos are their authors'"

_LARGEST_ID = (1 << 63) - 1

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
    place: int
    name: str


def photos_of(record: Record, line: Line) -> Iterator[Photo]:
    """The photos of a line: of a page of tweets, a tweet, or a notice without any.

    Args:
        record: the JSON object of the line.
        line: of the dump that it stands in.
    """
    if "data" in record or "author_id" in record:
        yield from _photos_of_page(record, line)
    elif "user" in record:
        yield from photos_of_status(record, line)
    elif _NOTICES.intersection(record):
        line.set_aside("notices that are no tweets")
    else:
        line.lost(
            Loss.MISSING_KEY, f"no tweet: it has {', '.join(sorted(record)[:9])[:80] or 'no key'}"
        )


# --- v2 ----------------------------------------------------------------------------------------


def _photos_of_page(record: Record, line: Line) -> Iterator[Photo]:
    includes = _mapping(record.get("includes"))
    media = _by_key(includes.get("media"))
    data = record.get("data", record)
    tweets = [*(data if isinstance(data, list) else [data]), *_list(includes.get("tweets"))]
    for tweet in tweets:
        if not isinstance(tweet, dict):
            line.lost(Loss.MALFORMED, f"a tweet that is no object: {brief(tweet)}")
            continue
        others = map(_mapping, _list(tweet.get("referenced_tweets")))
        # Whole ones are among them where twarc2 has flattened a page.
        for each in (tweet, *(other for other in others if "author_id" in other)):
            yield from _photos_of_tweet(each, media, line)


def _photos_of_tweet(tweet: Record, media: Mapping[str, Record], line: Line) -> Iterator[Photo]:
    references = map(_mapping, _list(tweet.get("referenced_tweets")))
    if any(each.get("type") == "retweeted" for each in references):
        line.set_aside(RETWEETS)
        return
    attachments = _checked(tweet.get("attachments"), dict, "attachments", line) or {}
    own = _by_key(_checked(attachments.get("media"), list, "media", line))
    keys = _checked(attachments.get("media_keys"), list, "media_keys", line) or list(own)
    if not keys or (whose := _who_and_which(tweet.get("author_id"), tweet.get("id"), line)) is None:
        return
    for place, key in enumerate(map(brief, keys), 1):
        described = own.get(key) or media.get(key)
        if described is None:
            line.lost(Loss.UNKNOWN_MEDIA, f"media {key} of tweet {whose[1]} is not described")
        elif name := _photo_name(described, "url", f"media {key}", line):
            yield Photo(*whose, place, name)


def _by_key(media: object) -> dict[str, Record]:
    described = (_mapping(each) for each in _list(media))
    return {each["media_key"]: each for each in described if isinstance(each.get("media_key"), str)}


# --- v1.1 --------------------------------------------------------------------------------------


def photos_of_status(status: Record, line: Line, account: str | None = None) -> Iterator[Photo]:
    """The photos of a tweet of API v1.1, and of those within it.

    Args:
        status: the tweet.
        line: of the dump that it stands in.
        account: whose it is, where it does not say so itself.
    """
    for each in _statuses(status):
        owner = account if each is status else None
        if "retweeted_status" in each:
            line.set_aside(RETWEETS)
        else:
            yield from _own_photos(each, line, owner)


def _statuses(status: Record) -> Iterator[Record]:
    """A tweet and those within it."""
    open_ones = [status]
    while open_ones:
        status = open_ones.pop()
        yield status
        inner = (status.get(name) for name in ("retweeted_status", "quoted_status"))
        open_ones += [each for each in inner if isinstance(each, dict)]


def _own_photos(status: Record, line: Line, account: str | None) -> Iterator[Photo]:
    media = _media_of_status(status, line)
    user = account or _id_of(_mapping(status.get("user")))
    if not media or (whose := _who_and_which(user, _id_of(status), line)) is None:
        return
    for place, each in enumerate(media, 1):
        name = _photo_name(each, "media_url_https", f"media of tweet {whose[1]}", line)
        source = _id_of(each, "source_user_id")
        source = source if is_id(source) else None
        if name and account is not None and source not in (None, account):
            line.set_aside("photos of others in a tweet")
        elif name:
            tweet = _tweet_number(_id_of(each, "source_status_id"))
            yield Photo(source or whose[0], tweet or whose[1], place, name)


def _media_of_status(status: Record, line: Line) -> list[Record]:
    """Those of the whole tweet, which streams hide in `extended_tweet`; `entities` has one only."""
    extended = _mapping(status.get("extended_tweet"))
    for each, name in (
        (extended, "extended_entities"),
        (status, "extended_entities"),
        (extended, "entities"),
        (status, "entities"),
    ):
        entities = _checked(each.get(name), dict, name, line) or {}
        if media := _checked(entities.get("media"), list, "media", line):
            return [_mapping(one) for one in media]
    return []


def _id_of(thing: Record, name: str = "id") -> str | None:
    """Its id as text; None of one that is neither text nor a whole number."""
    for value in (thing.get(f"{name}_str"), thing.get(name)):
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return None


# --- both --------------------------------------------------------------------------------------


def _who_and_which(user: object, tweet: object, line: Line) -> tuple[str, int] | None:
    """Id of the user and number of the tweet, where there are both."""
    number = _tweet_number(tweet)
    if number is None:
        line.lost(Loss.MISSING_KEY, f"a tweet of user {brief(user)} without an id")
        return None
    if not isinstance(user, str) or not is_id(user):
        line.lost(Loss.MISSING_KEY, f"tweet {number} without its user")
        return None
    return user, number


def _tweet_number(tweet: object) -> int | None:
    if not isinstance(tweet, str) or not re.fullmatch("[0-9]{1,19}", tweet):
        return None
    number = int(tweet)
    return number if number <= _LARGEST_ID else None


def _photo_name(media: Record, url_key: str, what: str, line: Line) -> str | None:
    """Name of the photo's file; None for what is no photo, or has no address."""
    kind = media.get("type", "photo")
    if kind != "photo":
        line.set_aside("videos and animations")
        return None
    name = media_name(media.get(url_key) or media.get("media_url"))
    if name is None:
        line.lost(Loss.MISSING_KEY, f"{what} has no {url_key}")
    return name


def media_name(url: object) -> str | None:
    """Name of the file that an address stands for; None where it stands for none.

    `https://pbs.twimg.com/media/ABC?format=jpg&name=large` and `.../ABC.jpg:large` are `ABC.jpg`.
    """
    if not isinstance(url, str) or len(url) > _LONGEST_URL:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:  # http://[
        return None
    name = parts.path.rpartition("/")[2].partition(":")[0]
    kind = parse_qs(parts.query).get("format", [""])[0]
    if name and "." not in name and kind:
        name = f"{name}.{kind}"
    plain = re.fullmatch(r"[\w\-][\w.\-]*", name, re.ASCII)
    return name if plain else None


def _checked(value: Any, kind: type[Kind], name: str, line: Line) -> Kind | None:
    """A value of the kind that it should have; one of another is lost, with the photos in it."""
    if value is None or isinstance(value, kind):
        return value
    line.lost(Loss.MALFORMED, f"{name} of a tweet is not as it should be: {brief(value)}")
    return None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
