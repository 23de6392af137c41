"""Recognise the shape of a record, of all that crawlers keep, and find photos and texts in it.

A field that is null counts as missing. The photos of a retweet belong to its author, and so does a
photo that a tweet shows from another tweet. The text of a quoted or retweeted tweet belongs to its
author, too, and is marked, as most authors of such tweets are not in the dump otherwise.
"""

from collections.abc import Callable, Collection, Iterator

from tweetprofile.importers.skipped import Line, SkipReason, brief
from tweetprofile.importers.tweets.api_v1 import Item, items_of_status
from tweetprofile.importers.tweets.api_v2 import items_of_v2
from tweetprofile.importers.tweets.graphql import items_of_website_tweet, tweets_within
from tweetprofile.importers.tweets.photos import EMPTY_PAGES, Record, as_object
from tweetprofile.importers.tweets.scraped import (
    is_gallery_note,
    is_scraped,
    is_twint,
    items_of_gallery_note,
    items_of_scraped,
    items_of_twint,
)

_NOTICES = frozenset(
    {"delete", "limit", "scrub_geo", "status_withheld", "user_withheld", "warning", "disconnect",
     "friends", "event", "control", "heartbeat", "meta", "errors", "__twarc"}
)  # fmt: skip
"""Keys of what streams and pages send besides tweets."""

_WRAPPERS = ("tweet", "_source", "doc", "status", "_json", "json", "raw")
"""Keys under which databases and scripts keep a tweet."""

_MOST_WRAPPERS = 8

_ENTITIES = ("extended_entities", "entities")

Reader = Callable[[Record, Line], Iterator[Item]]


def items_of(record: Record, line: Line) -> Iterator[Item]:
    """Yield what is found in a record: a tweet, a page of tweets, or a notice without any.

    Args:
        record: The JSON object.
        line: The line of the dump that it starts in.
    """
    if found := _reader_within(record):
        reader, unwrapped = found
        yield from reader(unwrapped, line)
        return
    is_of_website = False
    for tweet, is_inner in tweets_within(record):
        is_of_website = True
        yield from items_of_website_tweet(tweet, line, is_inner=is_inner)
    if is_of_website:
        return
    keys = {key for key, value in record.items() if value is not None}
    if _NOTICES & keys:
        line.leave_out("notices that are not tweets")
    else:
        shown = ", ".join(sorted(keys)[:9])[:80] or "missing"
        line.skip(SkipReason.UNKNOWN_SHAPE, f"its keys are {shown}")


def _reader_within(record: Record) -> tuple[Reader, Record] | None:
    """Return what reads a record, and the record without what is wrapped around it."""
    for _ in range(_MOST_WRAPPERS):
        if reader := _reader_of(record):
            return reader, record
        inner = (record.get(name) for name in _WRAPPERS)
        wrapped = next((each for each in inner if isinstance(each, dict)), None)
        if wrapped is None:
            return None
        record = wrapped
    return None


def _reader_of(record: Record) -> Reader | None:
    """Return what reads records of this shape, or None for another shape."""
    for has_shape, reader in _SHAPES:
        if has_shape(record):
            return reader
    return None


def _is_v2(record: Record) -> bool:
    data = record.get("data")
    if data is None:
        return record.get("author_id") is not None
    is_of_website = isinstance(data, dict) and data.get("id") is None
    return not is_of_website


def _is_status(record: Record) -> bool:
    if record.get("user") is not None:
        return True
    has_entities = any(isinstance(record.get(name), dict) for name in _ENTITIES)
    return has_entities and record.get("user_id_str") is not None


def _is_search(record: Record) -> bool:
    return isinstance(record.get("statuses"), list)


def _has_global_objects(record: Record) -> bool:
    return isinstance(as_object(record.get("globalObjects")).get("tweets"), dict)


def _items_of_search(record: Record, line: Line) -> Iterator[Item]:
    """Yield what is found in a page of search results of API v1.1."""
    return _items_of_all(record["statuses"], line)


def _items_of_global_objects(record: Record, line: Line) -> Iterator[Item]:
    """Yield what is found in tweets by their ids, as the website received them until 2022."""
    return _items_of_all(record["globalObjects"]["tweets"].values(), line)


def _items_of_all(statuses: Collection[object], line: Line) -> Iterator[Item]:
    if not statuses:
        line.leave_out(EMPTY_PAGES)
    for status in statuses:
        if isinstance(status, dict):
            yield from items_of_status(status, line)
        else:
            line.skip(SkipReason.MALFORMED, f"a tweet is not an object: {brief(status)}")


_SHAPES: tuple[tuple[Callable[[Record], bool], Reader], ...] = (
    (_is_v2, items_of_v2),
    (is_gallery_note, items_of_gallery_note),
    (is_scraped, items_of_scraped),
    (_is_status, items_of_status),
    (_is_search, _items_of_search),
    (_has_global_objects, _items_of_global_objects),
    (is_twint, items_of_twint),
)
"""How to recognise each shape, and what reads it; the first that fits counts."""
