"""Find the photos in what scrapers write: snscrape, twscrape, twint, and gallery-dl's notes."""

from collections.abc import Iterator

from tweetprofile.importers.skipped import Line, SkipReason, brief
from tweetprofile.importers.tweets.photos import (
    RETWEETS,
    VIDEOS,
    WITHOUT_PHOTOS,
    Photo,
    Record,
    as_list,
    as_object,
    id_of,
    media_name,
    owner_and_tweet,
    value_of_type,
)
from tweetprofile.importers.users import is_image_name

_INNER = ("retweetedTweet", "quotedTweet")

_HIGHEST_POSITION = 999
"""The highest `num` of a gallery-dl note that is taken for a position in the tweet."""


def is_scraped(record: Record) -> bool:
    """Return whether a record is a tweet of snscrape or twscrape, and not of API v1.1."""
    get = record.get
    if get("user") is None:
        return False
    kind = get("_type")
    if get("media") is not None or (isinstance(kind, str) and kind.startswith("snscrape.")):
        return True
    return get("retweetedTweet") is not None or get("quotedTweet") is not None


def photos_of_scraped(record: Record, line: Line) -> Iterator[Photo]:
    """Yield the photos of a tweet of snscrape or twscrape, and of the tweets within it.

    snscrape lists media (`media[].fullUrl`); twscrape groups them (`media.photos[].url`).
    """
    remaining = [record]
    while remaining:
        tweet = remaining.pop()
        remaining += [each for name in _INNER if isinstance(each := tweet.get(name), dict)]
        if tweet.get("retweetedTweet") is not None:
            line.leave_out(RETWEETS)
            continue
        urls = _urls(tweet, line)
        owner = id_of(as_object(tweet.get("user")))
        yield from _photos(urls, owner, id_of(tweet), line)


def _urls(tweet: Record, line: Line) -> list[object]:
    """Return the addresses of a tweet's photos."""
    media = tweet.get("media")
    if isinstance(media, dict):
        for name in ("videos", "animated"):
            line.leave_out(VIDEOS, len(as_list(media.get(name))))
        photos = value_of_type(media.get("photos"), list, "media.photos", line) or []
        return [as_object(each).get("url") for each in photos]
    found: list[object] = []
    for each in map(as_object, value_of_type(media, list, "media", line) or []):
        if any(each.get(name) is not None for name in ("variants", "thumbnailUrl")):
            line.leave_out(VIDEOS)
        else:
            found.append(each.get("fullUrl") or each.get("previewUrl"))
    return found


def is_twint(record: Record) -> bool:
    """Return whether a record is a tweet of twint, which lists addresses in `photos`."""
    return record.get("user_id") is not None and isinstance(record.get("photos"), list)


def photos_of_twint(record: Record, line: Line) -> Iterator[Photo]:
    """Yield the photos of a tweet that twint wrote."""
    if record.get("retweet") is True:
        line.leave_out(RETWEETS)
        return
    yield from _photos(record["photos"], id_of(record, "user_id"), id_of(record), line)


def _photos(urls: list[object], user: object, tweet: object, line: Line) -> Iterator[Photo]:
    if not urls:
        line.leave_out(WITHOUT_PHOTOS)
        return
    if (found := owner_and_tweet(user, tweet, line)) is None:
        return
    owner, number = found
    for position, url in enumerate(urls, 1):
        if name := media_name(url):
            yield Photo(owner, number, position, name)
        else:
            what = f"photo {position} of tweet {number} has no address"
            line.skip(SkipReason.MISSING_KEY, what)


def is_gallery_note(record: Record) -> bool:
    """Return whether a record is gallery-dl's note on an image or on a tweet."""
    if record.get("tweet_id") is None:
        return False
    return isinstance(record.get("author"), dict) or isinstance(record.get("user"), dict)


def photos_of_gallery_note(record: Record, line: Line) -> Iterator[Photo]:
    """Yield the photo that a note of gallery-dl describes.

    `author` wrote the tweet, even a retweeted one; `user` owns the timeline it was found in.
    """
    name = record.get("filename")
    if name is None:
        line.leave_out("notes of gallery-dl on tweets, which name no image")
        return
    file = f"{brief(name)}.{brief(record.get('extension') or 'jpg')}"
    if (record.get("type") or "photo") != "photo" or not is_image_name(file):
        line.leave_out(VIDEOS)
        return
    author = as_object(record.get("author")) or as_object(record.get("user"))
    if (found := owner_and_tweet(id_of(author), record.get("tweet_id"), line)) is None:
        return
    owner, number = found
    if (stored := media_name(f"https://pbs.twimg.com/media/{file}")) is None:
        what = f"the file name of the image of tweet {number} is not one that Twitter gives"
        line.skip(SkipReason.MISSING_KEY, what)
        return
    given = record.get("num")
    position = given if isinstance(given, int) and 0 < given <= _HIGHEST_POSITION else 1
    yield Photo(owner, number, position, stored)
