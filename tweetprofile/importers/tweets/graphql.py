"""Find the photos in tweets as Twitter's website receives them (GraphQL).

Such a tweet has `legacy` next to `rest_id`. The website wraps tweets in many ways, which change
(`tweet_results.result`, `TimelineAddEntries`, ...). So a tweet is recognised by its keys, wherever
it is in a record, and quoted and retweeted tweets are found as well.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tweetprofile.importers.skipped import Line
from tweetprofile.importers.tweets.api_v1 import photos_of_status
from tweetprofile.importers.tweets.photos import Photo, Record, as_object, id_of, id_text

_TWEET_KEYS = ("full_text", "extended_entities", "user_id_str", "conversation_id_str")
"""Keys of the `legacy` of a tweet, which that of a user or of a card lacks."""


def tweets_within(record: Record) -> Iterator[Record]:
    """Yield the tweets anywhere in a record, in no particular order."""
    remaining: list[Any] = [record]
    while remaining:
        each = remaining.pop()
        if isinstance(each, Mapping):
            if _is_tweet(each):
                yield each
            remaining.extend(each.values())
        elif isinstance(each, list):
            remaining.extend(each)


def photos_of_website_tweet(tweet: Record, line: Line) -> Iterator[Photo]:
    """Yield the photos of one tweet, without those of the tweets within it.

    Args:
        tweet: The tweet, with `legacy` and mostly `rest_id` and `core`.
        line: The line of the dump that it is in.
    """
    legacy = as_object(tweet.get("legacy"))
    user_results = as_object(as_object(tweet.get("core")).get("user_results"))
    author = as_object(user_results.get("result"))
    owner = id_text(author.get("rest_id")) or id_of(legacy, "user_id")
    retweeted = legacy.get("retweeted_status_result")
    status = {
        **legacy,
        "id_str": id_text(tweet.get("rest_id")) or id_of(legacy),
        "user": {"id_str": owner},
        "retweeted_status": None if retweeted is None else "within `legacy`, and found there",
        "quoted_status": None,  # next to `legacy`, and found there
    }
    yield from photos_of_status(status, line)


def _is_tweet(value: Mapping[str, Any]) -> bool:
    legacy = value.get("legacy")
    return isinstance(legacy, dict) and any(legacy.get(key) is not None for key in _TWEET_KEYS)
