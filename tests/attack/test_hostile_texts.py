"""Hostile texts of any layout are taken as UTF-8, within bounds, and none stops an import."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.attack.hostile_texts import DUMPS, HOSTILE, table_of_texts
from tweetprofile.errors import TweetprofileError
from tweetprofile.importers.readers.author_xml import read_author
from tweetprofile.importers.run import ImportOptions, import_dump
from tweetprofile.importers.skipped import Skipped
from tweetprofile.importers.users import LONGEST_TEXT, MOST_TEXTS, TEXTS_CUT, TEXTS_OVER_LIMIT

Put = Callable[[Path], Path]

TAKEN = [text for text in HOSTILE.values() if text.strip()]


def texts_in(manifest: Path, user_id: str = "7") -> list[str]:
    """Return the texts of a user, decoded strictly."""
    table = pq.read_table(manifest)
    table.validate(full=True)
    (texts,) = (row["texts"] for row in table.to_pylist() if row["user_id"] == user_id)
    assert isinstance(texts, list)
    return texts


@pytest.mark.parametrize("name", DUMPS)
def test_hostile_texts_of_every_layout_are_taken_within_bounds(name: str, tmp_path: Path) -> None:
    layout, write = DUMPS[name]
    write(tmp_path / "dump")
    summary = import_dump(layout, tmp_path / "dump", tmp_path / "m.parquet")  # type: ignore[arg-type]
    texts = texts_in(tmp_path / "m.parquet")
    assert all(0 < len(text.encode()) <= LONGEST_TEXT for text in texts)
    assert summary.left_out[TEXTS_CUT] == 2
    if layout in ("twitter-api", "twitter-archive"):
        assert len(texts) == len(TAKEN)
        assert texts[2:4] == [HOSTILE["null"], HOSTILE["controls"]]
        assert "a\ufffdb" in texts


def test_hostile_texts_in_a_table_are_taken_as_they_are(tmp_path: Path, put_image: Put) -> None:
    put_image(tmp_path / "dump" / "7" / "a.jpg")
    table_of_texts(tmp_path / "t.jsonl")
    options = ImportOptions(texts=tmp_path / "t.jsonl")
    import_dump("folder", tmp_path / "dump", tmp_path / "m.parquet", options)
    texts = texts_in(tmp_path / "m.parquet")
    assert len(texts) == len(TAKEN)
    for text in ("null", "right to left", "a family of emoji", "a terminal's commands"):
        assert HOSTILE[text] in texts


@pytest.fixture
def put_image(draw: Callable[..., Any]) -> Put:
    def put(path: Path) -> Path:
        path.parent.mkdir(parents=True)
        draw(24, 16, 1).save(path, "JPEG")
        return path

    return put


def test_of_100_000_texts_and_more_the_last_are_taken(tmp_path: Path) -> None:
    with (tmp_path / "t.jsonl").open("w") as lines:
        for number in range(1, MOST_TEXTS + 11):
            tweet = {"id_str": str(number), "user": {"id_str": "7"}, "full_text": f"t {number}"}
            lines.write(f"{json.dumps(tweet)}\n")
    summary = import_dump("twitter-api", tmp_path / "t.jsonl", tmp_path / "m.parquet")
    texts = texts_in(tmp_path / "m.parquet")
    assert (len(texts), texts[0], texts[-1]) == (MOST_TEXTS, "t 11", f"t {MOST_TEXTS + 10}")
    assert summary.left_out[TEXTS_OVER_LIMIT] == 10


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 20))]
)
def test_author_files_mutated_at_random_are_read_or_skipped(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    document = "<document><![CDATA[tea &amp; a walk]]></document>"
    sound = f'<author lang="es"><documents>{document * 5}</documents></author>'.encode()
    skipped = Skipped(None)
    for _ in range(500):
        content = bytearray(sound)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(content))
            content[at : at + chance.randrange(3)] = chance.choice(
                [b"<", b"]]>", b"&#0;", b"\xff\xfe", b"\0", b"<!DOCTYPE a>", b"\xed\xa0\x80", b""]
            )
        (tmp_path / "a.xml").write_bytes(content[: chance.randrange(1, len(content))])
        if (author := read_author(tmp_path / "a.xml", skipped)) is not None:
            assert len(author.texts) <= 5
            assert all(text.encode() for text in author.texts)
    assert skipped.counts.total() > 100


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_tables_of_texts_of_any_bytes_are_taken_or_refused(
    ending: str, tmp_path: Path, put_image: Put
) -> None:
    chance = random.Random(ending)
    put_image(tmp_path / "dump" / "7" / "a.jpg")
    table = tmp_path / f"t.{ending}"
    sound = b'user_id,text\n7,"a"\n8,b\n' if ending != "jsonl" else b'{"user_id":"7","text":"a"}\n'
    options = ImportOptions(texts=table, overwrite=True)
    for _ in range(15):
        content = bytearray(sound if chance.random() < 0.8 else chance.randbytes(200))
        for _ in range(chance.randrange(3)):
            content[chance.randrange(len(content))] = chance.choice(b'",\n\0\xff\xd8{}')
        table.write_bytes(content)
        try:
            import_dump("folder", tmp_path / "dump", tmp_path / "m.parquet", options)
        except TweetprofileError as error:
            assert "\n" not in str(error)


MEASURE = """
import resource, sys
from tweetprofile.importers.run import import_dump
import_dump("twitter-api", sys.argv[1], sys.argv[1] + ".parquet")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_texts_of_a_dump(tmp_path: Path) -> None:
    peaks = []
    for count in (200_000, 1_000_000):
        with (tmp_path / f"{count}.jsonl").open("w") as lines:
            for number in range(1, count + 1):
                user = {"id_str": str(number * 7919 % (count // 100))}
                tweet = {"id_str": str(number), "user": user, "full_text": f"{number:0200}"}
                lines.write(f"{json.dumps(tweet)}\n")
        source = str(tmp_path / f"{count}.jsonl")
        ran = subprocess.run(
            [sys.executable, "-c", MEASURE, source], capture_output=True, check=True, text=True
        )
        peaks.append(int(ran.stdout))
    assert peaks[1] < peaks[0] + 150
