"""Read tweets as Twitter's website receives them (GraphQL).

Such a tweet has `legacy` next to `rest_id`. The website wraps tweets in many ways, which change
(`tweet_results.result`, `TimelineAddEntries`, ...). So a tweet is recognised by its keys, wherever
it is in a record, and quoted and retweeted tweets are found as well.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tweetprofile.importers.skipped import Line
from tweetprofile.importers.tweets.api_v1 import Item, items_of_status
from tweetprofile.importers.tweets.photos import Record, as_object, id_of, id_text
from tweetprofile.importers.tweets.texts import retweeted_text

_TWEET_KEYS = ("full_text", "extended_entities", "user_id_str", "conversation_id_str")
"""Keys of the `legacy` of a tweet, which that of a user or of a card lacks."""


def tweets_within(record: Record) -> Iterator[tuple[Record, bool]]:
    """Yield the tweets anywhere in a record, in no particular order.

    Each comes with whether it is within another one.
    """
    remaining: list[tuple[Any, bool]] = [(record, False)]
    while remaining:
        each, is_inner = remaining.pop()
        if isinstance(each, Mapping):
            is_tweet = _is_tweet(each)
            if is_tweet:
                yield each, is_inner
            remaining.extend((value, is_inner or is_tweet) for value in each.values())
        elif isinstance(each, list):
            remaining.extend((value, is_inner) for value in each)


def items_of_website_tweet(tweet: Record, line: Line, *, is_inner: bool) -> Iterator[Item]:
    """Yield the photos and the text of one tweet, without those of the tweets within it.

    Args:
        tweet: The tweet, with `legacy` and mostly `rest_id` and `core`.
        line: The line of the dump that it is in.
        is_inner: Whether it is within another one.
    """
    legacy = as_object(tweet.get("legacy"))
    user_results = as_object(as_object(tweet.get("core")).get("user_results"))
    author = as_object(user_results.get("result"))
    owner = id_text(author.get("rest_id")) or id_of(legacy, "user_id")
    user = {**as_object(author.get("legacy")), **as_object(author.get("core")), "id_str": owner}
    retweeted = legacy.get("retweeted_status_result")
    full = _full_text(tweet)
    if retweeted is not None:
        within = _full_text(as_object(as_object(retweeted).get("result")))
        full = retweeted_text(full, within)
    status = {
        **legacy,
        "full_text": full,
        "id_str": id_text(tweet.get("rest_id")) or id_of(legacy),
        "user": user,
        "retweeted_status": None if retweeted is None else "within `legacy`, and found there",
        "quoted_status": None,  # next to `legacy`, and found there
    }
    yield from items_of_status(status, line, is_inner=is_inner)


def _full_text(tweet: Record) -> str | None:
    """Return the text of a tweet; that of a long one is a note next to `legacy`.

    A tweet that few may see is itself within `tweet`.
    """
    tweet = as_object(tweet.get("tweet")) or tweet
    results = as_object(as_object(tweet.get("note_tweet")).get("note_tweet_results"))
    values = (as_object(results.get("result")).get("text"),
              as_object(tweet.get("legacy")).get("full_text"))  # fmt: skip
    return next((each for each in values if isinstance(each, str) and each), None)


def _is_tweet(value: Mapping[str, Any]) -> bool:
    legacy = value.get("legacy")
    return isinstance(legacy, dict) and any(legacy.get(key) is not None for key in _TWEET_KEYS)
