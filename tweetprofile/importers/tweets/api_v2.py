"""Tweets of API v2: pages whose media stand in `includes.media`, or tweets that hold their own."""

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
    """The photos of a page (`data`), or of a tweet by itself, as twarc2's `flatten` leaves it.

    Args:
        record: the page or the tweet.
        line: of the dump that it stands in.
    """
    includes = as_object(record.get("includes"))
    media = _by_key(includes.get("media"))
    data = record if record.get("data") is None else record["data"]
    tweets = [*(data if isinstance(data, list) else [data]), *as_list(includes.get("tweets"))]
    if not tweets:
        line.leave_out(EMPTY_PAGES)
    for tweet in tweets:
        if not isinstance(tweet, dict):
            line.skip(SkipReason.MALFORMED, f"a tweet that is no object: {brief(tweet)}")
            continue
        others = map(as_object, as_list(tweet.get("referenced_tweets")))
        # Whole ones are among them where twarc2 has flattened a page.
        whole = (other for other in others if other.get("author_id") is not None)
        for each in (tweet, *whole):
            yield from _photos_of_tweet(each, media, line)


def _photos_of_tweet(tweet: Record, media: Mapping[str, Record], line: Line) -> Iterator[Photo]:
    references = map(as_object, as_list(tweet.get("referenced_tweets")))
    if any(each.get("type") == "retweeted" for each in references):
        line.leave_out(RETWEETS)
        return
    attachments = value_of_type(tweet.get("attachments"), dict, "attachments", line) or {}
    own = _by_key(
        value_of_type(attachments.get("media") or tweet.get("media"), list, "media", line)
    )
    keys = value_of_type(attachments.get("media_keys"), list, "media_keys", line) or list(own)
    if not keys:
        line.leave_out(_what_has_no_media(tweet))
        return
    if (whose := owner_and_tweet(tweet.get("author_id"), tweet.get("id"), line)) is None:
        return
    for place, key in enumerate(map(brief, keys), 1):
        described = own.get(key) or media.get(key)
        if described is None:
            line.skip(SkipReason.UNKNOWN_MEDIA, f"media {key} of tweet {whose[1]} is not described")
        elif name := photo_name(described, "url", f"media {key}", line):
            yield Photo(*whose, place, name)


def _what_has_no_media(tweet: Record) -> str:
    is_user = tweet.get("username") is not None and tweet.get("author_id") is None
    return "descriptions of users, which are no tweets" if is_user else WITHOUT_PHOTOS


def _by_key(media: object) -> dict[str, Record]:
    described = (as_object(each) for each in as_list(media))
    return {each["media_key"]: each for each in described if isinstance(each.get("media_key"), str)}
