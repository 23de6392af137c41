"""JSON in every usual arrangement gives the same records, with their line numbers."""

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tweetprofile.importers.readers import json_records
from tweetprofile.importers.readers.json_records import read_records
from tweetprofile.importers.skipped import Skipped, SkipReason

TWEETS: list[dict[str, Any]] = [
    {"id": n, "user": {"id": -n, "url": "[{,"}, "media": [{"id": 1}, {"id": 2}], "text": 'a "\n{}'}
    for n in range(7)
]

TEXTS: dict[str, Callable[[], str]] = {
    "JSON lines": lambda: "".join(f"{json.dumps(each)}\n" for each in TWEETS),
    "JSON lines with blank ones": lambda: "\n\n".join(map(json.dumps, TWEETS)),
    "JSON lines with commas": lambda: "".join(f"{json.dumps(each)},\n" for each in TWEETS),
    "a list per line": lambda: f"{json.dumps(TWEETS[:3])}\n[]\n{json.dumps(TWEETS[3:])}\n",
    "an array on one line": lambda: json.dumps(TWEETS),
    "an array on one line, ended": lambda: f"{json.dumps(TWEETS)}\n",
    "an array without blanks": lambda: json.dumps(TWEETS, separators=(",", ":")),
    "an array, an object per line": lambda: "[\n" + ",\n".join(map(json.dumps, TWEETS)) + "\n]\n",
    "an array, commas first": lambda: "[" + "\n,".join(map(json.dumps, TWEETS)) + "]",
    "an array, its brackets in the lines": lambda: "[" + ",\n".join(map(json.dumps, TWEETS)) + "]",
    "a pretty-printed array": lambda: json.dumps(TWEETS, indent=2),
    "an array without indentation": lambda: json.dumps(TWEETS, indent=0),
    "an array as prettier writes it": lambda: (
        "[" + ", ".join(json.dumps(each, indent=4) for each in TWEETS) + "]"
    ),
    "pretty-printed objects": lambda: "\n".join(json.dumps(each, indent=4) for each in TWEETS),
    "pretty-printed arrays, one after the other": lambda: (
        json.dumps(TWEETS[:2], indent=1) + json.dumps(TWEETS[2:], indent=1)
    ),
    "an array of arrays": lambda: json.dumps([TWEETS[:2], TWEETS[2:]], indent=1),
    "gallery-dl's --dump-json": lambda: json.dumps(
        [[3, "https://pbs.twimg.com/media/A", each] for each in TWEETS], indent=2
    ),
}


def read(path: Path) -> tuple[list[tuple[int, Any]], Skipped]:
    skipped = Skipped(None)
    return list(read_records(path, skipped)), skipped


@pytest.mark.parametrize("arrangement", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_arrangement_and_encoding_gives_the_same_records(
    arrangement: str, encoding: str, tmp_path: Path
) -> None:
    (tmp_path / "tweets.json").write_text(TEXTS[arrangement](), encoding)
    found, skipped = read(tmp_path / "tweets.json")
    assert [record for _, record in found] == TWEETS
    assert not skipped.counts


@pytest.mark.parametrize("arrangement", TEXTS)
def test_lines_may_end_as_on_windows_and_files_may_be_compressed(
    arrangement: str, tmp_path: Path
) -> None:
    data = TEXTS[arrangement]().replace("\n", "\r\n").encode()
    (tmp_path / "tweets.json.gz").write_bytes(gzip.compress(data))
    found, skipped = read(tmp_path / "tweets.json.gz")
    assert [record for _, record in found] == TWEETS
    assert not skipped.counts


def test_records_of_an_array_come_with_their_first_lines(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps([{"a": 1}, {"b": [1]}, {"c": 1}], indent=1))
    found, _ = read(tmp_path / "t.json")
    assert [line for line, _ in found] == [2, 5, 10]


@pytest.mark.parametrize(
    "arrangement",
    [
        "an array, an object per line",
        "a pretty-printed array",
        "an array, its brackets in the lines",
        "pretty-printed objects",
        "an array on one line",
        "an array as prettier writes it",
    ],
)
@pytest.mark.parametrize("broken", range(1, 6))
def test_a_broken_record_of_an_array_is_skipped_once(
    arrangement: str, broken: int, tmp_path: Path
) -> None:
    """The `user` of one record is not valid JSON."""
    text = TEXTS[arrangement]()
    whole = json.loads(json.dumps(TWEETS))
    at = [i for i in range(len(text)) if text.startswith('"user"', i)][broken]
    (tmp_path / "t.json").write_text(text[:at] + '"user" oops' + text[at + 6 :])
    found, skipped = read(tmp_path / "t.json")
    taken = [record for _, record in found if "user" in record]
    assert taken == whole[:broken] + whole[broken + 1 :]
    assert skipped.counts == {SkipReason.MALFORMED: 1}
    assert skipped.first[SkipReason.MALFORMED].startswith(
        f"{tmp_path}/t.json:{line_of(text, broken)}:"
    )


def line_of(text: str, number: int) -> int:
    """Return the first line of a record: that of the brace before its id."""
    at = text.rindex("{", 0, text.index(f'"id": {number},', text.index(f'"id": {-number + 1}')))
    return text.count("\n", 0, at) + 1


@pytest.mark.parametrize("arrangement", ["a pretty-printed array", "an array on one line"])
def test_the_beginning_of_a_cut_array_is_kept(arrangement: str, tmp_path: Path) -> None:
    text = TEXTS[arrangement]()
    for end in (len(text) - 1, len(text) - 20, len(text) // 2):
        (tmp_path / "t.json").write_text(text[:end])
        found, skipped = read(tmp_path / "t.json")
        assert [record for _, record in found] == TWEETS[: len(found)]
        assert len(found) >= (3 if end == len(text) // 2 else 6)
        assert skipped.counts == {SkipReason.CUT: 1}


def test_a_cut_array_in_a_compressed_file_is_skipped_once(tmp_path: Path) -> None:
    filler = [{"id": n, "text": random.Random(n).randbytes(50_000).hex()} for n in range(9)]
    packed = gzip.compress(json.dumps(filler, indent=1).encode())
    (tmp_path / "t.json.gz").write_bytes(packed[: len(packed) // 2])
    found, skipped = read(tmp_path / "t.json.gz")
    assert [record for _, record in found] == filler[: len(found)]
    assert len(found) >= 3
    assert skipped.counts == {SkipReason.CUT: 1}


def test_an_array_record_over_the_limit_is_skipped_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_records, "LONGEST_RECORD", 300_000)
    written = [{"n": 1}, {"n": 2, "x": "y" * 2_000_000}, {"n": 3}]
    (tmp_path / "t.json").write_text(json.dumps(written, indent=1))
    found, skipped = read(tmp_path / "t.json")
    assert [record for _, record in found] == [{"n": 1}, {"n": 3}]
    assert skipped.counts == {SkipReason.MALFORMED: 1}


@pytest.mark.parametrize(
    "text", ["[\n" * 50_000, '{"a":\n' * 50_000, "[" * 300_000, "[{\n" * 9_999]
)
def test_endless_nesting_is_skipped_without_a_crash(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(text)
    found, skipped = read(tmp_path / "t.json")
    assert not found
    assert skipped.counts


def test_list_items_that_are_not_objects_are_skipped_as_one(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('[{"n": 1}, 5, "a", {"n": 2}]\n')
    found, skipped = read(tmp_path / "t.jsonl")
    assert found == [(1, {"n": 1}), (1, {"n": 2})]
    assert skipped.counts == {SkipReason.MALFORMED: 1}
    assert "2 of 4 list items are not objects" in skipped.first[SkipReason.MALFORMED]
