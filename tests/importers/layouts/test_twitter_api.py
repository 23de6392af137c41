"""`twitter-api`: tweets of every shape, and a folder of photos."""

import bz2
import gzip
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from tweetprofile.errors import OptionError, WriteError
from tweetprofile.importers.run import ImportOptions, ImportSummary, import_dump

Put = Callable[[Path], Path]
Listed = Callable[[Path], list[tuple[str, str, int | None]]]
Record = dict[str, Any]


@pytest.fixture
def photos(tmp_path: Path, put_image: Put) -> Path:
    """Make photos as downloaders name them, in various folders."""
    for name in (
        "A.jpg",
        "deep/down/B.jpg",
        "103-C.png",
        "gallery/104_1.jpg",
        "gallery/104_2.webp",
    ):
        put_image(tmp_path / "media" / name)
    return tmp_path / "media"


@pytest.fixture
def take(tmp_path: Path, photos: Path, write_lines: Callable[..., Path]) -> Callable[..., Any]:
    """Return `take(*lines)`: it imports these lines and returns the images by user."""

    def import_lines(*lines: Record | str) -> dict[str, list[str]]:
        source = write_lines(tmp_path / "tweets.jsonl", *lines)
        import_file(source, photos)
        return users_of(tmp_path / "m.parquet")

    return import_lines


def import_file(source: Path, photos: Path) -> ImportSummary:
    options = ImportOptions(media_dir=photos, overwrite=True)
    return import_dump("twitter-api", source, source.parent / "m.parquet", options)


def users_of(manifest: Path) -> dict[str, list[str]]:
    table = pl.read_parquet(manifest)
    return {
        user: [image.removeprefix("media/") for image in images]
        for user, images in table.select("user_id", "images").iter_rows()
    }


def url(name: str) -> str:
    return f"https://pbs.twimg.com/media/{name}"


def photo(key: str, name: str) -> Record:
    return {"media_key": key, "type": "photo", "url": url(name)}


def tweet(number: str, author: str, *keys: str, **more: Any) -> Record:
    return {"id": number, "author_id": author, "attachments": {"media_keys": list(keys)}, **more}


def status(number: str, author: str, *names: str, **more: Any) -> Record:
    """Return a tweet of API v1.1."""
    media = [{"type": "photo", "media_url_https": url(name)} for name in names]
    entities = {"extended_entities": {"media": media}} if names else {}
    return {"id_str": number, "user": {"id_str": author}, **entities, **more}


# --- v2 -----------------------------------------------------------------------------------------


def test_a_page_of_v2_gives_photos_by_user_in_the_order_of_tweets(
    take: Callable[..., Any],
) -> None:
    page = {
        "data": [tweet("102", "7", "3_b"), tweet("101", "7", "3_a"), tweet("103", "8", "3_c")],
        "includes": {
            "media": [photo("3_a", "A.jpg"), photo("3_b", "B.jpg"), photo("3_c", "C.png")]
        },
    }
    assert take(page) == {"7": ["A.jpg", "deep/down/B.jpg"], "8": ["103-C.png"]}


def test_photos_that_gallery_dl_has_named_are_found_by_tweet_and_position(
    take: Callable[..., Any],
) -> None:
    page = {
        "data": tweet("104", "7", "3_x", "3_y"),
        "includes": {"media": [photo("3_x", "X.jpg"), photo("3_y", "Y?format=jpg&name=large")]},
    }
    assert take(page) == {"7": ["gallery/104_1.jpg", "gallery/104_2.webp"]}


def test_a_flattened_tweet_contains_its_media(take: Callable[..., Any]) -> None:
    flat = tweet("101", "7", "3_a")
    flat["attachments"]["media"] = [photo("3_a", "A.jpg")]
    assert take(flat) == {"7": ["A.jpg"]}


def test_photos_of_a_retweet_belong_to_its_author(take: Callable[..., Any]) -> None:
    reference = {"type": "retweeted", "id": "101"}
    page = {
        "data": [tweet("102", "7", "3_a", referenced_tweets=[reference])],
        "includes": {"tweets": [tweet("101", "9", "3_a")], "media": [photo("3_a", "A.jpg")]},
    }
    assert take(page) == {"9": ["A.jpg"]}

    original = {**tweet("101", "9", "3_a"), **reference}
    original["attachments"]["media"] = [photo("3_a", "A.jpg")]
    assert take(tweet("102", "7", "3_a", referenced_tweets=[original])) == {"9": ["A.jpg"]}


def test_videos_are_counted_and_not_listed(
    tmp_path: Path, photos: Path, write_lines: Callable[..., Path], listed: Listed
) -> None:
    video = {"media_key": "7_v", "type": "video", "preview_image_url": url("V.jpg")}
    page = {
        "data": [tweet("101", "7", "7_v", "3_a")],
        "includes": {"media": [video, photo("3_a", "A.jpg")]},
    }
    summary = import_file(write_lines(tmp_path / "tweets.jsonl", page), photos)
    assert summary.left_out == {"videos and animations": 1}
    assert listed(tmp_path / "m.parquet") == []


def test_faults_are_listed_with_their_line_numbers(
    take: Callable[..., Any], tmp_path: Path, listed: Listed
) -> None:
    good = {"data": [tweet("101", "7", "3_a")], "includes": {"media": [photo("3_a", "A.jpg")]}}
    found = take(
        good,
        json.dumps(good)[:60],
        {"data": [tweet("102", "7", "3_unknown")], "includes": {"media": []}},
        {"data": [{"id": "103", "attachments": {"media_keys": ["3_a"]}}], "includes": {}},
        {"data": [tweet("104", "7", "3_n")], "includes": {"media": [{"media_key": "3_n"}]}},
        {"data": [tweet("x", "7", "3_a"), "tweet"], "includes": {"media": "none"}},
        {"data": [tweet("105", "7", "3_g")], "includes": {"media": [photo("3_g", "gone.jpg")]}},
        {"something": "else"},
        [1, 2],
        "[" * 100_000,
        {"data": [tweet("106", "\ud800", "3_a")], "includes": {"media": [photo("3_a", "A.jpg")]}},
    )
    assert found == {"7": ["A.jpg"]}
    assert listed(tmp_path / "m.parquet") == [
        ("malformed", "tweets.jsonl", 2),
        ("unknown_media", "tweets.jsonl", 3),
        ("missing_key", "tweets.jsonl", 4),
        ("missing_key", "tweets.jsonl", 5),
        ("missing_key", "tweets.jsonl", 6),
        ("malformed", "tweets.jsonl", 6),
        ("missing_file", "tweets.jsonl", 7),
        ("unknown_shape", "tweets.jsonl", 8),
        ("malformed", "tweets.jsonl", 9),
        ("malformed", "tweets.jsonl", 10),
        ("missing_key", "tweets.jsonl", 11),
    ]


# --- v1.1 ---------------------------------------------------------------------------------------


def test_a_stream_of_v1_gives_photos_by_user(take: Callable[..., Any]) -> None:
    found = take(
        {"delete": {"status": {"id": 5}}},
        status("102", "7", "B.jpg:large"),
        status("101", "7", "A.jpg"),
        status("105", "8"),
        status("103", "8", "C.png"),
    )
    assert found == {"7": ["A.jpg", "deep/down/B.jpg"], "8": ["103-C.png"]}


def test_photos_of_inner_tweets_belong_to_their_authors(take: Callable[..., Any]) -> None:
    inner = status("101", "9", "A.jpg", quoted_status=status("103", "8", "C.png"))
    assert take(status("102", "7", "A.jpg", retweeted_status=inner)) == {
        "9": ["A.jpg"],
        "8": ["103-C.png"],
    }


def test_a_photo_from_another_tweet_belongs_to_its_author(take: Callable[..., Any]) -> None:
    borrowed = status("102", "7", "A.jpg")
    media = borrowed["extended_entities"]["media"][0]
    media |= {"source_user_id_str": "9", "source_status_id_str": "101"}
    assert take(borrowed) == {"9": ["A.jpg"]}


def test_streams_hide_the_media_of_long_tweets_in_a_second_tweet(
    take: Callable[..., Any],
) -> None:
    long = status("101", "7", truncated=True, extended_tweet=status("0", "0", "A.jpg", "B.jpg"))
    assert take(long) == {"7": ["A.jpg", "deep/down/B.jpg"]}


# --- files --------------------------------------------------------------------------------------


def zstandard(data: bytes) -> bytes:
    compressed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return compressed


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "json.gz": gzip.compress,
    "json.bz2": bz2.compress,
    "jsonl.zst": zstandard,
}


@pytest.mark.parametrize("ending", PACKERS)
def test_compressed_files_are_read_up_to_where_they_are_cut(
    ending: str, tmp_path: Path, photos: Path, listed: Listed
) -> None:
    filler = (
        random.Random(0).randbytes(1_000_000).hex()
    )  # so large that the beginning of a cut file holds the first line
    lines = [
        status("101", "7", "A.jpg"),
        status("102", "7", text=filler),
        status("103", "8", "C.png"),
    ]
    packed = PACKERS[ending]("".join(f"{json.dumps(line)}\n" for line in lines).encode())
    source = tmp_path / f"stream.{ending}"

    source.write_bytes(packed)
    import_file(source, photos)
    assert users_of(tmp_path / "m.parquet") == {"7": ["A.jpg"], "8": ["103-C.png"]}

    source.write_bytes(packed[: len(packed) * 7 // 8])
    import_file(source, photos)
    assert users_of(tmp_path / "m.parquet") == {"7": ["A.jpg"]}
    assert listed(tmp_path / "m.parquet") == [("cut", source.name, 2)]


def test_the_cut_line_of_a_stopped_crawler_is_listed(
    tmp_path: Path, photos: Path, listed: Listed
) -> None:
    whole = json.dumps(status("101", "7", "A.jpg"))
    (tmp_path / "tweets.jsonl").write_text(f"{whole}\n{whole[:30]}")
    import_file(tmp_path / "tweets.jsonl", photos)
    assert users_of(tmp_path / "m.parquet") == {"7": ["A.jpg"]}
    assert listed(tmp_path / "m.parquet") == [("cut", "tweets.jsonl", 2)]


def test_all_files_below_a_folder_are_read_and_the_same_tweet_counts_once(
    tmp_path: Path, put_image: Put, write_lines: Callable[..., Path]
) -> None:
    for name in ("A.jpg", "B.jpg"):
        put_image(tmp_path / "dump" / "images" / name)
    write_lines(tmp_path / "dump" / "2018" / "07.jsonl", status("102", "7", "B.jpg"))
    for month in ("05", "06"):
        write_lines(tmp_path / "dump" / "2018" / f"{month}.jsonl", status("101", "7", "A.jpg"))
    import_dump("twitter-api", tmp_path / "dump", tmp_path / "m.parquet")
    assert users_of(tmp_path / "m.parquet") == {"7": ["dump/images/A.jpg", "dump/images/B.jpg"]}


def test_a_photo_in_two_tweets_of_a_user_is_taken_once(
    tmp_path: Path, photos: Path, write_lines: Callable[..., Path]
) -> None:
    source = write_lines(
        tmp_path / "tweets.jsonl",
        *(status(str(number), "7", "A.jpg") for number in (103, 101, 102)),
    )
    summary = import_file(source, photos)
    assert users_of(tmp_path / "m.parquet") == {"7": ["A.jpg"]}
    assert summary.left_out == {"repeated images of the same user": 2}


def test_users_get_all_their_photos_however_their_tweets_are_scattered(
    tmp_path: Path, photos: Path, write_lines: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tweetprofile.importers.tweets.grouping._ROWS_IN_MEMORY", 10)
    tweets = [(user, number) for user in range(40) for number in range(3)]
    random.Random(1).shuffle(tweets)
    lines = [
        status(str(1000 + user * 10 + number), str(user), ("A.jpg", "B.jpg", "C.png")[number])
        for user, number in tweets
    ]
    (photos / "103-C.png").rename(photos / "C.png")
    import_file(write_lines(tmp_path / "tweets.jsonl", *lines), photos)
    expected = {str(user): ["A.jpg", "deep/down/B.jpg", "C.png"] for user in range(40)}
    assert users_of(tmp_path / "m.parquet") == expected


def test_a_folder_without_tweets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="contains no file of tweets"):
        import_dump("twitter-api", tmp_path, tmp_path / "m.parquet")


def test_a_missing_media_folder_is_named(tmp_path: Path, write_lines: Callable[..., Path]) -> None:
    source = write_lines(tmp_path / "tweets.jsonl", status("101", "7", "A.jpg"))
    options = ImportOptions(media_dir=tmp_path / "nowhere")
    with pytest.raises(OptionError, match=r"nowhere cannot be read .*as `media_dir`"):
        import_dump("twitter-api", source, tmp_path / "m.parquet", options)


@pytest.mark.parametrize("fills_up", ["scratch.sqlite", "00-000000.arrow"])
def test_a_full_disk_for_temporary_files_is_reported_in_one_sentence(
    fills_up: str,
    tmp_path: Path,
    photos: Path,
    write_lines: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """/dev/full behaves like a full disk."""
    users = [str(number) for number in range(500)]
    lines = [status(str(1000 + row), user, "A.jpg") for row, user in enumerate(users)]
    source = write_lines(tmp_path / "tweets.jsonl", *lines)
    make = tempfile.TemporaryDirectory

    def on_a_full_disk(prefix: str) -> tempfile.TemporaryDirectory[str]:
        folder = make(prefix=prefix)
        (Path(folder.name) / fills_up).symlink_to("/dev/full")
        return folder

    monkeypatch.setattr(tempfile, "TemporaryDirectory", on_a_full_disk)
    with pytest.raises(WriteError, match=r"temporary files cannot be written .*make room"):
        import_file(source, photos)


def test_media_dir_is_refused_for_other_layouts(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="`media_dir` is for twitter-api"):
        import_dump("folder", tmp_path, tmp_path / "m.parquet", ImportOptions(media_dir=tmp_path))


# --- scrapers, and other ways to keep tweets ----------------------------------------------------


def test_images_of_gallery_dl_are_found_by_the_notes_next_to_them(
    tmp_path: Path, put_image: Put
) -> None:
    """It names images and notes alike, and has pretty-printed a note on a video as well."""
    folder = tmp_path / "gallery-dl" / "twitter" / "ada"
    for number, ending in ((1, "jpg"), (2, "png"), (3, "mp4")):
        note = {
            "author": {"id": 7, "name": "ada"}, "user": {"id": 7, "name": "ada"}, "num": number,
            "tweet_id": 101, "filename": f"K{number}", "extension": ending, "category": "twitter",
        }  # fmt: skip
        image = put_image(folder / f"101_{number}.{ending}")
        image.with_name(f"{image.name}.json").write_text(json.dumps(note, indent=4))
    summary = import_dump("twitter-api", tmp_path / "gallery-dl", tmp_path / "m.parquet")
    below = "gallery-dl/twitter/ada"
    assert users_of(tmp_path / "m.parquet") == {"7": [f"{below}/101_1.jpg", f"{below}/101_2.png"]}
    assert summary.left_out == {"videos and animations": 1}
    assert not summary.skipped


def test_tweets_of_snscrape_are_taken_with_photos_named_by_their_addresses(
    take: Callable[..., Any], photos: Path, put_image: Put
) -> None:
    put_image(photos / "N?format=jpg&name=large")
    put_image(photos / "M.jpg:orig")
    lines = [
        {"_type": "snscrape.modules.twitter.Tweet", "id": 101 + place, "user": {"id": 7},
         "media": [{"fullUrl": url(f"{key}?format=jpg&name=large")}], "retweetedTweet": None}
        for place, key in enumerate("NM")
    ]  # fmt: skip
    assert take(*lines) == {"7": ["N?format=jpg&name=large", "M.jpg:orig"]}


def test_an_array_over_several_lines_may_mix_shapes(tmp_path: Path, photos: Path) -> None:
    page = {"data": [tweet("101", "7", "3_a")], "includes": {"media": [photo("3_a", "A.jpg")]}}
    records = [
        page,
        {"statuses": [status("102", "7", "B.jpg")]},
        {"tweet": status("103", "8", "C.png")},
    ]
    (tmp_path / "tweets.json").write_text(json.dumps(records, indent=2))
    import_file(tmp_path / "tweets.json", photos)
    assert users_of(tmp_path / "m.parquet") == {
        "7": ["A.jpg", "deep/down/B.jpg"],
        "8": ["103-C.png"],
    }


def test_an_unknown_shape_is_listed_with_its_first_line(
    tmp_path: Path, photos: Path, listed: Listed
) -> None:
    records = [status("101", "7", "A.jpg"), {"uri": "x"}]
    (tmp_path / "tweets.json").write_text("[\n" + ",\n".join(map(json.dumps, records)) + "\n]")
    import_file(tmp_path / "tweets.json", photos)
    assert listed(tmp_path / "m.parquet") == [("unknown_shape", "tweets.json", 3)]


def test_null_fields_count_as_absent(take: Callable[..., Any]) -> None:
    nulls = {"retweeted_status": None, "quoted_status": None, "extended_tweet": None}
    assert take(status("101", "7", "A.jpg", **nulls)) == {"7": ["A.jpg"]}
