"""Tweets as Twitter's website gets them (GraphQL): `legacy` beside `rest_id`, however deep.

The website wraps a tweet in many ways (`tweet_results.result`, `TimelineAddEntries`, ...), and
these change. A tweet is known by what it is and not by where it stands, so all that a record holds
is looked through, tweets that are quoted or retweeted included.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tweetprofile.importers.skipped import Line
from tweetprofile.importers.tweets.api_v1 import photos_of_status
from tweetprofile.importers.tweets.photos import Photo, Record, as_object, id_of, id_text

_OF_TWEETS = ("full_text", "extended_entities", "user_id_str", "conversation_id_str")
"""What the `legacy` of a tweet holds, and that of a user or of a card does not."""


def tweets_within(record: Record) -> Iterator[Record]:
    """The tweets that stand anywhere in a record, in no particular order."""
    waiting: list[Any] = [record]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            if _is_tweet(each):
                yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def photos_of_website_tweet(tweet: Record, line: Line) -> Iterator[Photo]:
    """The photos of one tweet, without those of tweets within it.

    Args:
        tweet: has `legacy`, and mostly `rest_id` and `core`.
        line: of the dump that it stands in.
    """
    legacy = as_object(tweet.get("legacy"))
    author = as_object(as_object(as_object(tweet.get("core")).get("user_results")).get("result"))
    owner = id_text(author.get("rest_id")) or id_of(legacy, "user_id")
    retweeted = legacy.get("retweeted_status_result")
    status = {
        **legacy,
        "id_str": id_text(tweet.get("rest_id")) or id_of(legacy),
        "user": {"id_str": owner},
        "retweeted_status": None if retweeted is None else "stands within, and is found there",
        "quoted_status": None,  # stands beside `legacy`, and is a tweet by itself
    }
    yield from photos_of_status(status, line)


def _is_tweet(value: Mapping[str, Any]) -> bool:
    legacy = value.get("legacy")
    return isinstance(legacy, dict) and any(legacy.get(key) is not None for key in _OF_TWEETS)
