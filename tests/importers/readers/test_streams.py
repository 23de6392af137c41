"""Everything before damage is read, however a file is compressed, and it is recorded once."""

import bz2
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tweetprofile.importers.readers import json_records
from tweetprofile.importers.readers.json_records import read_records
from tweetprofile.importers.readers.streams import DumpFile
from tweetprofile.importers.skipped import Skipped, SkipReason

LINES = 1_000


def pack_zstd(data: bytes) -> bytes:
    packed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return packed


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": pack_zstd,
}


def lines_from(first: int, count: int = LINES) -> bytes:
    numbers = range(first, first + count)
    return b"".join(json.dumps({"n": n, "text": f"{n * n:x}"}).encode() + b"\n" for n in numbers)


def read(path: Path) -> tuple[list[int], list[str]]:
    """Return the numbers of the records, and the descriptions of what was skipped."""
    skipped = Skipped(None)
    found = [record["n"] for _, record in read_records(path, skipped)]
    return found, [f"{reason} {said}" for reason, said in skipped.first.items()]


@pytest.mark.parametrize("ending", PACK)
def test_garbage_after_a_complete_stream_costs_no_line_and_is_recorded_once(
    ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"tweets.jsonl{ending}"
    path.write_bytes(PACK[ending](lines_from(0)) + b"this is not a stream" * 9)
    found, said = read(path)
    assert found == list(range(LINES))
    (cut,) = said
    assert cut.startswith(f"cut {path}:{LINES + 1}: cannot be read any further")


@pytest.mark.parametrize("ending", PACK)
def test_several_streams_in_a_file_are_all_read(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"tweets.jsonl{ending}"
    path.write_bytes(b"".join(PACK[ending](lines_from(first)) for first in (0, 1000, 2000)))
    assert read(path) == (list(range(3 * LINES)), [])


@pytest.mark.parametrize("ending", PACK)
def test_streams_before_a_damaged_one_are_read_completely(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"tweets.jsonl{ending}"
    damaged = bytearray(PACK[ending](lines_from(1000)))
    damaged[:9] = bytes(9)
    path.write_bytes(PACK[ending](lines_from(0)) + damaged)
    found, said = read(path)
    assert found == list(range(LINES))
    assert len(said) == 1


@pytest.mark.parametrize(("ending", "kept"), [(".gz", 9_800), (".bz2", 0), (".zst", 8_600)])
def test_all_blocks_before_the_cut_of_a_stream_are_read(
    ending: str, kept: int, tmp_path: Path
) -> None:
    """gzip returns all that it has read; Zstandard complete blocks of 128 KiB, bzip2 of 900."""
    path = tmp_path / f"tweets.jsonl{ending}"
    packed = PACK[ending](lines_from(0, 10_000))
    path.write_bytes(packed[: int(len(packed) * 0.99)])
    found, said = read(path)
    assert found == list(range(len(found)))
    assert len(found) >= kept
    assert len(said) == 1


def test_a_line_that_is_cut_counts_once_with_its_own_number(tmp_path: Path) -> None:
    path = tmp_path / "tweets.jsonl.gz"
    path.write_bytes(gzip.compress(lines_from(0) + b'{"n": 7, "te') + b"garbage")
    found, said = read(path)
    assert len(found) == LINES
    (cut,) = said
    assert cut.startswith(f"cut {path}:{LINES + 1}: cannot be read any further")


def test_a_read_error_of_the_disk_is_recorded(tmp_path: Path) -> None:
    """/proc/self/mem is a regular file whose first page cannot be read."""
    (tmp_path / "tweets.jsonl").symlink_to("/proc/self/mem")
    _, said = read(tmp_path / "tweets.jsonl")
    assert said == [
        f"cut {tmp_path}/tweets.jsonl:1: cannot be read any further: Input/output error"
    ]


def test_pipes_and_loops_of_links_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "loop.jsonl").symlink_to("loop.jsonl")
    (tmp_path / "null.jsonl").symlink_to("/dev/zero")
    for name in ("pipe", "loop", "null", "gone"):
        found, (said,) = read(tmp_path / f"{name}.jsonl")
        assert found == []
        assert said.startswith("unreadable ")


def test_a_line_over_the_limit_is_skipped_and_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_records, "LONGEST_RECORD", 1000)
    path = tmp_path / "tweets.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": "' + b'{"n": 2}\n'.strip() * 500_000 + b'"}\n{"n": 3}\n')
    skipped = Skipped(None)
    assert [record["n"] for _, record in read_records(path, skipped)] == [1, 3]
    assert skipped.counts == {SkipReason.MALFORMED: 1}
    assert skipped.first[SkipReason.MALFORMED].startswith(f"{path}:2: a line of more than")


def test_nothing_is_read_after_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "tweets.jsonl.gz"
    path.write_bytes(gzip.compress(b"a\n") + b"x")
    with DumpFile(path) as file:
        assert file.bytes.read() == b"a\n"
        assert file.damage
        assert file.bytes.read() == b""
