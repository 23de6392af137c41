"""Find the photos in tweets of API v2: pages with `includes.media`, or tweets with their media."""

from collections.abc import Iterator, Mapping

from tweetprofile.importers.skipped import Line, SkipReason, brief
from tweetprofile.importers.tweets.photos import (
    EMPTY_PAGES,
    RETWEETS,
    WITHOUT_PHOTOS,
    Photo,
    Record,
    as_list,
    as_object,
    owner_and_tweet,
    photo_name,
    value_of_type,
)


def photos_of_v2(record: Record, line: Line) -> Iterator[Photo]:
    """Yield the photos of a page (`data`), or of one tweet as twarc2's `flatten` leaves it.

    Args:
        record: The page or the tweet.
        line: The line of the dump that it is in.
    """
    includes = as_object(record.get("includes"))
    media = _by_key(includes.get("media"))
    data = record if record.get("data") is None else record["data"]
    tweets = [*(data if isinstance(data, list) else [data]), *as_list(includes.get("tweets"))]
    if not tweets:
        line.leave_out(EMPTY_PAGES)
    for tweet in tweets:
        if not isinstance(tweet, dict):
            line.skip(SkipReason.MALFORMED, f"a tweet is not an object: {brief(tweet)}")
            continue
        referenced = map(as_object, as_list(tweet.get("referenced_tweets")))
        # In a page that twarc2 has flattened, these hold the referenced tweets themselves.
        full_tweets = (other for other in referenced if other.get("author_id") is not None)
        for each in (tweet, *full_tweets):
            yield from _photos_of_tweet(each, media, line)


def _photos_of_tweet(tweet: Record, media: Mapping[str, Record], line: Line) -> Iterator[Photo]:
    referenced = map(as_object, as_list(tweet.get("referenced_tweets")))
    if any(each.get("type") == "retweeted" for each in referenced):
        line.leave_out(RETWEETS)
        return
    attachments = value_of_type(tweet.get("attachments"), dict, "attachments", line) or {}
    inner = attachments.get("media") or tweet.get("media")
    own_media = _by_key(value_of_type(inner, list, "media", line))
    listed = value_of_type(attachments.get("media_keys"), list, "media_keys", line)
    keys = listed or list(own_media)
    if not keys:
        line.leave_out(_without_media(tweet))
        return
    if (found := owner_and_tweet(tweet.get("author_id"), tweet.get("id"), line)) is None:
        return
    owner, number = found
    for position, key in enumerate(map(brief, keys), 1):
        described = own_media.get(key) or media.get(key)
        if described is None:
            what = f"no record describes media {key} of tweet {number}"
            line.skip(SkipReason.UNKNOWN_MEDIA, what)
        elif name := photo_name(described, "url", f"media {key}", line):
            yield Photo(owner, number, position, name)


def _without_media(tweet: Record) -> str:
    """Return what to count a record without media as."""
    is_user = tweet.get("username") is not None and tweet.get("author_id") is None
    return "descriptions of users, which are not tweets" if is_user else WITHOUT_PHOTOS


def _by_key(media: object) -> dict[str, Record]:
    described = (as_object(each) for each in as_list(media))
    return {each["media_key"]: each for each in described if isinstance(each.get("media_key"), str)}
