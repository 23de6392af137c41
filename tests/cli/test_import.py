"""`import` reports what it imported and what it lost, and the next commands need no option."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from tweetprofile.cli import main


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def put_folder(root: Path, image: Image.Image) -> None:
    (root / "7").mkdir(parents=True)
    image.save(root / "7" / "A.jpg")
    (root / "7" / "notes.txt").write_text("none")


def put_pan18(root: Path, image: Image.Image) -> None:
    (root / "en" / "photo" / "7").mkdir(parents=True)
    image.save(root / "en" / "photo" / "7" / "7.0.jpeg")
    (root / "en" / "truth.txt").write_text("7:::female\nbroken\n")


def status(name: str) -> dict[str, object]:
    media = [{"type": "photo", "media_url_https": f"https://pbs.twimg.com/media/{name}"}]
    return {"id_str": "101", "user": {"id_str": "7"}, "extended_entities": {"media": media}}


def put_twitter_api(root: Path, image: Image.Image) -> None:
    root.mkdir()
    image.save(root / "A.jpg")
    whole = json.dumps(status("A.jpg"))
    (root / "tweets.jsonl").write_text(f"{whole}\n{whole[:40]}\n")


def put_twitter_archive(root: Path, image: Image.Image) -> None:
    (root / "data" / "tweets_media").mkdir(parents=True)
    image.save(root / "data" / "tweets_media" / "101-A.jpg")
    account = [{"account": {"accountId": "7"}}]
    (root / "data" / "account.js").write_text(f"window.YTD.account.part0 = {json.dumps(account)}")
    tweets = json.dumps([{"tweet": status("A.jpg")}, {"tweet": status("B.jpg")}])
    (root / "data" / "tweets.js").write_text(f"window.YTD.tweets.part0 = {tweets[:-30]}")


LAYOUTS: dict[str, Callable[[Path, Image.Image], None]] = {
    "folder": put_folder,
    "pan18": put_pan18,
    "twitter-api": put_twitter_api,
    "twitter-archive": put_twitter_archive,
}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_imported_dump_is_inspected_and_predicted_without_options(
    layout: str,
    tmp_path: Path,
    model: Path,
    draw: Callable[..., Image.Image],
    capsys: pytest.CaptureFixture[str],
) -> None:
    LAYOUTS[layout](tmp_path / "dump", draw(40, 30))
    manifest, out = tmp_path / "m.parquet", tmp_path / "out.parquet"
    assert run("import", layout, tmp_path / "dump", "-o", manifest) == 0
    assert "m.parquet.skipped.csv" in capsys.readouterr().err  # each dump has something broken
    assert run("inspect", manifest) == 0
    assert "1 user, 1 image" in capsys.readouterr().out
    assert run("predict", manifest, "-o", out, "--checkpoint", model, "--devices", "cpu") == 0
    profiles = pl.read_parquet(out)
    assert profiles.select("user_id", "status").rows() == [("7", "ok")]


def test_what_is_skipped_is_counted_and_the_first_is_shown(
    tmp_path: Path, draw: Callable[..., Image.Image], capsys: pytest.CaptureFixture[str]
) -> None:
    put_twitter_api(tmp_path / "dump", draw(40, 30))
    assert run("import", "twitter-api", tmp_path / "dump", "-o", tmp_path / "m.parquet") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"malformed: 1, first {tmp_path}/dump/tweets.jsonl:2: not JSON")
    assert (
        lines[1] == f"all that could not be imported are listed in {tmp_path}/m.parquet.skipped.csv"
    )
    assert lines[2] == f"1 user, 1 image, 0 texts -> {tmp_path}/m.parquet"
    assert len(lines) == 3


def test_texts_and_users_with_texts_only_are_counted(
    tmp_path: Path, draw: Callable[..., Image.Image], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dump").mkdir()
    draw(40, 30).save(tmp_path / "dump" / "A.jpg")
    only_words = {"id_str": "102", "user": {"id_str": "8"}, "full_text": "b"}
    tweets = [status("A.jpg") | {"full_text": "a"}, only_words]
    (tmp_path / "dump" / "t.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in tweets))
    command = ("import", "twitter-api", tmp_path / "dump", "-o", tmp_path / "m.parquet")
    assert run(*command) == 0
    assert capsys.readouterr().err.splitlines() == [
        "1 user with texts only",
        f"2 users, 1 image, 2 texts -> {tmp_path}/m.parquet",
    ]
    assert run(*command, "--no-texts", "--overwrite") == 0
    assert capsys.readouterr().err.splitlines() == [
        "left out: 1 tweets without photos",
        f"1 user, 1 image -> {tmp_path}/m.parquet",
    ]


def test_an_option_is_refused_by_its_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.jsonl").write_text("{}\n")
    command = ("import", "twitter-api", tmp_path / "t.jsonl", "-o", tmp_path / "m.parquet")
    assert run(*command, "--no-texts", "--retweets") == 2
    assert "--retweets takes texts, which --no-texts leaves out" in capsys.readouterr().err


def test_the_encoding_of_a_table_is_reported(
    tmp_path: Path, draw: Callable[..., Image.Image], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dump").mkdir()
    draw(40, 30).save(tmp_path / "dump" / "A.jpg")
    table = tmp_path / "dump" / "metadata.csv"
    table.write_bytes("user_id;file_name;place\n007;A.jpg;Querétaro\n".encode("cp1252"))
    assert run("import", "folder", tmp_path / "dump", "-o", tmp_path / "m.parquet") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"{table} is not UTF-8 and was read as cp1252."
    assert lines[1] == f"1 user, 1 image -> {tmp_path}/m.parquet"
    rows = pl.read_parquet(tmp_path / "m.parquet").rows()
    assert rows == [("007", ["dump/A.jpg"], "Querétaro")]


def test_for_images_outside_the_folder_of_the_manifest_the_option_to_give_is_shown(
    tmp_path: Path, draw: Callable[..., Image.Image], capsys: pytest.CaptureFixture[str]
) -> None:
    put_folder(tmp_path / "dump", draw(40, 30))
    (tmp_path / "elsewhere").mkdir()
    assert run("import", "folder", tmp_path / "dump", "-o", tmp_path / "elsewhere/m.parquet") == 0
    assert f"give --image-root {tmp_path}/dump to other commands" in capsys.readouterr().err


def test_quiet_prints_nothing(
    tmp_path: Path, draw: Callable[..., Image.Image], capsys: pytest.CaptureFixture[str]
) -> None:
    put_folder(tmp_path / "dump", draw(40, 30))
    assert run("import", "folder", tmp_path / "dump", "-o", tmp_path / "m.parquet", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "-o", "m.parquet"], "nowhere does not exist; name an existing"),
        ([".", "-o", "no/m.parquet"], "does not exist; make it first"),
        ([".", "-o", "m.parquet", "--embed"], "named with a '/' at its end"),
        (
            [".", "-o", "m.parquet", "--min-images", "3", "--max-images", "2"],
            "--max-images is 2; it must",
        ),
        ([".", "-o", "m.parquet", "--labels", "none.csv"], "none.csv does not exist"),
    ],
)
def test_unusable_input_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ada").mkdir()
    assert run("import", "folder", *arguments) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not (tmp_path / "m.parquet").exists()
