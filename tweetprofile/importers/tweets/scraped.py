"""Tweets as scrapers write them: snscrape, twscrape, twint, and gallery-dl's notes on images."""

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


def is_scraped(record: Record) -> bool:
    """Whether a record is a tweet of snscrape or twscrape, and not of API v1.1."""
    get = record.get
    if get("user") is None:
        return False
    kind = get("_type")
    if get("media") is not None or (isinstance(kind, str) and kind.startswith("snscrape.")):
        return True
    return get("retweetedTweet") is not None or get("quotedTweet") is not None


def photos_of_scraped(record: Record, line: Line) -> Iterator[Photo]:
    """The photos of a tweet of snscrape or twscrape, and of those within it.

    snscrape lists media (`media[].fullUrl`); twscrape groups them (`media.photos[].url`).
    """
    waiting = [record]
    while waiting:
        tweet = waiting.pop()
        waiting += [each for name in _INNER if isinstance(each := tweet.get(name), dict)]
        if tweet.get("retweetedTweet") is not None:
            line.leave_out(RETWEETS)
            continue
        urls = _urls(tweet, line)
        owner = id_of(as_object(tweet.get("user")))
        yield from _photos(urls, owner, id_of(tweet), line)


def _urls(tweet: Record, line: Line) -> list[object]:
    """Addresses of a tweet's photos."""
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
    """Whether a record is of twint, which lists the addresses of `photos`."""
    return record.get("user_id") is not None and isinstance(record.get("photos"), list)


def photos_of_twint(record: Record, line: Line) -> Iterator[Photo]:
    """The photos of a tweet that twint wrote."""
    if record.get("retweet") is True:
        line.leave_out(RETWEETS)
        return
    yield from _photos(record["photos"], id_of(record, "user_id"), id_of(record), line)


def _photos(urls: list[object], owner: object, tweet: object, line: Line) -> Iterator[Photo]:
    if not urls:
        line.leave_out(WITHOUT_PHOTOS)
    elif whose := owner_and_tweet(owner, tweet, line):
        for place, url in enumerate(urls, 1):
            if name := media_name(url):
                yield Photo(*whose, place, name)
            else:
                line.skip(
                    SkipReason.MISSING_KEY, f"photo {place} of tweet {whose[1]} has no address"
                )


def is_gallery_note(record: Record) -> bool:
    """Whether a record is what gallery-dl notes of an image or of a tweet."""
    if record.get("tweet_id") is None:
        return False
    return isinstance(record.get("author"), dict) or isinstance(record.get("user"), dict)


def photos_of_gallery_note(record: Record, line: Line) -> Iterator[Photo]:
    """The photo that a note of gallery-dl is on.

    `author` has written the tweet, a retweeted one too; `user` is whose timeline it was found in.
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
    whose = owner_and_tweet(id_of(author), record.get("tweet_id"), line)
    stored = media_name(f"https://pbs.twimg.com/media/{file}")
    if whose is not None and stored is None:
        line.skip(SkipReason.MISSING_KEY, f"the image of tweet {whose[1]} has no name of Twitter's")
    elif whose is not None and stored is not None:
        number = record.get("num")
        place = number if isinstance(number, int) and 0 < number < 1_000 else 1
        yield Photo(*whose, place, stored)
