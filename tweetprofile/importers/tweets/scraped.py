"""Read what scrapers write: snscrape, twscrape, twint, and gallery-dl's notes."""

from collections.abc import Iterator
from dataclasses import dataclass

from tweetprofile.importers.skipped import Line, SkipReason, brief
from tweetprofile.importers.tweets.photos import (
    RETWEETS,
    VIDEOS,
    Photo,
    Record,
    as_list,
    as_object,
    id_of,
    media_name,
    owner_and_tweet,
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
from tweetprofile.importers.users import is_image_name

Item = Photo | TweetText | UserProfile

GALLERY_TWEETS = "notes of gallery-dl on tweets, which name no image"

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


def items_of_scraped(record: Record, line: Line) -> Iterator[Item]:
    """Yield what a tweet of snscrape or twscrape holds, and the tweets within it.

    snscrape lists media (`media[].fullUrl`); twscrape groups them (`media.photos[].url`).
    """
    remaining = [record]
    while remaining:
        tweet = remaining.pop()
        remaining += [each for name in _INNER if isinstance(each := tweet.get(name), dict)]
        text, urls = _text_of(tweet, line), None
        if (retweeted := tweet.get("retweetedTweet")) is None:
            urls = _urls(tweet, line)
        elif line.wanted.retweets:
            text = retweeted_text(text, _text_of(as_object(retweeted), line))
        else:
            line.leave_out(RETWEETS)
            continue
        found = _Scraped(as_object(tweet.get("user")), urls or [], text, tweet is not record)
        yield from found.items(id_of(found.user), id_of(tweet), line)


def _text_of(tweet: Record, line: Line) -> str | None:
    return wanted_text(line, tweet.get("rawContent"), tweet.get("content"))


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


def items_of_twint(record: Record, line: Line) -> Iterator[Item]:
    """Yield what a tweet that twint wrote holds."""
    is_retweet = record.get("retweet") is True
    if is_retweet and not line.wanted.retweets:
        line.leave_out(RETWEETS)
        return
    text = wanted_text(line, record.get("tweet"))
    found = _Scraped(record, [] if is_retweet else record["photos"], text, is_inner=False)
    yield from found.items(id_of(record, "user_id"), id_of(record), line)


@dataclass(frozen=True, slots=True)
class _Scraped:
    """What a scraper found in a tweet.

    Attributes:
        user: What it says of the user.
        urls: The addresses of photos.
        text: The text; None if there is none or it is not wanted.
        is_inner: Whether the tweet is within another one.
    """

    user: Record
    urls: list[object]
    text: str | None
    is_inner: bool

    def items(self, user: object, tweet: object, line: Line) -> Iterator[Item]:
        """Yield the text, the profile and the photos."""
        if not self.urls and self.text is None:
            line.leave_out(without_content(line))
            return
        if (found := owner_and_tweet(user, tweet, line)) is None:
            return
        owner, number = found
        if self.text is not None:
            yield TweetText(owner, number, self.text, self.is_inner)
        yield from wanted_profile(owner, number, self.user, line)
        for position, url in enumerate(self.urls, 1):
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


def items_of_gallery_note(record: Record, line: Line) -> Iterator[Item]:
    """Yield the photo that a note of gallery-dl describes, and the text of its tweet.

    `author` wrote the tweet, even a retweeted one; `user` owns the timeline it was found in.
    """
    text = wanted_text(line, record.get("content"))
    file = _file_of(record, line)
    if file is None and text is None:
        return
    author = as_object(record.get("author")) or as_object(record.get("user"))
    if (found := owner_and_tweet(id_of(author), record.get("tweet_id"), line)) is None:
        return
    owner, number = found
    if text is not None:
        is_inner = bool(record.get("retweet_id") or record.get("quote_by"))
        yield TweetText(owner, number, text, is_inner)
    yield from wanted_profile(owner, number, author, line)
    if file is None:
        return
    if (stored := media_name(f"https://pbs.twimg.com/media/{file}")) is None:
        what = f"the file name of the image of tweet {number} is not one that Twitter gives"
        line.skip(SkipReason.MISSING_KEY, what)
        return
    given = record.get("num")
    position = given if isinstance(given, int) and 0 < given <= _HIGHEST_POSITION else 1
    yield Photo(owner, number, position, stored)


def _file_of(record: Record, line: Line) -> str | None:
    """Return the name of the image that a note is on, or None if it is on something else."""
    name = record.get("filename")
    if name is None:
        if not line.wanted.texts:
            line.leave_out(GALLERY_TWEETS)
        return None
    file = f"{brief(name)}.{brief(record.get('extension') or 'jpg')}"
    if (record.get("type") or "photo") != "photo" or not is_image_name(file):
        line.leave_out(VIDEOS)
        return None
    return file
