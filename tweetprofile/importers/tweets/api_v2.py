"""Read tweets of API v2: pages with `includes`, or tweets that hold what belongs to them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tweetprofile.importers.skipped import Line, SkipReason, brief
from tweetprofile.importers.tweets.photos import (
    EMPTY_PAGES,
    RETWEETS,
    Photo,
    Record,
    as_list,
    as_object,
    owner_and_tweet,
    photo_name,
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


@dataclass(frozen=True, slots=True)
class _Includes:
    """What a page holds beside its tweets, by key or id."""

    media: Mapping[str, Record]
    tweets: Mapping[str, Record]
    users: Mapping[str, Record]

    @classmethod
    def of(cls, includes: Record, line: Line) -> "_Includes":
        # Only what is wanted is arranged, as pages hold hundreds of tweets.
        tweets = includes.get("tweets") if line.wanted.retweets else None
        users = includes.get("users") if line.wanted.profile_fields else None
        return cls(
            _by_key(includes.get("media"), "media_key"), _by_key(tweets, "id"), _by_key(users, "id")
        )


def items_of_v2(record: Record, line: Line) -> Iterator[Photo | TweetText | UserProfile]:
    """Yield what a page (`data`) holds, or one tweet as twarc2's `flatten` leaves it.

    Args:
        record: The page or the tweet.
        line: The line of the dump that it is in.
    """
    included = as_object(record.get("includes"))
    includes = _Includes.of(included, line)
    data = record if record.get("data") is None else record["data"]
    tweets = data if isinstance(data, list) else [data]
    inner = as_list(included.get("tweets"))
    if not tweets and not inner:
        line.leave_out(EMPTY_PAGES)
    for number, tweet in enumerate([*tweets, *inner]):
        if not isinstance(tweet, dict):
            line.skip(SkipReason.MALFORMED, f"a tweet is not an object: {brief(tweet)}")
            continue
        referenced = map(as_object, as_list(tweet.get("referenced_tweets")))
        # In a page that twarc2 has flattened, these hold the referenced tweets themselves.
        full_tweets = (other for other in referenced if other.get("author_id") is not None)
        yield from _items_of_tweet(tweet, includes, line, is_inner=number >= len(tweets))
        for each in full_tweets:
            yield from _items_of_tweet(each, includes, line, is_inner=True)


def _items_of_tweet(
    tweet: Record, includes: _Includes, line: Line, *, is_inner: bool
) -> Iterator[Photo | TweetText | UserProfile]:
    referenced = map(as_object, as_list(tweet.get("referenced_tweets")))
    retweeted = next((each for each in referenced if each.get("type") == "retweeted"), None)
    if retweeted is not None and not line.wanted.retweets:
        line.leave_out(RETWEETS)
        return
    text = _text_of(tweet, line)
    keys: list[object] = []
    own_media: dict[str, Record] = {}
    if retweeted is None:
        keys, own_media = _media_of(tweet, line)
    else:
        full = includes.tweets.get(brief(retweeted.get("id")), retweeted)
        text = retweeted_text(text, _text_of(full, line))
    if not keys and text is None:
        line.leave_out(_without_content(tweet, line))
        return
    if (found := owner_and_tweet(tweet.get("author_id"), tweet.get("id"), line)) is None:
        return
    owner, number = found
    if text is not None:
        yield TweetText(owner, number, text, is_inner)
    user = as_object(tweet.get("author")) or includes.users.get(owner, {})
    yield from wanted_profile(owner, number, user, line)
    for position, key in enumerate(map(brief, keys), 1):
        described = own_media.get(key) or includes.media.get(key)
        if described is None:
            what = f"no record describes media {key} of tweet {number}"
            line.skip(SkipReason.UNKNOWN_MEDIA, what)
        elif name := photo_name(described, "url", f"media {key}", line):
            yield Photo(owner, number, position, name)


def _text_of(tweet: Record, line: Line) -> str | None:
    """Return the full text of a tweet; that of a long one is a note."""
    return wanted_text(line, as_object(tweet.get("note_tweet")).get("text"), tweet.get("text"))


def _media_of(tweet: Record, line: Line) -> tuple[list[object], dict[str, Record]]:
    """Return the keys of a tweet's media, and the media that it describes itself."""
    attachments = value_of_type(tweet.get("attachments"), dict, "attachments", line) or {}
    inner = attachments.get("media") or tweet.get("media")
    own_media = _by_key(value_of_type(inner, list, "media", line), "media_key")
    listed = value_of_type(attachments.get("media_keys"), list, "media_keys", line)
    return listed or list(own_media), own_media


def _without_content(tweet: Record, line: Line) -> str:
    """Return what to count a record as that holds neither media nor a text."""
    is_user = tweet.get("username") is not None and tweet.get("author_id") is None
    return "descriptions of users, which are not tweets" if is_user else without_content(line)


def _by_key(described: object, key: str) -> dict[str, Record]:
    records = (as_object(each) for each in as_list(described))
    return {each[key]: each for each in records if isinstance(each.get(key), str)}
