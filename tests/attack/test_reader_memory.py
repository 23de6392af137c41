"""Hostile dumps take bounded memory and time, as measured on the process of the command."""

import bz2
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MOST_BYTES = 1 << 30
MOST_SECONDS = 10  # of CPU time, as the machine may be busy

_RUN = """
import resource, sys
from tweetprofile.cli import main
code = main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
# Not ru_maxrss, which starts with the memory of the process that started this one.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(code, int(peak.split()[1]) * 1024, used.ru_utime + used.ru_stime)
"""


def run(*arguments: object) -> tuple[int, str]:
    """Run a command within the bounds; return its exit code and messages."""
    command = [sys.executable, "-c", _RUN, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    code, peak, seconds = done.stdout.split()[-3:]
    assert "fault of tweetprofile" not in done.stderr
    assert "Traceback" not in done.stderr
    assert int(peak) < MOST_BYTES
    assert float(seconds) < MOST_SECONDS
    return int(code), done.stderr


def put_long_lines(folder: Path) -> None:
    """Write lines of 200 MB: one of a single value, one of small objects."""
    with gzip.open(folder / "a.jsonl.gz", "wb", compresslevel=1) as file:
        file.write(b'{"a": "' + b"x" * (200 << 20) + b'"}\n')
        file.write(b'{"a": [' + b'{"":0},' * (30 << 20) + b"0]}\n")


def put_dense_lines(folder: Path) -> None:
    """Write lines just below the limit, of values that take the most memory or are all skipped."""
    with gzip.open(folder / "a.jsonl.gz", "wb", compresslevel=1) as file:
        file.write(b'{"a": [' + b'{"":0},' * 2_300_000 + b"0]}\n")
        file.write(b'{"data": [' + b"0," * 250_000 + b"0]}\n")


def put_many_faults(folder: Path) -> None:
    """Write some hundred bytes that unpack to 250,000 malformed lines."""
    (folder / "a.jsonl.bz2").write_bytes(bz2.compress(b"x\n" * 250_000))


def put_long_ids(folder: Path) -> None:
    """Write a user with an id of 8 MB and 400,000 photos."""
    (folder / "A.jpg").touch()
    media = {"media_key": "k", "type": "photo", "url": "http://x/A.jpg"}
    tweet = {
        "id": "1",
        "author_id": "7" * (8 << 20),
        "attachments": {"media_keys": ["k"] * 400_000},
    }
    record = {"data": [tweet], "includes": {"media": [media]}}
    (folder / "a.jsonl").write_text(json.dumps(record) + "\n")


def put_long_addresses(folder: Path) -> None:
    media = [{"media_key": str(n), "type": "photo", "url": f"http://x/{n}" + "y" * (1 << 20)}
             for n in range(12)]  # fmt: skip
    tweet = {
        "id": "1",
        "author_id": "7",
        "attachments": {"media_keys": [str(n) for n in range(12)]},
    }
    line = json.dumps({"data": [tweet], "includes": {"media": media}})
    with gzip.open(folder / "a.jsonl.gz", "wt", compresslevel=1) as file:
        file.writelines(f"{line}{n}\n".replace(f"}}{n}\n", "}\n") for n in range(12))


def put_numbers(folder: Path) -> None:
    digits = "9" * 4_000_000
    (folder / "a.jsonl").write_text(
        f'{{"id": {digits}}}\n{{"id": 0.{digits}}}\n{{"id": {digits}e9}}\n'
    )


def put_long_array(folder: Path) -> None:
    """Write an array of 200 MB on one line, of records of 20 kB."""
    record = b'{"meta": "' + b"x" * 20_000 + b'"}'
    with gzip.open(folder / "a.json.gz", "wb", compresslevel=1) as file:
        file.write(b"[5")
        file.writelines(b", " + record for _ in range(10_000))
        file.write(b"]")


def put_long_elements(folder: Path) -> None:
    """Write an array of two elements of 200 MB, each over the limit."""
    with gzip.open(folder / "a.json.gz", "wb", compresslevel=1) as file:
        file.write(b'[{"a": "' + b"x" * (200 << 20) + b'"},\n')
        file.write(b'{"a": [' + b'{"":0},' * (30 << 20) + b"0]}]")


def put_nested_array(folder: Path) -> None:
    with gzip.open(folder / "a.json.gz", "wb", compresslevel=1) as file:
        file.write(b"[" * (50 << 20))
    with gzip.open(folder / "b.json.gz", "wb", compresslevel=1) as file:
        file.write(b'[\n{"a":\n' * 150_000)


def put_broken_array(folder: Path) -> None:
    """Write arrays of 200,000 broken records, one per line and all on one line."""
    for name, between in (("a", ",\n"), ("b", ", ")):
        record = '{"id": 1, "text": "cut", "media": ['
        (folder / f"{name}.json").write_text(f"[\n{record}{(between + record) * 200_000}]")


def put_utf16(folder: Path) -> None:
    with gzip.open(folder / "a.json.gz", "wb", compresslevel=1) as file:
        file.write(("\ufeff[" + " " * (100 << 20)).encode("utf-16-le"))


DUMPS: dict[str, Callable[[Path], None]] = {
    "long array": put_long_array,
    "long elements": put_long_elements,
    "nested array": put_nested_array,
    "broken array": put_broken_array,
    "UTF-16": put_utf16,
    "long lines": put_long_lines,
    "dense lines": put_dense_lines,
    "many faults": put_many_faults,
    "long ids": put_long_ids,
    "long addresses": put_long_addresses,
    "numbers": put_numbers,
}


def put_one_tweet(folder: Path) -> None:
    """Write one sound tweet, so that the import does not fail for lack of images."""
    media = [{"type": "photo", "media_url_https": "https://pbs.twimg.com/media/Z.jpg"}]
    tweet = {"id_str": "1", "user": {"id_str": "7"}, "extended_entities": {"media": media}}
    (folder / "z.jsonl").write_text(json.dumps(tweet))
    (folder / "Z.jpg").touch()


@pytest.mark.slow
@pytest.mark.parametrize("kind", DUMPS)
def test_a_dump_that_unpacks_to_much_takes_little_memory_and_time(
    kind: str, tmp_path: Path
) -> None:
    (tmp_path / "dump").mkdir()
    DUMPS[kind](tmp_path / "dump")
    put_one_tweet(tmp_path / "dump")
    code, said = run("import", "twitter-api", tmp_path / "dump", "-o", tmp_path / "m.parquet")
    assert code == 0
    assert "m.parquet.skipped.csv" in said
    assert (tmp_path / "m.parquet.skipped.csv").stat().st_size < 40 << 20


@pytest.mark.slow
def test_a_list_of_skipped_things_ends_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "dump").mkdir()
    put_many_faults(tmp_path / "dump")
    put_one_tweet(tmp_path / "dump")
    _, said = run("import", "twitter-api", tmp_path / "dump", "-o", tmp_path / "m.parquet")
    assert "malformed: 250,000, first" in said
    assert "the first 100,000 of 250,000 that could not be imported" in said
    lines = (tmp_path / "m.parquet.skipped.csv").read_text().splitlines()
    assert len(lines) == 100_002
    assert lines[-1].startswith("not_listed,,,")


@pytest.mark.slow
@pytest.mark.parametrize(
    "record",
    [
        '{"tweet": {"id_str": "1", "full_text": "cut\n',
        '{"tweet": {"id_str": "1", "a": [\n',
        "[" * 99,
    ],
)
def test_an_archive_of_300_000_broken_records_takes_seconds(record: str, tmp_path: Path) -> None:
    data = tmp_path / "dump" / "data"
    (data / "tweets_media").mkdir(parents=True)
    (data / "tweets_media" / "1-Z.jpg").touch()
    (data / "account.js").write_text('x = [{"account": {"accountId": "7"}}]')
    with (data / "tweets.js").open("w") as file:
        media = [{"type": "photo", "media_url_https": "https://pbs.twimg.com/media/Z.jpg"}]
        tweet = {"id_str": "1", "extended_entities": {"media": media}}
        file.write(f"x = [{json.dumps({'tweet': tweet})},")
        file.writelines(record for _ in range(300_000))
    code, said = run("import", "twitter-archive", tmp_path / "dump", "-o", tmp_path / "m.parquet")
    assert code == 0
    assert "cut: 1" in said


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["x" * (300 << 20), '"' + "x\n" * (1 << 20), 'a","b\n' * 300_000])
def test_a_table_of_one_cell_takes_little_memory_and_time(cell: str, tmp_path: Path) -> None:
    (tmp_path / "dump" / "ada").mkdir(parents=True)
    (tmp_path / "dump" / "a.jpg").touch()
    (tmp_path / "dump" / "metadata.csv").write_text(
        f'user_id,file_names\ncy,"[""a.jpg""]"\nada,{cell}\nbob,[]\n'
    )
    code, _ = run("import", "folder", tmp_path / "dump", "-o", tmp_path / "m.parquet")
    assert code == 0
