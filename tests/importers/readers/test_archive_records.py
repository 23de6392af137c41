"""Archives are read a window at a time, and broken records take linear time."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tweetprofile.importers.readers import archive_records
from tweetprofile.importers.readers.archive_records import read_archive
from tweetprofile.importers.skipped import Skipped, SkipReason


def read(tmp_path: Path, text: str) -> tuple[list[tuple[int, dict[str, Any]]], Skipped]:
    path = tmp_path / "tweets.js"
    path.write_text(text)
    skipped = Skipped(None)
    return list(read_archive(path, skipped)), skipped


def tweet(number: int, **more: Any) -> dict[str, Any]:
    return {"tweet": {"id_str": str(number), "full_text": 'a { "tweet": [ in text', **more}}


@pytest.mark.parametrize("piece", [1, 7, 100, 1 << 18])
@pytest.mark.parametrize("indent", [None, 2])
def test_records_are_the_same_in_windows_of_any_size(
    piece: int, indent: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_records, "_PIECE", piece)
    written = [tweet(n, quoted=tweet(-n), x=[1.5, None, "\u00e9\n" * n]) for n in range(30)]
    text = f"window.YTD.tweets.part0 = {json.dumps(written, indent=indent)}"
    found, skipped = read(tmp_path, text)
    assert [record for _, record in found] == written
    assert not skipped.counts
    lines = [text[: text.index(f'"id_str": "{n}"')].count("\n") + 1 for n in range(30)]
    assert [line for line, _ in found] == [line - (2 if indent else 0) for line in lines]


@pytest.mark.parametrize("piece", [1, 1 << 18])
def test_each_broken_record_is_skipped_once_and_sound_ones_are_kept(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_records, "_PIECE", piece)
    sound = [json.dumps(tweet(n)) for n in range(5)]
    broken = [
        '{"tweet": {"id_str": "9", "full_text":',
        '{"tweet": {"x": "cut',
        '{"tweet": [' * 2000,
    ]
    mixed = [sound[0], broken[0], sound[1], broken[1], sound[2], sound[3], sound[4]]
    found, skipped = read(tmp_path, "x = [\n" + ",\n".join(mixed) + "\n]\n")
    assert [(line, record["tweet"]["id_str"]) for line, record in found] == [
        (2, "0"), (4, "1"), (6, "2"), (7, "3"), (8, "4"),
    ]  # fmt: skip
    assert skipped.counts == {SkipReason.MALFORMED: 2}


def test_records_after_the_end_of_the_list_are_read(tmp_path: Path) -> None:
    found, skipped = read(tmp_path, f"x = [{json.dumps(tweet(1))}]\n;,{json.dumps(tweet(2))}]")
    assert [record["tweet"]["id_str"] for _, record in found] == ["1", "2"]
    assert skipped.counts == {SkipReason.MALFORMED: 1}


@pytest.mark.parametrize(
    "record",
    [
        '{"tweet": {"id_str": "1", "full_text": "cut\n',
        '{"tweet": {"id_str": "1", "full_text":\n',
        '{"tweet": {"id_str": "1", "a": [\n',
        '{"tweet": nothing}\n',
        "17,\n",
    ],
)
def test_many_broken_records_take_time_that_grows_with_their_number(
    record: str, tmp_path: Path
) -> None:
    """Each error once counted all lines before it, so that 300,000 took over a minute."""
    began = time.process_time()
    found, skipped = read(tmp_path, f"x = [{record * 50_000}{json.dumps(tweet(1))}]")
    assert time.process_time() - began < 5
    assert [record["tweet"]["id_str"] for _, record in found] == ["1"]
    assert skipped.counts == {SkipReason.MALFORMED: 50_000}


def test_a_record_over_the_limit_is_skipped_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_records, "LONGEST_RECORD", 10_000)
    monkeypatch.setattr(archive_records, "_PIECE", 1_000)
    written = [tweet(1), tweet(2, x="y" * 100_000), tweet(3), tweet(4, x=[0] * 100_000), tweet(5)]
    found, skipped = read(tmp_path, f"x = {json.dumps(written)}")
    assert [record["tweet"]["id_str"] for _, record in found] == ["1", "3", "5"]
    assert skipped.counts == {SkipReason.MALFORMED: 2}
