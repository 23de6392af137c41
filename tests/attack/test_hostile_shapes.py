"""Randomly mutated tweets of scrapers and of the website, JSON arrays and file names."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.attack.test_hostile_dumps import damaged, mutated, page, status
from tweetprofile.importers.readers.json_records import read_records
from tweetprofile.importers.skipped import Line, Skipped
from tweetprofile.importers.tweets.media_names import key_of, other_keys_of, read_name
from tweetprofile.importers.tweets.photos import Photo
from tweetprofile.importers.tweets.shapes import items_of

URL = "https://pbs.twimg.com/media/H?format=jpg&name=large"


def snscrape() -> dict[str, Any]:
    media = [{"fullUrl": URL, "previewUrl": URL}, {"thumbnailUrl": URL, "variants": []}]
    tweet = {"_type": "snscrape.x", "id": 1, "user": {"id": 7}, "media": media}
    return {**tweet, "quotedTweet": dict(tweet), "retweetedTweet": None}


def twscrape() -> dict[str, Any]:
    media = {"photos": [{"url": URL}], "videos": [{}], "animated": []}
    tweet = {"id": 1, "id_str": "1", "user": {"id_str": "7"}, "media": media}
    return {**tweet, "retweetedTweet": dict(tweet)}


def website() -> dict[str, Any]:
    user = {"rest_id": "7", "legacy": {"screen_name": "ada"}}
    legacy = status(1, "7", "H.jpg") | {"user_id_str": "7"}
    tweet = {"rest_id": "1", "core": {"user_results": {"result": user}}, "legacy": legacy}
    inner = {**tweet, "quoted_status_result": {"result": dict(tweet)}}
    entry = {"content": {"itemContent": {"tweet_results": {"result": inner}}}}
    instructions = [{"type": "TimelineAddEntries", "entries": [entry]}]
    return {"data": {"timeline": {"instructions": instructions}}}


def note() -> dict[str, Any]:
    return {"tweet_id": 1, "num": 1, "filename": "H", "extension": "jpg", "type": "photo",
            "author": {"id": 7}, "user": {"id": 9}}  # fmt: skip


MAKE: list[Callable[[], dict[str, Any]]] = [
    snscrape,
    twscrape,
    website,
    note,
    lambda: {"id": 1, "user_id": 7, "photos": [URL], "retweet": False},
    lambda: {"statuses": [status(1, "7", "H.jpg")]},
    lambda: {"globalObjects": {"tweets": {"1": status(1, "7", "H.jpg")}}},
    lambda: {"_source": {"tweet": page(1, "7", "H.jpg")}},
]

SEEDS = [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 10))]


@pytest.mark.parametrize("seed", SEEDS)
def test_records_with_arbitrary_values_give_photos_or_are_skipped(seed: int) -> None:
    chance = random.Random(seed)
    skipped, found = Skipped(None), 0
    for number in range(2_000):
        wrapped = {
            "record": chance.choice(MAKE)(),
            **dict.fromkeys("abc", 0),
        }  # never empty
        record = json.loads(json.dumps(mutated(wrapped, chance))).get("record")
        if isinstance(record, dict):
            for photo in items_of(record, Line(skipped, Path("x"), number)):
                assert isinstance(photo, Photo)  # no texts are wanted
                assert photo.user_id.encode()
                assert 0 <= photo.tweet < 1 << 63
                assert photo.position >= 1
                assert key_of(photo)
                found += 1
    assert found > 500
    assert skipped.counts.total() > 100


@pytest.mark.parametrize("seed", SEEDS)
def test_intact_records_of_an_array_are_imported_exactly_among_broken_ones(
    seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    indent, between = chance.choice([(None, ",\n"), (2, ",\n"), (4, ",\n")])
    texts, intact, broken = [], [], 0
    for number in range(300):
        record = {"id": number, "text": "words", "x": [{"id": 1}, {"text": "[{"}], "sound": True}
        text = json.dumps(record, indent=indent)
        worse = damaged(text, chance)
        if number and chance.random() < 0.3 and worse != text:
            text, broken = worse, broken + 1
        else:
            intact.append(record)
        texts.append(text)
    array = "[\n" + between.join(texts) + "\n]"
    (tmp_path / "t.json").write_bytes(array.encode("utf-8", "surrogatepass"))
    skipped = Skipped(None)
    found = [each for _, each in read_records(tmp_path / "t.json", skipped)]
    assert [each for each in found if each.get("sound") is True and len(each) == 4] == intact
    assert skipped.counts.total() >= broken * 0.9  # a cut record may merge with the one before it


@pytest.mark.parametrize("seed", SEEDS)
def test_files_of_arbitrary_bytes_are_read_to_their_end(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    array = json.dumps([make() for make in MAKE], indent=1).encode()
    for _ in range(60):
        content = bytearray(array)
        for _ in range(chance.randrange(5)):
            content[chance.randrange(len(content))] = chance.choice(b'"{}[],:\\\n\x00\xff')
        start = chance.choice([b"", b"[", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"{\n"])
        (tmp_path / "t.json").write_bytes(start + content[: chance.randrange(len(content) + 1)])
        skipped = Skipped(None)
        for line, record in read_records(tmp_path / "t.json", skipped):
            assert line >= 1
            list(items_of(record, Line(skipped, tmp_path, line)))


@pytest.mark.parametrize("seed", SEEDS)
def test_arbitrary_file_names_have_few_keys_and_match_no_wrong_photo(
    seed: int,
) -> None:
    chance = random.Random(seed)
    pieces = ["106", "_", "-", ".", "jpg", "large", "orig", ":", "?", "@", "%3A", "%", "(1)", " ",
              "K", "\u00e9", "name=", "format=", "\ud800", "\n", "img", "1"]  # fmt: skip
    photo = Photo("7", 999, 1, "ABCDEFGHIJKLMNO.jpg")
    for _ in range(5_000):
        name = "".join(chance.choices(pieces, k=chance.randrange(1, 40)))
        read = read_name(name)
        if read is not None:
            assert len(read.keys) < 30
            assert not set(read.keys) & {key_of(photo), *other_keys_of(photo)}
