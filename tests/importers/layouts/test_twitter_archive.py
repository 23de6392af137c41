"""`twitter-archive`: the archive that Twitter sends to the owner of an account."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tweetprofile.errors import OptionError
from tweetprofile.importers.layouts.twitter_archive import IN_ANOTHER_ARCHIVE
from tweetprofile.importers.run import import_dump

Put = Callable[[Path], Path]
Listed = Callable[[Path], list[tuple[str, str, int | None]]]


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
    """Make Ada's archive, in two parts with the later tweets first."""
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


def put_archive(
    data: Path, put_image: Put, tweets: list[dict[str, Any]], *, media: str = "tweets_media",
    file: str = "tweets.js", account: str = "7",
) -> None:  # fmt: skip
    """Write an archive with the photos of its tweets."""
    write_js(data / "account.js", "account", [{"account": {"accountId": account}}])
    write_js(data / file, "tweets", tweets)
    for each in (one["tweet"] for one in tweets):
        for photo in each.get("extended_entities", {}).get("media", []):
            put_image(data / media / f"{each['id_str']}-{Path(photo['media_url_https']).name}")


def test_archives_of_2018_have_everything_at_their_root(tmp_path: Path, put_image: Put) -> None:
    tweets = [tweet("101", "A.jpg")]
    put_archive(tmp_path / "a", put_image, tweets, media="tweet_media", file="tweet.js")
    (tmp_path / "a" / "assets").mkdir()
    (tmp_path / "a" / "index.html").touch()
    import_dump("twitter-archive", tmp_path / "a", tmp_path / "m.parquet")
    assert images_of(tmp_path / "m.parquet") == {"7": ["a/tweet_media/101-A.jpg"]}


def test_the_data_folder_of_an_archive_may_be_given(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(archive)
    import_dump("twitter-archive", ".", "m.parquet")
    assert images_of(archive / "m.parquet")["7"][0] == "data/tweets_media/101-A.jpg"


def test_archives_are_found_in_the_folders_that_unpackers_make(
    tmp_path: Path, put_image: Put
) -> None:
    put_archive(
        tmp_path / "all" / "ada" / "twitter-2022" / "data", put_image, [tweet("1", "A.jpg")]
    )
    put_archive(
        tmp_path / "all" / "ada" / "twitter-2023" / "data", put_image, [tweet("2", "B.jpg")]
    )
    import_dump("twitter-archive", tmp_path / "all", tmp_path / "m.parquet")
    assert names_of(tmp_path / "m.parquet") == {"7": ["1-A.jpg", "2-B.jpg"]}


def test_several_archives_of_an_account_are_one_user_with_each_photo_once(
    tmp_path: Path, put_image: Put
) -> None:
    """The archives are from 2018, 2020 and 2023, with Bob's between them."""
    early, later, last = tweet("101", "A.jpg"), tweet("102", "B.jpg"), tweet("103", "C.png")
    root = tmp_path / "all"
    put_archive(root / "2018", put_image, [early], media="tweet_media", file="tweet.js")
    put_archive(
        root / "2020" / "data", put_image, [early, later], media="tweet_media", file="tweet.js"
    )
    put_archive(root / "2021" / "data", put_image, [tweet("201", "D.jpg")], account="8")
    put_archive(root / "2023" / "data", put_image, [last, later, early])
    (
        root / "2020" / "data" / "tweet_media" / "102-B.jpg"
    ).unlink()  # the archive of 2023 still has it
    summary = import_dump("twitter-archive", root, tmp_path / "m.parquet")
    assert images_of(tmp_path / "m.parquet") == {
        "7": [
            "all/2018/tweet_media/101-A.jpg",
            "all/2023/data/tweets_media/102-B.jpg",
            "all/2023/data/tweets_media/103-C.png",
        ],
        "8": ["all/2021/data/tweets_media/201-D.jpg"],
    }
    assert not summary.skipped
    assert summary.left_out == {IN_ANOTHER_ARCHIVE: 3}


def test_a_photo_in_two_tweets_of_an_archive_is_taken_once(tmp_path: Path, put_image: Put) -> None:
    put_archive(tmp_path / "a" / "data", put_image, [tweet("101", "A.jpg"), tweet("102", "A.jpg")])
    summary = import_dump("twitter-archive", tmp_path / "a", tmp_path / "m.parquet")
    assert names_of(tmp_path / "m.parquet") == {"7": ["101-A.jpg"]}
    assert summary.left_out == {"repeated images of the same user": 1}


def test_community_circle_and_deleted_tweets_are_counted_by_name(
    archive: Path, tmp_path: Path
) -> None:
    for name in ("community-tweet.js", "deleted-tweets.js", "twitter-circle-tweet.js"):
        write_js(archive / "data" / name, "x", [tweet("301", "X.jpg"), tweet("302", "Y.jpg")])
    write_js(archive / "data" / "deleted-tweet-headers.js", "x", [tweet("301")])
    summary = import_dump("twitter-archive", archive, tmp_path / "m.parquet")
    assert len(names_of(tmp_path / "m.parquet")["7"]) == 3
    assert {
        "community tweets (community-tweet.js)": 2,
        "deleted tweets (deleted-tweets.js)": 2,
        "circle tweets (twitter-circle-tweet.js)": 2,
    }.items() <= summary.left_out.items()


def test_null_fields_of_an_archive_count_as_absent(tmp_path: Path, put_image: Put) -> None:
    nulls = {"retweeted_status": None, "quoted_status": None, "extended_tweet": None}
    put_archive(tmp_path / "a", put_image, [tweet("101", "A.jpg", **nulls)])
    import_dump("twitter-archive", tmp_path / "a", tmp_path / "m.parquet")
    assert names_of(tmp_path / "m.parquet") == {"7": ["101-A.jpg"]}


def test_an_archive_from_before_2018_is_refused_as_it_holds_no_photos(tmp_path: Path) -> None:
    (tmp_path / "data" / "js" / "tweets").mkdir(parents=True)
    with pytest.raises(OptionError, match="before 2018, and these hold no photos"):
        import_dump("twitter-archive", tmp_path, tmp_path / "m.parquet")


def test_a_folder_of_archives_gives_a_user_per_archive(
    archive: Path, tmp_path: Path, put_image: Put, listed: Listed
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
    assert listed(tmp_path / "m.parquet") == [("missing_file", "cy.zip", None)]


def test_retweets_and_photos_of_others_do_not_belong_to_the_owner(
    archive: Path, tmp_path: Path
) -> None:
    borrowed = tweet("105", "D.jpg")
    borrowed["tweet"]["extended_entities"]["media"][0]["source_user_id_str"] = "9"
    retweet = tweet("106", "E.jpg", full_text="RT @bob: look")
    write_js(archive / "data" / "tweets.js", "tweets", [borrowed, retweet])
    summary = import_dump("twitter-archive", archive, tmp_path / "m.parquet")
    assert names_of(tmp_path / "m.parquet") == {"7": ["101-A.jpg", "102-B.jpg"]}
    assert sum(summary.left_out.values()) == 2
    assert not summary.skipped


def test_broken_tweets_are_listed_with_their_lines_and_the_others_kept(
    archive: Path, tmp_path: Path, listed: Listed
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
    assert listed(tmp_path / "m.parquet") == [
        ("malformed", "tweets.js", 3),
        ("missing_key", "tweets.js", 5),
        ("missing_file", "tweets.js", 6),
        ("malformed", "tweets.js", 7),
        ("cut", "tweets.js", 8),
    ]


def test_a_list_without_an_end_is_listed_as_cut(
    archive: Path, tmp_path: Path, listed: Listed
) -> None:
    text = (archive / "data" / "tweets.js").read_text()
    (archive / "data" / "tweets.js").write_text(text.rstrip().removesuffix("]"))
    import_dump("twitter-archive", archive, tmp_path / "m.parquet")
    assert len(names_of(tmp_path / "m.parquet")["7"]) == 3
    assert [reason for reason, _, _ in listed(tmp_path / "m.parquet")] == ["cut"]


def test_an_archive_without_an_account_id_is_listed(
    archive: Path, tmp_path: Path, listed: Listed
) -> None:
    write_js(tmp_path / "bob" / "data" / "account.js", "account", [{"account": {"name": "bob"}}])
    import_dump("twitter-archive", tmp_path, tmp_path / "m.parquet")
    assert images_of(tmp_path / "m.parquet").keys() == {"7"}
    assert listed(tmp_path / "m.parquet") == [("missing_key", "account.js", None)]


def test_a_folder_without_an_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="unpack the archive that Twitter sent"):
        import_dump("twitter-archive", tmp_path, tmp_path / "m.parquet")
