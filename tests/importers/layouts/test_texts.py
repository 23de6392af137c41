"""Texts reach the manifest: oldest first, beside images or without any."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.errors import OptionError, OutputError
from tweetprofile.importers.run import ImportOptions, ImportSummary, import_dump

Put = Callable[[Path], Path]
Write = Callable[..., Path]
Listed = Callable[[Path], list[tuple[str, str, int | None]]]
Record = dict[str, Any]
LISTS = pa.list_(pa.string())


def import_(layout: Any, source: Path, **options: Any) -> ImportSummary:
    """Import a dump as `m.parquet` next to it."""
    out = source.parent / "m.parquet"
    return import_dump(layout, source, out, ImportOptions(overwrite=True, **options))


def rows_of(manifest: Path, *columns: str) -> list[tuple[Any, ...]]:
    """Return the columns of a manifest's users, by user."""
    rows = pq.read_table(manifest).select(["user_id", *columns]).to_pylist()
    return sorted(tuple(row.values()) for row in rows)


def status(number: int, user: str, text: str, *names: str, **more: Any) -> Record:
    """Return a tweet of API v1.1."""
    media = [
        {"type": "photo", "media_url_https": f"https://pbs.twimg.com/media/{name}"}
        for name in names
    ]
    entities = {"extended_entities": {"media": media}} if names else {}
    return {"id_str": str(number), "user": {"id_str": user}, "full_text": text, **entities, **more}


# --- twitter-api --------------------------------------------------------------------------------


def test_texts_stand_beside_images_and_users_with_texts_only_are_kept(
    tmp_path: Path, put_image: Put, write_lines: Write
) -> None:
    put_image(tmp_path / "dump" / "A.jpg")
    write_lines(
        tmp_path / "dump" / "t.jsonl",
        status(102, "7", "second", "A.jpg"),
        status(101, "7", "first"),
        status(103, "8", "only words"),
    )
    summary = import_("twitter-api", tmp_path / "dump")
    manifest = tmp_path / "m.parquet"
    assert rows_of(manifest, "images", "texts") == [
        ("7", ["dump/A.jpg"], ["first", "second"]),
        ("8", [], ["only words"]),
    ]
    assert pq.read_schema(manifest).field("texts").type == LISTS
    assert (summary.users, summary.images, summary.texts) == (2, 1, 3)
    assert summary.users_with_texts_only == 1


def test_a_tweet_counts_once_with_its_longest_version(tmp_path: Path, write_lines: Write) -> None:
    write_lines(
        tmp_path / "t.jsonl",
        status(101, "7", "all of the"),
        status(101, "7", "all of the tweet"),
        status(101, "7", "all of the tweet"),
        status(102, "7", "all of the tweet"),
    )
    import_("twitter-api", tmp_path / "t.jsonl")
    assert rows_of(tmp_path / "m.parquet", "texts") == [("7", ["all of the tweet"] * 2)]


def test_retweets_are_texts_only_on_request_and_their_authors_are_no_users(
    tmp_path: Path, write_lines: Write
) -> None:
    inner = status(99, "9", "words of another")
    source = write_lines(
        tmp_path / "t.jsonl",
        status(101, "7", "mine"),
        status(102, "7", "RT @bob: words…", retweeted_status=inner),
        status(103, "7", "so true", quoted_status=inner),
    )
    summary = import_("twitter-api", source)
    assert rows_of(tmp_path / "m.parquet", "texts") == [("7", ["mine", "so true"])]
    others = "users of whom the dump holds only texts that others quoted or retweeted"
    assert summary.left_out[others] == 1
    assert summary.left_out["retweets, whose photos are their authors'"] == 1
    import_("twitter-api", source, retweets=True)
    assert rows_of(tmp_path / "m.parquet", "texts") == [
        ("7", ["mine", "RT @bob: words of another", "so true"])
    ]


def test_a_user_of_the_dump_also_gets_the_texts_that_others_quoted(
    tmp_path: Path, write_lines: Write
) -> None:
    quoted = status(99, "9", "older")
    source = write_lines(
        tmp_path / "t.jsonl",
        status(101, "7", "so true", quoted_status=quoted),
        status(102, "9", "newer"),
    )
    import_("twitter-api", source)
    assert rows_of(tmp_path / "m.parquet", "texts") == [
        ("7", ["so true"]),
        ("9", ["older", "newer"]),
    ]


def test_without_texts_the_manifest_is_that_of_the_photos(
    tmp_path: Path, put_image: Put, write_lines: Write
) -> None:
    put_image(tmp_path / "dump" / "A.jpg")
    write_lines(tmp_path / "dump" / "t.jsonl", status(1, "7", "a", "A.jpg"), status(2, "8", "b"))
    summary = import_("twitter-api", tmp_path / "dump", no_texts=True)
    assert pq.read_schema(tmp_path / "m.parquet").names == ["user_id", "images"]
    assert rows_of(tmp_path / "m.parquet", "images") == [("7", ["dump/A.jpg"])]
    assert summary.texts is None
    assert summary.left_out == {"tweets without photos": 1}


def test_photos_that_are_nowhere_are_left_out_if_texts_are_wanted(
    tmp_path: Path, write_lines: Write, listed: Listed
) -> None:
    source = write_lines(tmp_path / "t.jsonl", status(1, "7", "a", "A.jpg"))
    summary = import_("twitter-api", source)
    assert rows_of(tmp_path / "m.parquet", "images", "texts") == [("7", [], ["a"])]
    assert sum(summary.left_out.values()) == 1
    assert summary.image_root is None
    (tmp_path / "media").mkdir()
    import_("twitter-api", source, media_dir=tmp_path / "media")
    assert listed(tmp_path / "m.parquet") == [("missing_file", "t.jsonl", 1)]


def test_profile_fields_are_columns_only_on_request_and_the_latest_count(
    tmp_path: Path, write_lines: Write
) -> None:
    def by(name: str, number: int) -> Record:
        user = {"id_str": "7", "name": name, "screen_name": "ada", "description": None}
        return status(number, "7", "a") | {"user": user}

    source = write_lines(
        tmp_path / "t.jsonl", by("Ada", 2), by("Countess", 3), by("A.", 1), status(4, "8", "b")
    )
    import_("twitter-api", source)
    assert pq.read_schema(tmp_path / "m.parquet").names == ["user_id", "images", "texts"]
    import_("twitter-api", source, profile_fields=True)
    assert rows_of(tmp_path / "m.parquet", "name", "screen_name", "description") == [
        ("7", "Countess", "ada", None),
        ("8", None, None, None),
    ]


def test_users_get_all_their_texts_however_their_tweets_are_scattered(
    tmp_path: Path, write_lines: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tweetprofile.importers.tweets.grouping._CHARACTERS_IN_MEMORY", 1_500)
    monkeypatch.setattr("tweetprofile.importers.tweets.grouping._LARGEST_FILE", 2_000)
    order = [(number * 7919) % 500 for number in range(500)]
    tweets = (status(number + 1, f"u{number % 90}", f"text {number:03}") for number in order)
    import_("twitter-api", write_lines(tmp_path / "t.jsonl", *tweets))
    found = dict(rows_of(tmp_path / "m.parquet", "texts"))
    assert found == {
        f"u{user}": [f"text {number:03}" for number in range(user, 500, 90)] for user in range(90)
    }


# --- twitter-archive ----------------------------------------------------------------------------


def test_an_archive_gives_the_texts_of_its_owner(tmp_path: Path) -> None:
    def archive(name: str, *tweets: tuple[int, str]) -> None:
        data = tmp_path / "all" / name / "data"
        data.mkdir(parents=True)
        account = [{"account": {"accountId": "7"}}]
        (data / "account.js").write_text(f"window.YTD.account.part0 = {json.dumps(account)}")
        records = [{"tweet": {"id_str": str(n), "full_text": text}} for n, text in tweets]
        (data / "tweets.js").write_text(f"window.YTD.tweets.part0 = {json.dumps(records)}")

    archive("a", (102, "tea &amp; maps"), (101, "first"), (103, "RT @bob: words"))
    archive("b", (102, "tea &amp; maps"), (104, "last"))
    import_("twitter-archive", tmp_path / "all")
    assert rows_of(tmp_path / "m.parquet", "texts") == [("7", ["first", "tea & maps", "last"])]
    import_("twitter-archive", tmp_path / "all", retweets=True)
    assert rows_of(tmp_path / "m.parquet", "texts") == [
        ("7", ["first", "tea & maps", "RT @bob: words", "last"])
    ]


# --- folder -------------------------------------------------------------------------------------

EXPECTED = [("ada", ["dump/ada/a.jpg"], ["one", "two, or 2"]), ("bob", [], ["three"])]


def csv_table(path: Path, delimiter: str) -> None:
    rows = [("user_id", "text"), ("ada", "one"), ("bob", "three"), ("ada", '"two, or 2"')]
    path.write_text("".join(f"{delimiter.join(row)}\n" for row in rows))


def parquet_table(path: Path, column: str, *rows: tuple[str, Any]) -> None:
    pq.write_table(pa.Table.from_pylist([{"user_id": u, column: value} for u, value in rows]), path)


TABLES: dict[str, Callable[[Path], None]] = {
    "t.csv": lambda path: csv_table(path, ","),
    "t.tsv": lambda path: csv_table(path, "\t"),
    "t.jsonl": lambda path: put_lines(
        path,
        {"user_id": "ada", "text": "one"},
        {"user_id": "bob", "texts": ["three", None]},
        {"user_id": "ada", "texts": ["two, or 2", " "]},
    ),
    "t.parquet": lambda path: parquet_table(
        path, "text", ("ada", "one"), ("bob", "three"), ("ada", "two, or 2"), ("ada", None)
    ),
    "lists.parquet": lambda path: parquet_table(
        path, "texts", ("ada", ["one", "two, or 2"]), ("bob", ["three"]), ("eve", None)
    ),
}


def put_lines(path: Path, *records: Any) -> None:
    path.write_text("".join(f"{json.dumps(each)}\n" for each in records))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_texts_is_joined_to_folders_of_images(
    name: str, tmp_path: Path, put_image: Put
) -> None:
    put_image(tmp_path / "dump" / "ada" / "a.jpg")
    TABLES[name](tmp_path / name)
    summary = import_("folder", tmp_path / "dump", texts=tmp_path / name)
    assert rows_of(tmp_path / "m.parquet", "images", "texts") == EXPECTED
    assert (summary.texts, summary.users_with_texts_only) == (3, 1)


def test_rows_that_hold_no_text_are_listed(tmp_path: Path, put_image: Put, listed: Listed) -> None:
    put_image(tmp_path / "dump" / "ada" / "a.jpg")
    table = tmp_path / "t.jsonl"
    put_lines(
        table,
        {"text": "whose?"},
        {"user_id": "ada", "text": 5},
        {"user_id": "x" * 300, "text": "a"},
        {"user_id": "ada", "text": "one"},
        {"user_id": "ada", "texts": [["a"]]},
    )
    import_("folder", tmp_path / "dump", texts=table)
    assert rows_of(tmp_path / "m.parquet", "texts") == [("ada", ["one"])]
    assert listed(tmp_path / "m.parquet") == [
        ("missing_key", "t.jsonl", 1),
        ("malformed", "t.jsonl", 2),
        ("bad_name", "t.jsonl", 3),
        ("malformed", "t.jsonl", 5),
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("user,text\na,b\n", "needs the columns 'user_id' and 'text'"),
        ("user_id,text\n1.5e+17,b\n", "is a floating-point number"),
        ("user_id,text\n", "holds no text"),
    ],
)
def test_a_table_of_texts_that_cannot_be_joined_is_refused(
    content: str, fault: str, tmp_path: Path, put_image: Put
) -> None:
    put_image(tmp_path / "dump" / "ada" / "a.jpg")
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(OptionError, match=fault):
        import_("folder", tmp_path / "dump", texts=tmp_path / "t.csv")
    assert not (tmp_path / "m.parquet").exists()


def test_an_output_never_replaces_the_table_of_texts(tmp_path: Path, put_image: Put) -> None:
    put_image(tmp_path / "dump" / "ada" / "a.jpg")
    parquet_table(tmp_path / "m.parquet", "text", ("ada", "one"))
    with pytest.raises(OutputError, match="the table of texts"):
        import_("folder", tmp_path / "dump", texts=tmp_path / "m.parquet")
    assert pq.read_table(tmp_path / "m.parquet").num_rows == 1


@pytest.mark.parametrize(
    ("layout", "options", "fault"),
    [
        ("folder", {"no_texts": True}, "`no_texts` is for pan18"),
        ("pan17", {"retweets": True}, "`retweets` is for twitter-api"),
        ("twitter-archive", {"profile_fields": True}, "`profile_fields` is for twitter-api"),
        ("pan18", {"texts": Path("t.csv")}, "`texts` is for folder"),
        ("twitter-api", {"no_texts": True, "retweets": True}, "drop one"),
    ],
)
def test_an_option_of_another_layout_is_refused(
    layout: Any, options: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=fault):
        import_(layout, tmp_path, **options)


def test_texts_are_beside_embedded_images_and_labels(tmp_path: Path, put_image: Put) -> None:
    put_image(tmp_path / "dump" / "ada" / "a.jpg")
    csv_table(tmp_path / "t.csv", ",")
    (tmp_path / "labels.csv").write_text("user_id,gender\nada,female\nbob,male\n")
    options = ImportOptions(texts=tmp_path / "t.csv", labels=tmp_path / "labels.csv", embed=True)
    import_dump("folder", tmp_path / "dump", f"{tmp_path}/m/", options)
    (part,) = (tmp_path / "m").iterdir()
    assert pq.read_schema(part).names == ["user_id", "images", "texts", "gender"]
    assert rows_of(part, "texts", "gender") == [
        ("ada", ["one", "two, or 2"], "female"),
        ("bob", ["three"], "male"),
    ]


@pytest.mark.parametrize("name", ["texts", "text", "name", "description"])
def test_texts_are_never_labels(name: str, tmp_path: Path, put_image: Put) -> None:
    put_image(tmp_path / "dump" / "ada" / "a.jpg")
    (tmp_path / "labels.csv").write_text(f"user_id,{name}\nada,words\n")
    with pytest.raises(OptionError, match=f"no label can be called '{name}'"):
        import_("folder", tmp_path / "dump", labels=tmp_path / "labels.csv")
