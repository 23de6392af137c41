"""`twitter-archive`: what the owner of an account was sent."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tweetprofile.errors import OptionError
from tweetprofile.importers.run import import_dump

Put = Callable[[Path], Path]
Lost = Callable[[Path], list[tuple[str, str, int | None]]]


def tweet(number: str, *names: str, **more: Any) -> dict[str, Any]:
    media = [
        {"type": "photo", "media_url_https": f"https://pbs.twimg.com/media/{name}"}
        for name in names
    ]
    entities = {"extended_entities": {"media": media}} if media else {}
    return {"tweet": {"id_str": number, "full_text": "a walk", **entities, **more}}


def write_js(path: Path, name: str, records: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"window.YTD.{name}.part0 = {json.dumps(records, indent=2)}")
    return path


@pytest.fixture
def archive(tmp_path: Path, put_image: Put) -> Path:
    """Ada's, in two parts, the later tweets first."""
    data = tmp_path / "ada" / "data"
    write_js(data / "account.js", "account", [{"account": {"accountId": "7", "username": "ada"}}])
    write_js(data / "tweets.js", "tweets", [tweet("103", "C.png"), tweet("104")])
    write_js(data / "tweets-part1.js", "tweets", [tweet("102", "B.jpg"), tweet("101", "A.jpg")])
    for name in ("101-A.jpg", "102-B.jpg", "103-C.png"):
        put_image(data / "tweets_media" / name)
    return tmp_path / "ada"


def images_of(manifest: Path) -> dict[str, list[str]]:
    return dict(pl.read_parquet(manifest).select("user_id", "images").iter_rows())


def names_of(manifest: Path) -> dict[str, list[str]]:
    return {
        user: [Path(each).name for each in paths] for user, paths in images_of(manifest).items()
    }


def test_an_archive_is_one_user_with_images_by_time(archive: Path, tmp_path: Path) -> None:
    import_dump("twitter-archive", archive, tmp_path / "m.parquet")
    folder = "ada/data/tweets_media"
    assert images_of(tmp_path / "m.parquet") == {
        "7": [f"{folder}/101-A.jpg", f"{folder}/102-B.jpg", f"{folder}/103-C.png"]
    }


def test_older_archives_have_other_names(tmp_path: Path, put_image: Put) -> None:
    data = tmp_path / "data"
    write_js(data / "account.js", "account", [{"account": {"accountId": "7"}}])
    write_js(data / "tweet.js", "tweet", [tweet("101", "A.jpg")["tweet"]])
    put_image(data / "tweet_media" / "101-A.jpg")
    import_dump("twitter-archive", tmp_path, tmp_path / "m.parquet")
    assert images_of(tmp_path / "m.parquet") == {"7": ["data/tweet_media/101-A.jpg"]}


def test_a_folder_of_archives_is_a_user_each(
    archive: Path, tmp_path: Path, put_image: Put, lost: Lost
) -> None:
    data = tmp_path / "bob" / "data"
    write_js(data / "account.js", "account", [{"account": {"accountId": "8"}}])
    write_js(data / "tweets.js", "tweets", [tweet("201", "D.jpg")])
    put_image(data / "tweets_media" / "201-D.jpg")
    (tmp_path / "cy.zip").write_bytes(b"PK")
    import_dump("twitter-archive", tmp_path, tmp_path / "m.parquet")
    assert names_of(tmp_path / "m.parquet") == {
        "7": ["101-A.jpg", "102-B.jpg", "103-C.png"],
        "8": ["201-D.jpg"],
    }
    assert lost(tmp_path / "m.parquet") == [("missing_file", "cy.zip", None)]


def test_retweets_and_photos_of_others_are_not_the_owners(archive: Path, tmp_path: Path) -> None:
    borrowed = tweet("105", "D.jpg")
    borrowed["tweet"]["extended_entities"]["media"][0]["source_user_id_str"] = "9"
    retweet = tweet("106", "E.jpg", full_text="RT @bob: look")
    write_js(archive / "data" / "tweets.js", "tweets", [borrowed, retweet])
    summary = import_dump("twitter-archive", archive, tmp_path / "m.parquet")
    assert names_of(tmp_path / "m.parquet") == {"7": ["101-A.jpg", "102-B.jpg"]}
    assert sum(summary.asides.values()) == 2
    assert not summary.losses


def test_broken_tweets_are_listed_with_their_lines_and_the_others_kept(
    archive: Path, tmp_path: Path, lost: Lost
) -> None:
    (archive / "data" / "tweets.js").write_text(
        "window.YTD.tweets.part0 = [\n"
        f"{json.dumps(tweet('103', 'C.png'))},\n"
        '{ "tweet": { "id_str": "104", "full_text": ',  # a line that was cut ...
    )
    with (archive / "data" / "tweets.js").open("a") as file:
        file.write(f"\n{json.dumps(tweet('101', 'A.jpg'))},\n")  # ... and tweets after it
        file.write(f"{json.dumps({'tweet': {'extended_entities': {'media': [{}]}}})},\n")
        file.write(f"{json.dumps(tweet('107', 'gone.jpg'))},\n17,\n")
        file.write('{ "tweet": { "id_str": "108"')
    (archive / "data" / "tweets-part1.js").unlink()
    import_dump("twitter-archive", archive, tmp_path / "m.parquet")
    assert names_of(tmp_path / "m.parquet") == {"7": ["101-A.jpg", "103-C.png"]}
    assert lost(tmp_path / "m.parquet") == [
        ("malformed", "tweets.js", 3),
        ("missing_key", "tweets.js", 5),
        ("missing_file", "tweets.js", 6),
        ("malformed", "tweets.js", 7),
        ("cut", "tweets.js", 8),
    ]


def test_a_list_without_its_end_is_said_to_be_cut(
    archive: Path, tmp_path: Path, lost: Lost
) -> None:
    text = (archive / "data" / "tweets.js").read_text()
    (archive / "data" / "tweets.js").write_text(text.rstrip().removesuffix("]"))
    import_dump("twitter-archive", archive, tmp_path / "m.parquet")
    assert len(names_of(tmp_path / "m.parquet")["7"]) == 3
    assert [reason for reason, _, _ in lost(tmp_path / "m.parquet")] == ["cut"]


def test_an_archive_that_does_not_say_whose_it_is_is_listed(
    archive: Path, tmp_path: Path, lost: Lost
) -> None:
    write_js(tmp_path / "bob" / "data" / "account.js", "account", [{"account": {"name": "bob"}}])
    import_dump("twitter-archive", tmp_path, tmp_path / "m.parquet")
    assert images_of(tmp_path / "m.parquet").keys() == {"7"}
    assert lost(tmp_path / "m.parquet") == [("missing_key", "account.js", None)]


def test_another_folder_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="unpack the archive that Twitter sent"):
        import_dump("twitter-archive", tmp_path, tmp_path / "m.parquet")
