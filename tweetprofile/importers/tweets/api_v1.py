"""Find the photos in tweets of API v1.1: from endpoints, streams, searches and account archives."""

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
    """Yield the photos of a tweet of API v1.1, and of the tweets within it.

    Args:
        status: The tweet.
        line: The line of the dump that it is in.
        account: The owner of the archive that the tweet comes from, as such a tweet does not name
            its user.
    """
    for each in _status_and_inner(status):
        owner = account if each is status else None
        if _is_retweet(each):
            line.leave_out(RETWEETS)
        else:
            yield from _own_photos(each, line, owner)


def _is_retweet(status: Record) -> bool:
    """Return whether a tweet holds a retweeted one, or names one elsewhere as the website does."""
    get = status.get
    return get("retweeted_status") is not None or get("retweeted_status_id_str") is not None


def _status_and_inner(status: Record) -> Iterator[Record]:
    """Yield a tweet and the tweets within it."""
    remaining = [status]
    while remaining:
        status = remaining.pop()
        yield status
        inner = (status.get(name) for name in ("retweeted_status", "quoted_status"))
        remaining += [each for each in inner if isinstance(each, dict)]


def _own_photos(status: Record, line: Line, account: str | None) -> Iterator[Photo]:
    media = _media_of(status, line)
    if not media:
        line.leave_out(WITHOUT_PHOTOS)
        return
    user = account or id_of(as_object(status.get("user"))) or id_of(status, "user_id")
    if (found := owner_and_tweet(user, id_of(status), line)) is None:
        return
    owner, number = found
    for position, each in enumerate(media, 1):
        name = photo_name(each, "media_url_https", f"media of tweet {number}", line)
        source = id_of(each, "source_user_id")
        source = source if is_id(source) else None
        if name and account is not None and source not in (None, account):
            line.leave_out("photos of others in a tweet")
        elif name:
            source_tweet = tweet_number(id_of(each, "source_status_id"))
            yield Photo(source or owner, source_tweet or number, position, name)


def _media_of(status: Record, line: Line) -> list[Record]:
    """Return the media of the full tweet.

    Streams hide the full tweet in `extended_tweet`, and `entities` has its first photo only.
    """
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
