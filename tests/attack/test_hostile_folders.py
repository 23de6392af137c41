"""Folders with pipes, loops of links, names that are not text, and entries that disappear."""

import os
from pathlib import Path

import polars as pl
import pytest

from tweetprofile.errors import OptionError, TweetprofileError
from tweetprofile.importers.readers import folders
from tweetprofile.importers.readers.folders import sorted_entries
from tweetprofile.importers.run import ImportOptions, import_dump
from tweetprofile.importers.skipped import SkipReason
from tweetprofile.importers.users import natural_key


def put_oddities(folder: Path) -> None:
    """Create entries of every kind, with the names that importers look for."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (
        "metadata.csv",
        "tweets.js",
        "truth.txt",
        "a.jsonl",
        "b.json.gz",
        "c.jpg",
        "photo",
    ):
        os.mkfifo(folder / f"{name}.pipe")
        (folder / f"pipe-{name}").symlink_to(f"{name}.pipe")
        (folder / f"loop-{name}").symlink_to(f"loop-{name}")
        (folder / f"gone-{name}").symlink_to("nowhere")
        (folder / f"zero-{name}").symlink_to("/dev/zero")
        (folder / f"up-{name}").symlink_to("..", target_is_directory=True)
    os.mkfifo(folder / "pipe.jsonl")
    (folder / os.fsdecode(b"caf\xe9.jpg")).touch()
    (folder / os.fsdecode(b"caf\xe9.d")).mkdir()
    (folder / ("n" * 255)).touch()


@pytest.mark.parametrize("layout", ["folder", "pan18", "twitter-api", "twitter-archive"])
def test_entries_of_every_kind_neither_block_nor_end_an_import(layout: str, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    for below in ("", "ada", "data", "photo", "photo/ada", "en/photo/bob", "data/tweets_media"):
        put_oddities(dump / below)
    for name in ("truth.txt", "metadata.csv", "data/tweets.js"):
        os.mkfifo(dump / name)
    (dump / "data" / "account.js").write_text('x = [{"account": {"accountId": "7"}}]')
    try:
        summary = import_dump(layout, dump, tmp_path / "m.parquet")  # type: ignore[arg-type]
    except TweetprofileError as error:
        assert "\n" not in str(error)
    else:
        assert summary.skipped


def test_records_in_a_pipe_are_a_loss_and_other_records_are_imported(tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    dump.mkdir()
    os.mkfifo(dump / "a.jsonl")
    (dump / "loop.jsonl").symlink_to("loop.jsonl")
    (dump / "A.jpg").touch()
    (dump / os.fsdecode(b"\xff.jpg")).touch()
    (dump / "b.jsonl").write_text(
        '{"id_str": "1", "user": {"id_str": "7"}, "entities": {"media": '
        '[{"media_url": "http://x/A.jpg"}]}}\n'
    )
    summary = import_dump("twitter-api", dump, tmp_path / "m.parquet")
    assert pl.read_parquet(tmp_path / "m.parquet").rows() == [("7", ["dump/A.jpg"], [])]
    assert summary.skipped == {SkipReason.UNREADABLE: 2, SkipReason.BAD_NAME: 1}


def test_names_are_sorted_as_people_sort_them() -> None:
    names = ["10.jpg", "2.jpg", "1.jpg", "a10b", "a2b", "a2", "02.jpg", "a", "", "a2b10", "a2b9"]
    assert sorted(names, key=natural_key) == [
        "", "1.jpg", "02.jpg", "2.jpg", "10.jpg", "a", "a2", "a2b", "a2b9", "a2b10", "a10b",
    ]  # fmt: skip


def test_a_folder_with_more_names_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MOST_ENTRIES", 10)
    for number in range(11):
        (tmp_path / "dump" / str(number)).mkdir(parents=True)
    with pytest.raises(OSError, match="more than 10 names"):
        sorted_entries(tmp_path / "dump")
    with pytest.raises(OptionError, match=r"cannot be read \(it holds more than 10 names"):
        import_dump("folder", tmp_path / "dump", tmp_path / "m.parquet", ImportOptions())
