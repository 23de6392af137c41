"""Read tweets of API v1.1: from endpoints, streams, searches and account archives."""

from collections.abc import Iterator
from dataclasses import dataclass

from tweetprofile.importers.skipped import Line
from tweetprofile.importers.tweets.photos import (
    RETWEETS,
    Photo,
    Record,
    as_object,
    id_of,
    owner_and_tweet,
    photo_name,
    tweet_number,
    value_of_type,
)
from tweetprofile.importers.tweets.texts import (
    TweetText,
    UserProfile,
    retweeted_text,
    wanted_profile,
    wanted_text,
    without_content,
)
from tweetprofile.importers.users import is_id

Item = Photo | TweetText | UserProfile
"""What is found in a tweet."""


def items_of_status(
    status: Record, line: Line, account: str | None = None, *, is_inner: bool = False
) -> Iterator[Item]:
    """Yield the photos and texts of a tweet of API v1.1, and of the tweets within it.

    Args:
        status: The tweet.
        line: The line of the dump that it is in.
        account: The owner of the archive that the tweet comes from, as such a tweet does not name
            its user.
        is_inner: Whether the tweet itself is within another one.
    """
    for each in _status_and_inner(status):
        owner = account if each is status else None
        is_retweet = _is_retweet(each)
        if is_retweet and not line.wanted.retweets:
            line.leave_out(RETWEETS)
        else:
            text = _Text(_text_of(each, line), is_inner or each is not status)
            yield from _own_items(each, line, owner, text, without_photos=is_retweet)


@dataclass(frozen=True, slots=True)
class _Text:
    """The text of a tweet, and whether the tweet is within another one."""

    text: str | None
    is_inner: bool


def _text_of(status: Record, line: Line) -> str | None:
    """Return the full text of a tweet.

    Streams hide it in `extended_tweet`; that of a retweet is within the retweeted tweet.
    """
    full = as_object(status.get("extended_tweet")).get("full_text")
    own = wanted_text(line, full, status.get("full_text"), status.get("text"))
    retweeted = status.get("retweeted_status")
    if own is None or not isinstance(retweeted, dict):
        return own
    extended = as_object(retweeted.get("extended_tweet"))
    values = (extended.get("full_text"), retweeted.get("full_text"), retweeted.get("text"))
    return retweeted_text(own, wanted_text(line, *values))


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


def _own_items(
    status: Record, line: Line, account: str | None, text: _Text, *, without_photos: bool
) -> Iterator[Item]:
    media = [] if without_photos else _media_of(status, line)
    if not media and text.text is None:
        line.leave_out(without_content(line))
        return
    author = as_object(status.get("user"))
    user = account or id_of(author) or id_of(status, "user_id")
    if (found := owner_and_tweet(user, id_of(status), line)) is None:
        return
    owner, number = found
    if text.text is not None:
        yield TweetText(owner, number, text.text, text.is_inner)
    yield from wanted_profile(owner, number, author, line)
    yield from _photos(media, found, line, account)


def _photos(
    media: list[Record], tweet: tuple[str, int], line: Line, account: str | None
) -> Iterator[Photo]:
    owner, number = tweet
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
