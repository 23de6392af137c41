"""Tweets of API v1.1: of its endpoints, of streams, of searches, and of account archives."""

from collections.abc import Iterator

from tweetprofile.importers.skipped import Line
from tweetprofile.importers.tweets.photos import (
    RETWEETS,
    WITHOUT_PHOTOS,
    Photo,
    Record,
    as_object,
    id_of,
    owner_and_tweet,
    photo_name,
    tweet_number,
    value_of_type,
)
from tweetprofile.importers.users import is_id


def photos_of_status(status: Record, line: Line, account: str | None = None) -> Iterator[Photo]:
    """The photos of a tweet of API v1.1, and of those within it.

    Args:
        status: the tweet.
        line: of the dump that it stands in.
        account: the owner of the archive that the tweet is out of, which does not name its user.
    """
    for each in _statuses(status):
        owner = account if each is status else None
        if _is_retweet(each):
            line.leave_out(RETWEETS)
        else:
            yield from _own_photos(each, line, owner)


def _is_retweet(status: Record) -> bool:
    """Whether a tweet holds a retweeted one, or names one that stands elsewhere, as the website."""
    get = status.get
    return get("retweeted_status") is not None or get("retweeted_status_id_str") is not None


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
    if not media:
        line.leave_out(WITHOUT_PHOTOS)
        return
    user = account or id_of(as_object(status.get("user"))) or id_of(status, "user_id")
    if (whose := owner_and_tweet(user, id_of(status), line)) is None:
        return
    for place, each in enumerate(media, 1):
        name = photo_name(each, "media_url_https", f"media of tweet {whose[1]}", line)
        source = id_of(each, "source_user_id")
        source = source if is_id(source) else None
        if name and account is not None and source not in (None, account):
            line.leave_out("photos of others in a tweet")
        elif name:
            tweet = tweet_number(id_of(each, "source_status_id"))
            yield Photo(source or whose[0], tweet or whose[1], place, name)


def _media_of_status(status: Record, line: Line) -> list[Record]:
    """Those of the whole tweet, which streams hide in `extended_tweet`; `entities` has one only."""
    extended = as_object(status.get("extended_tweet"))
    for each, name in (
        (extended, "extended_entities"),
        (status, "extended_entities"),
        (extended, "entities"),
        (status, "entities"),
    ):
        entities = value_of_type(each.get(name), dict, name, line) or {}
        if media := value_of_type(entities.get("media"), list, "media", line):
            return [as_object(one) for one in media]
    return []
