"""Tweets of every shape give the same photos, each with its author."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tweetprofile.importers.skipped import Line, Skipped, SkipReason
from tweetprofile.importers.tweets.photos import Photo
from tweetprofile.importers.tweets.shapes import items_of

Record = dict[str, Any]
Found = list[tuple[str, int, int, str]]

ADAS: Found = [("7", 101, 1, "AAA.jpg"), ("7", 101, 2, "BBB.jpg")]


def read(*records: Record) -> tuple[Found, Skipped]:
    """Return the photos of records as user, tweet, position and name."""
    skipped = Skipped(None)
    found = [
        (photo.user_id, photo.tweet, photo.position, photo.name)
        for record in records
        for photo in items_of(record, Line(skipped, Path("x"), 1))
        if isinstance(photo, Photo)
    ]
    return sorted(found), skipped


def url(name: str) -> str:
    return f"https://pbs.twimg.com/media/{name}"


def page(number: Any = "101", author: Any = "7", *, nulls: bool = False) -> Record:
    """Return a page of API v2."""
    media = [
        {"media_key": f"3_{name}", "type": "photo", "url": url(name)}
        for name in ("AAA.jpg", "BBB.jpg")
    ]
    tweet: Record = {
        "id": number, "author_id": author, "attachments": {"media_keys": ["3_AAA.jpg", "3_BBB.jpg"]}
    }  # fmt: skip
    if nulls:
        tweet |= {"referenced_tweets": None, "entities": None}
    includes = {"media": media, "tweets": None, "users": None} if nulls else {"media": media}
    return {"data": [tweet], "includes": includes}


def status(number: Any = "101", author: Any = "7", **more: Any) -> Record:
    """Return a tweet of API v1.1."""
    media = [{"type": "photo", "media_url_https": url(name)} for name in ("AAA.jpg", "BBB.jpg")]
    user = {"id_str": author} if isinstance(author, str) else {"id": author}
    key = "id_str" if isinstance(number, str) else "id"
    return {key: number, "user": user, "extended_entities": {"media": media}, **more}


def snscrape(**more: Any) -> Record:
    media = [
        {name: url(f"{key}?format=jpg&name=large") for name in ("previewUrl", "fullUrl")}
        for key in ("AAA", "BBB")
    ]
    return {"_type": "snscrape.modules.twitter.Tweet", "id": 101, "user": {"id": 7},
            "media": media, "retweetedTweet": None, "quotedTweet": None, **more}  # fmt: skip


def twscrape(**more: Any) -> Record:
    photos = [{"url": url("AAA.jpg")}, {"url": url("BBB.jpg")}]
    return {"id": 101, "id_str": "101", "user": {"id": 7, "id_str": "7", "username": "ada"},
            "media": {"photos": photos, "videos": [], "animated": []}, **more}  # fmt: skip


def website(**more: Any) -> Record:
    """Return a tweet as Twitter's website receives it (GraphQL)."""
    media = [{"type": "photo", "media_url_https": url(name)} for name in ("AAA.jpg", "BBB.jpg")]
    user = {"__typename": "User", "rest_id": "7", "legacy": {"screen_name": "ada", "entities": {}}}
    entities = {"extended_entities": {"media": media}}
    legacy = {"id_str": "101", "user_id_str": "7", "full_text": "a walk", **entities}
    return {"__typename": "Tweet", "rest_id": "101", "core": {"user_results": {"result": user}},
            "legacy": legacy | more}  # fmt: skip


def entries(*tweets: Record) -> Record:
    """Return a timeline of the website: a single tweet, then a conversation."""
    items = [{"itemContent": {"tweet_results": {"result": each}}} for each in tweets]
    module = {"content": {"items": [{"item": each} for each in items[1:]]}}
    instruction = {"type": "TimelineAddEntries", "entries": [{"content": items[0]}, module]}
    timeline = {"timeline": {"instructions": [{"type": "TimelineClearCache"}, instruction]}}
    return {"data": {"user": {"result": {"__typename": "User", "timeline_v2": timeline}}}}


def gallery_note(number: int, key: str, **more: Any) -> Record:
    """Return the note that gallery-dl writes next to an image."""
    people = {"author": {"id": 7, "name": "ada"}, "user": {"id": 9, "name": "bob"}}
    return {"category": "twitter", "tweet_id": 101, "retweet_id": 0, "num": number,
            "filename": key, "extension": "jpg", **people, **more}  # fmt: skip


def twint(**more: Any) -> Record:
    return {"id": 101, "user_id": 7, "username": "ada", "retweet": False,
            "photos": [url("AAA.jpg"), url("BBB.jpg")], **more}  # fmt: skip


SHAPES: dict[str, Iterable[Record]] = {
    "v2, a page": [page()],
    "v2, integer ids": [page(101, 7)],
    "v2, null fields": [page(nulls=True)],
    "v2, one tweet of a stream": [{**page(), "data": page()["data"][0], "matching_rules": []}],
    "v2, its media in the tweet": [
        {**page()["data"][0], "attachments": None, "media": page()["includes"]["media"]}
    ],
    "v1.1": [status()],
    "v1.1, integer ids": [status(101, 7)],
    "v1.1, null fields": [
        status(retweeted_status=None, quoted_status=None, extended_tweet=None, entities=None)
    ],
    "v1.1, out of MongoDB": [
        status({"$numberLong": "101"}, {"$numberLong": "7"}, _id={"$oid": "a"})
    ],
    "v1.1, a page of a search": [{"statuses": [status()], "search_metadata": {"count": 1}}],
    "the website until 2022": [
        {"globalObjects": {"tweets": {"101": status(user=None, user_id_str="7")}, "users": {}}}
    ],
    "snscrape": [snscrape()],
    "snscrape, without its type": [snscrape(_type=None)],
    "twscrape": [twscrape()],
    "twint": [twint()],
    "gallery-dl": [gallery_note(1, "AAA"), gallery_note(2, "BBB")],
    "GraphQL, a tweet": [website()],
    "GraphQL, a result": [{"tweet_results": {"result": website()}}],
    "GraphQL, a tweet looked up": [{"data": {"tweetResult": {"result": website()}}}],
    "GraphQL, a tweet that few may see": [
        {"data": {"tweetResult": {"result": {
            "__typename": "TweetWithVisibilityResults", "tweet": website()}}}}
    ],
    "GraphQL, a timeline": [entries(website())],
    "GraphQL, null fields": [website(retweeted_status_result=None, quoted_status_id_str=None)],
    "wrapped as in archives": [{"tweet": status()}],
    "wrapped by Elasticsearch": [{"_index": "t", "_id": "1", "_source": status()}],
    "wrapped by CouchDB, v2": [{"id": "1", "key": "1", "doc": page()}],
    "wrapped by tweepy": [{"_api": None, "_json": status()}],
    "wrapped twice": [{"_source": {"tweet": status()}}],
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_tweet_of_every_shape_gives_its_photos(shape: str) -> None:
    found, skipped = read(*SHAPES[shape])
    assert found == ADAS
    assert not skipped.counts
    assert not skipped.left_out


def retweet_v1() -> Record:
    return status("105", "9", retweeted_status=status())


RETWEETS: dict[str, Record] = {
    "v1.1": retweet_v1(),
    "a search": {"statuses": [retweet_v1()]},
    "snscrape": {**snscrape(id=105, user={"id": 9}), "retweetedTweet": snscrape()},
    "twscrape": {**twscrape(id_str="105"), "user": {"id_str": "9"}, "retweetedTweet": twscrape()},
    "GraphQL": entries(
        {**website(retweeted_status_result={"result": website()}), "rest_id": "105"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", RETWEETS)
def test_photos_of_a_retweet_of_every_shape_belong_to_its_author(shape: str) -> None:
    found, skipped = read(RETWEETS[shape])
    assert found == ADAS
    assert skipped.left_out == {"retweets, whose photos are their authors'": 1}


def test_photos_that_gallery_dl_found_in_a_retweet_belong_to_its_author() -> None:
    found, _ = read(gallery_note(1, "AAA", retweet_id=55))
    assert found == ADAS[:1]


def test_a_twint_retweet_which_names_no_author_is_counted() -> None:
    found, skipped = read(twint(retweet=True))
    assert not found
    assert skipped.left_out.total() == 1


def test_photos_of_a_quoted_tweet_belong_to_its_author() -> None:
    quoting = website()
    quoting["quoted_status_result"] = {"result": {**website(), "rest_id": "90", "core": {
        "user_results": {"result": {"rest_id": "8"}}}}}  # fmt: skip
    scraped = twscrape(quotedTweet={**twscrape(id_str="90"), "user": {"id_str": "8"}})
    theirs = [("8", 90, 1, "AAA.jpg"), ("8", 90, 2, "BBB.jpg")]
    assert read(quoting)[0] == read(scraped)[0] == sorted([*ADAS, *theirs])


def test_two_tweets_of_a_timeline_are_both_found() -> None:
    later = {**website(), "rest_id": "102"}
    assert {tweet for _, tweet, _, _ in read(entries(website(), later))[0]} == {101, 102}


VIDEOS: dict[str, Record] = {
    "v1.1": {"id_str": "1", "user": {"id_str": "7"},
             "extended_entities": {"media": [{"type": "video", "media_url_https": url("V.jpg")}]}},
    "snscrape": snscrape(media=[{"thumbnailUrl": url("V.jpg"), "variants": []}]),
    "twscrape": twscrape(media={"photos": [], "videos": [{}], "animated": []}),
    "gallery-dl": gallery_note(1, "V", extension="mp4"),
    "gallery-dl, of today": gallery_note(1, "V", type="video"),
}  # fmt: skip


@pytest.mark.parametrize("shape", VIDEOS)
def test_videos_of_every_shape_are_counted(shape: str) -> None:
    found, skipped = read(VIDEOS[shape])
    assert not found
    assert skipped.left_out["videos and animations"] == 1
    assert not skipped.counts


WITHOUT_PHOTOS: dict[str, Record] = {
    "v2": {"data": [{"id": "1", "text": "words", "attachments": None}]},
    "v1.1": {"id_str": "1", "user": {"id_str": "7"}, "entities": {"media": None}},
    "snscrape": snscrape(media=None),
    "twscrape": twscrape(media={"photos": [], "videos": [], "animated": []}),
    "twint": twint(photos=[]),
    "GraphQL": website(extended_entities=None),
}


@pytest.mark.parametrize("shape", WITHOUT_PHOTOS)
def test_tweets_without_photos_are_counted_and_not_skipped(shape: str) -> None:
    found, skipped = read(WITHOUT_PHOTOS[shape])
    assert not found
    assert skipped.left_out == {"tweets without photos": 1}
    assert not skipped.counts


@pytest.mark.parametrize(
    "record",
    [
        {"something": "else"},
        {"data": {"user": {"result": {"rest_id": "7", "legacy": {"screen_name": "ada"}}}}},
        {"card": {"rest_id": "card://1", "legacy": {"binding_values": []}}},
        {"tweet": {"tweet": {"tweet": {}}}},
        {"user": None, "data": None, "tweet": None},
        {},
    ],
)
def test_an_unknown_shape_is_skipped(record: Record) -> None:
    found, skipped = read(record)
    assert not found
    assert skipped.counts == {SkipReason.UNKNOWN_SHAPE: 1}
    assert "keys are" in skipped.first[SkipReason.UNKNOWN_SHAPE]


@pytest.mark.parametrize(
    "record",
    [
        status(1.5e18, "7"),
        status("101", 7.0),
        page(1.01e17, 7),
        {**snscrape(), "id": None},
        {**twscrape(), "user": {"id": None}},
        {**gallery_note(1, "AAA"), "tweet_id": 1.01e17},
        {**website(), "rest_id": None, "legacy": {**website()["legacy"], "id_str": None}},
    ],
)
def test_tweets_whose_ids_are_missing_or_have_lost_digits_are_skipped(record: Record) -> None:
    found, skipped = read(record)
    assert not found
    assert skipped.counts == {SkipReason.MISSING_KEY: 1}


@pytest.mark.parametrize(
    "record",
    [{"data": [], "meta": {}}, {"statuses": []}, {"globalObjects": {"tweets": {}, "users": {}}}],
)
def test_pages_without_tweets_are_counted(record: Record) -> None:
    _, skipped = read(record)
    assert skipped.left_out == {"pages without tweets": 1}
    assert not skipped.counts


def test_descriptions_of_users_are_counted_as_what_they_are() -> None:
    _, skipped = read({"data": [{"id": "7", "username": "ada", "name": "Ada"}]})
    assert skipped.left_out == {"descriptions of users, which are not tweets": 1}


def test_endless_wrappers_are_skipped_once() -> None:
    record: Record = {}
    for _ in range(5_000):
        record = {"tweet": record}
    found, skipped = read(record)
    assert not found
    assert skipped.counts == {SkipReason.UNKNOWN_SHAPE: 1}
