"""Texts of tweets, and what profiles say: what all shapes of tweets have in common.

Twitter escapes `&`, `<` and `>` in the texts that it returns, which is undone here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tweetprofile.importers.skipped import Line
from tweetprofile.importers.tweets.photos import WITHOUT_PHOTOS, Record
from tweetprofile.importers.users import clean_text

WITHOUT_CONTENT = "tweets without photos or text"

_RETWEET_START = re.compile(r"RT @\w+: ")


@dataclass(frozen=True, slots=True)
class TweetText:
    """The text of a tweet.

    Attributes:
        user_id: The user who wrote it, or who retweeted it.
        tweet: The number of the tweet; later tweets have higher numbers.
        text: The text.
        is_inner: Whether it is in the dump only because another tweet quotes or retweets it.
    """

    user_id: str
    tweet: int
    text: str
    is_inner: bool


@dataclass(frozen=True, slots=True)
class UserProfile:
    """What the profile of a user said at the time of a tweet.

    Attributes:
        user_id: The user.
        tweet: The number of the tweet.
        fields: The texts, in the order of `PROFILE_FIELDS`; None for one that is missing.
    """

    user_id: str
    tweet: int
    fields: tuple[str | None, str | None, str | None]


def wanted_text(line: Line, *values: object) -> str | None:
    """Return the first value that is a text, as it was written; None if texts are not wanted.

    Args:
        line: The line that it is in.
        values: What may be the text of the tweet, the most complete first.
    """
    if not line.wanted.texts:
        return None
    text = next((each for each in values if isinstance(each, str) and each.strip()), None)
    return clean_text(unescaped(text), line.leave_out) if text is not None else None


def unescaped(text: str) -> str:
    """Return a text with `&`, `<` and `>` in place of the entities for them."""
    if "&" not in text:
        return text
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def retweeted_text(own: str | None, inner: str | None) -> str | None:
    """Return the text of a retweet, which Twitter cuts, completed from the retweeted tweet.

    Args:
        own: The text of the retweet, such as `RT @ada: the beginn…`.
        inner: The text of the tweet within, if the dump holds it.
    """
    start = _RETWEET_START.match(own or "")
    return start[0] + inner if start and inner else own or inner


def without_content(line: Line) -> str:
    """Return what to count a tweet as from which nothing is taken."""
    return WITHOUT_CONTENT if line.wanted.texts else WITHOUT_PHOTOS


def wanted_profile(user_id: str, tweet: int, user: Record, line: Line) -> Iterator[UserProfile]:
    """Yield what a tweet says of its user, if it says anything and profile fields are wanted.

    gallery-dl calls the name `nick`, and the screen name `name`.
    """
    if not line.wanted.profile_fields:
        return
    get = user.get
    candidates = (
        (get("displayname"), get("nick"), get("name")),
        (get("screen_name"), get("username"), get("name") if get("nick") is not None else None),
        (get("rawDescription"), get("description")),
    )
    name, screen_name, description = (_field(line, *values) for values in candidates)
    if name or screen_name or description:
        yield UserProfile(user_id, tweet, (name, screen_name, description))


def _field(line: Line, *values: object) -> str | None:
    text = next((each for each in values if isinstance(each, str) and each.strip()), None)
    return clean_text(unescaped(text), line.leave_out) if text is not None else None
