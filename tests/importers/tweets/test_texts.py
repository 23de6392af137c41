"""Tweets of every shape give the same text, in full and as it was written."""

from pathlib import Path
from typing import Any

import pytest

from tests.importers.tweets.test_shapes import (
    gallery_note,
    snscrape,
    status,
    twint,
    twscrape,
    website,
)
from tweetprofile.importers.skipped import Line, Skipped, Wanted
from tweetprofile.importers.tweets.photos import Photo
from tweetprofile.importers.tweets.shapes import items_of
from tweetprofile.importers.tweets.texts import TweetText, UserProfile
from tweetprofile.importers.users import LONGEST_TEXT, TEXTS_CUT

Record = dict[str, Any]

TEXT = "tea & a walk <3"
ESCAPED = "tea &amp; a walk &lt;3"


def texts_of(record: Record, *, retweets: bool = False) -> list[tuple[str, int, str, bool]]:
    """Return the texts of a record as user, tweet, text, and whether another tweet holds it."""
    line = Line(Skipped(None), Path("x"), 1, Wanted(texts=True, retweets=retweets))
    return [
        (item.user_id, item.tweet, item.text, item.is_inner)
        for item in items_of(record, line)
        if isinstance(item, TweetText)
    ]


def v2(**more: Any) -> Record:
    return {"data": {"id": "101", "author_id": "7", **more}}


def note_tweet(text: str) -> Record:
    return {"note_tweet_results": {"result": {"text": text}}}


SHAPES: dict[str, Record] = {
    "v2": v2(text=ESCAPED),
    "v2, a long tweet": v2(text="tea &amp; a…", note_tweet={"text": ESCAPED}),
    "v2, flattened": v2(text=ESCAPED)["data"],
    "v1.1, extended": status(full_text=ESCAPED),
    "v1.1": status(text=ESCAPED),
    "v1.1, a stream": status(text="tea &amp; a…", extended_tweet={"full_text": ESCAPED}),
    "v1.1, without photos": {"id_str": "101", "user": {"id_str": "7"}, "text": ESCAPED},
    "v1.1, a page of a search": {"statuses": [status(full_text=ESCAPED)]},
    "the website until 2022": {
        "globalObjects": {
            "tweets": {"101": status(user=None, user_id_str="7", full_text=ESCAPED)}
        }
    },
    "GraphQL": website(full_text=ESCAPED),
    "GraphQL, a long tweet": {
        **website(full_text="tea &amp; a…"), "note_tweet": note_tweet(ESCAPED)
    },
    "snscrape": snscrape(rawContent=ESCAPED),
    "snscrape of 2021": snscrape(content=ESCAPED),
    "twscrape": twscrape(rawContent=ESCAPED),
    "twint": twint(tweet=ESCAPED),
    "twint, without photos": twint(tweet=ESCAPED) | {"photos": []},
    "gallery-dl": gallery_note(1, "AAA", content=ESCAPED),
    "gallery-dl, a note on a tweet": gallery_note(1, "AAA", content=ESCAPED, filename=None),
    "wrapped": {"_source": status(full_text=ESCAPED)},
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_tweets_of_every_shape_give_their_full_text(shape: str) -> None:
    assert texts_of(SHAPES[shape]) == [("7", 101, TEXT, False)]


def retweet_of_v2() -> Record:
    inner = {"id": "99", "author_id": "9", "text": "all of it, to the end"}
    reference = {"type": "retweeted", "id": "99"}
    return {
        "data": [{"id": "101", "author_id": "7", "text": "RT @bob: all of…",
                  "referenced_tweets": [reference]}],
        "includes": {"tweets": [inner]},
    }  # fmt: skip


def inner_status(**more: Any) -> Record:
    return {"id_str": "99", "user": {"id_str": "9"}, "full_text": "all of it, to the end", **more}


def inner_website_tweet() -> Record:
    user = {"result": {"rest_id": "9"}}
    legacy = {"full_text": "all of it, to the end", "user_id_str": "9"}
    return {"rest_id": "99", "core": {"user_results": user}, "legacy": legacy}


RETWEETS: dict[str, Record] = {
    "v2": retweet_of_v2(),
    "v1.1": status(full_text="RT @bob: all of…", retweeted_status=inner_status()),
    "GraphQL": website(
        full_text="RT @bob: all of…", retweeted_status_result={"result": inner_website_tweet()}
    ),
    "snscrape": snscrape(
        rawContent="RT @bob: all of…",
        retweetedTweet={"id": 99, "user": {"id": 9}, "rawContent": "all of it, to the end"},
    ),
}


@pytest.mark.parametrize("shape", RETWEETS)
def test_a_retweet_is_a_text_of_its_author_alone(shape: str) -> None:
    assert texts_of(RETWEETS[shape]) == [("9", 99, "all of it, to the end", True)]


@pytest.mark.parametrize("shape", RETWEETS)
def test_a_wanted_retweet_is_completed_from_the_tweet_within(shape: str) -> None:
    found = sorted(texts_of(RETWEETS[shape], retweets=True))
    assert found == [
        ("7", 101, "RT @bob: all of it, to the end", False),
        ("9", 99, "all of it, to the end", True),
    ]


@pytest.mark.parametrize("shape", RETWEETS)
def test_a_wanted_retweet_does_not_bring_the_photos_of_others(shape: str) -> None:
    line = Line(Skipped(None), Path("x"), 1, Wanted(texts=True, retweets=True))
    photos = [item for item in items_of(RETWEETS[shape], line) if isinstance(item, Photo)]
    assert [photo for photo in photos if photo.user_id == "7"] == []


def test_a_quote_gives_the_own_words_of_each_user() -> None:
    quoting = status(full_text="so true", quoted_status=inner_status())
    assert texts_of(quoting) == [
        ("7", 101, "so true", False), ("9", 99, "all of it, to the end", True)
    ]  # fmt: skip


def test_without_texts_tweets_give_photos_alone() -> None:
    line = Line(Skipped(None), Path("x"), 1)
    assert all(isinstance(item, Photo) for item in items_of(SHAPES["v1.1"], line))
    assert list(items_of(SHAPES["v2"], line)) == []
    assert line.skipped.left_out == {"tweets without photos": 1}


def test_a_text_is_cut_at_a_character_and_what_is_not_utf8_is_replaced() -> None:
    line = Line(Skipped(None), Path("x"), 1, Wanted(texts=True))
    long = status(full_text="\ud800" + "\N{SNOWMAN}" * LONGEST_TEXT)
    (text,) = (item.text for item in items_of(long, line) if isinstance(item, TweetText))
    assert text.startswith("\ufffd\N{SNOWMAN}")
    assert LONGEST_TEXT - 3 < len(text.encode()) <= LONGEST_TEXT
    assert line.skipped.left_out == {TEXTS_CUT: 1}


ADA = ("Ada L.", "ada", "tea & maps")

PROFILES: dict[str, Record] = {
    "v1.1": status(
        text="a",
        user={"id_str": "7", "name": "Ada L.", "screen_name": "ada",
              "description": "tea &amp; maps"},
    ),
    "v2": v2(text="a") | {"includes": {"users": [
        {"id": "7", "name": "Ada L.", "username": "ada", "description": "tea &amp; maps"}]}},
    "snscrape": snscrape(
        rawContent="a",
        user={"id": 7, "displayname": "Ada L.", "username": "ada",
              "rawDescription": "tea &amp; maps"},
    ),
    "gallery-dl": gallery_note(
        1, "AAA", content="a",
        author={"id": 7, "name": "ada", "nick": "Ada L.", "description": "tea & maps"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", PROFILES)
def test_profile_fields_are_read_only_if_they_are_wanted(shape: str) -> None:
    found = {
        wanted: [
            item.fields
            for item in items_of(
                PROFILES[shape],
                Line(Skipped(None), Path("x"), 1, Wanted(texts=True, profile_fields=wanted)),
            )
            if isinstance(item, UserProfile)
        ]
        for wanted in (False, True)
    }
    assert found == {False: [], True: [ADA]}
