"""An import that finds no image fails, says what it saw, and leaves everything as it was."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tweetprofile.cli import main

Put = Callable[[Path], Path]
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return `run(argument, ...)`: it returns the exit code and the text on standard error."""

    def run_command(*arguments: object) -> tuple[int, str]:
        code = main(["import", *map(str, arguments)])
        return code, " ".join(capsys.readouterr().err.split())

    return run_command


def test_unknown_shapes_are_named_by_file_line_and_keys(
    tmp_path: Path, write_lines: Callable[..., Path], run: Run
) -> None:
    source = write_lines(
        tmp_path / "toots.jsonl",
        {"id_str": "5", "user": {"id_str": "7"}, "retweeted_status": {"id_str": "4"}},
        *({"uri": "x", "attachments": [], "absent": None} for _ in range(12)),
    )
    code, said = run("twitter-api", source, "-o", tmp_path / "m.parquet")
    assert code == 2
    assert f"no user with an image or a text was found in {source}:" in said
    assert (
        f"records of an unknown shape: 12 (the first: {source}:2: its keys are attachments, uri)"
    ) in said
    assert "retweets, whose photos are their authors': 1" in said
    assert "'tweetprofile import twitter-api --help' says what can be imported" in said


def test_missing_photos_are_answered_with_the_option_media_dir(
    tmp_path: Path, write_lines: Callable[..., Path], run: Run
) -> None:
    media = [{"type": "photo", "media_url_https": "https://pbs.twimg.com/media/A.jpg"}]
    tweet = {"id_str": "1", "user": {"id_str": "7"}, "extended_entities": {"media": media}}
    source = write_lines(tmp_path / "tweets.jsonl", tweet)
    code, said = run("twitter-api", source, "-o", tmp_path / "m.parquet")
    assert code == 2
    assert "photos of tweets: there is no image next to the tweets, nor a --media-dir: 1" in said
    assert "Pass the folder of the photos as --media-dir." in said


def test_an_empty_file_is_said_to_contain_no_record(tmp_path: Path, run: Run) -> None:
    (tmp_path / "tweets.jsonl").touch()
    code, said = run("twitter-api", tmp_path / "tweets.jsonl", "-o", tmp_path / "m.parquet")
    assert code == 2
    assert "it contains no record" in said


def test_the_content_of_a_dump_cannot_forge_lines_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], write_lines: Callable[..., Path]
) -> None:
    source = write_lines(tmp_path / "t.jsonl", {"a\n\x1b[31mkey": 1})
    main(["import", "twitter-api", str(source), "-o", str(tmp_path / "m.parquet")])
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "key" in said.splitlines()[0]


DUMPS: dict[str, Callable[[Path], None]] = {
    "folder": lambda root: (root / "ada").mkdir(parents=True),
    "pan18": lambda root: (root / "en" / "photo" / "ada").mkdir(parents=True),
    "twitter-api": lambda root: put(root / "tweets.jsonl", "{}\n"),
    "twitter-archive": lambda root: put(
        root / "data" / "account.js", 'x = [{"account": {"accountId": "7"}}]'
    ),
}


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


@pytest.mark.parametrize("embed", [False, True])
@pytest.mark.parametrize("layout", DUMPS)
def test_no_output_is_left_behind(layout: str, embed: bool, tmp_path: Path, run: Run) -> None:
    DUMPS[layout](tmp_path / "dump")
    if layout == "pan18":
        (tmp_path / "dump" / "en" / "truth.txt").write_text("ada:::female\n")
    out = f"{tmp_path}/m/" if embed else f"{tmp_path}/m.parquet"
    code, said = run(layout, tmp_path / "dump", "-o", out, *(["--embed"] if embed else []))
    assert code == 2
    assert f"was found in {tmp_path}/dump:" in said
    assert [path.name for path in tmp_path.iterdir()] == ["dump"]


@pytest.mark.parametrize("embed", [False, True])
def test_an_earlier_manifest_survives_an_import_that_finds_nothing(
    embed: bool, tmp_path: Path, put_image: Put, run: Run
) -> None:
    put_image(tmp_path / "full" / "ada" / "a.jpg")
    (tmp_path / "full" / "ada" / "notes.txt").touch()
    (tmp_path / "empty" / "bob").mkdir(parents=True)
    out = f"{tmp_path}/m/" if embed else f"{tmp_path}/m.parquet"
    choices = ["-o", out, "--overwrite", *(["--embed"] if embed else [])]
    assert run("folder", tmp_path / "full", *choices)[0] == 0
    before = contents(tmp_path)
    assert run("folder", tmp_path / "empty", *choices)[0] == 2
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_users_with_too_few_images_are_answered_with_the_option_min_images(
    tmp_path: Path, put_image: Put, run: Run
) -> None:
    put_image(tmp_path / "dump" / "ada" / "a.jpg")
    out = tmp_path / "m.parquet"
    code, said = run("folder", tmp_path / "dump", "-o", out, "--min-images", 2)
    assert code == 2
    assert "users with fewer images than --min-images: 1 (the first: ada: too few: 1)" in said
    assert "Lower --min-images." in said


def test_a_page_without_tweets_next_to_sound_ones_is_not_a_failure(
    tmp_path: Path, put_image: Put, write_lines: Callable[..., Path], run: Run
) -> None:
    put_image(tmp_path / "A.jpg")
    media = [{"type": "photo", "media_url_https": "https://pbs.twimg.com/media/A.jpg"}]
    tweet = {"id_str": "1", "user": {"id_str": "7"}, "extended_entities": {"media": media}}
    write_lines(tmp_path / "t.jsonl", json.dumps([]), {"meta": {"result_count": 0}}, tweet)
    code, said = run("twitter-api", tmp_path, "-o", tmp_path / "m.parquet")
    assert code == 0
    assert "left out: 1 empty lists" in said
