"""Tables of labels and metadata, damaged at random, and Parquet files that claim too much."""

import csv
import io
import json
import random
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.errors import OptionError, TweetprofileError
from tweetprofile.importers.labels import LabelTable
from tweetprofile.importers.run import ImportOptions, import_dump

PIECES = ['"', ",", "\n", "\r", "\0", "\ud800", "\xff", "=1+1", '""', "\t", "x" * 300, "[", "é", ""]


def as_csv(rows: list[list[str]]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue()


def damaged(text: str, chance: random.Random) -> bytes:
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(text))
        text = text[:at] + chance.choice(PIECES) + text[at + chance.randrange(3) :]
    if chance.random() < 0.2:
        text = text[: chance.randrange(len(text) + 1)]
    return text.encode("utf-8", "surrogatepass" if chance.random() < 0.5 else "replace")


@pytest.mark.parametrize("rounds", [100, pytest.param(5_000, marks=pytest.mark.slow)])
def test_a_damaged_table_of_labels_is_read_or_refused_in_one_sentence(
    rounds: int, tmp_path: Path
) -> None:
    chance = random.Random(rounds)
    whole = as_csv([["user_id", "gender", "place"], *([str(n), "f", "a b"] for n in range(20))])
    for _ in range(rounds):
        (tmp_path / "labels.csv").write_bytes(damaged(whole, chance))
        try:
            table = LabelTable(tmp_path / "labels.csv")
        except OptionError as error:
            assert "\n" not in str(error)
        else:
            assert len(table.columns) >= 1


@pytest.mark.parametrize("rounds", [20, pytest.param(1_000, marks=pytest.mark.slow)])
def test_rows_next_to_damaged_ones_are_read_exactly(rounds: int, tmp_path: Path) -> None:
    """Each damaged row is on its own line, and only that line is lost."""
    chance = random.Random(rounds)
    folder = tmp_path / "dump"
    folder.mkdir()
    (folder / "a.jpg").touch()
    for _ in range(rounds):
        rows, expected, broken = [["user_id", "file_names", "note"]], [], 0
        text = as_csv(rows)
        for number in range(30):
            if chance.random() < 0.7:
                note = chance.choice(["", "two\nlines", "a, b", 'he said "so"', "plain"])
                text += as_csv([[f"u{number}", '["a.jpg"]', note]])
                expected.append((f"u{number}", note or None))
            else:
                broken += 1
                text += chance.choice([f'x{number},"open\r\n', f"x{number}\r\n", "x,y,z,more\r\n",
                                       f'"x{number},[],plain\r\n'])  # fmt: skip
        (folder / "metadata.csv").write_bytes(text.encode())
        summary = import_dump(
            "folder", folder, tmp_path / "m.parquet", ImportOptions(overwrite=True)
        )
        table = pl.read_parquet(tmp_path / "m.parquet")
        assert table.select("user_id", "note").rows() == expected
        assert sum(summary.skipped.values()) == broken


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("rounds", [40, pytest.param(1_500, marks=pytest.mark.slow)])
def test_damaged_metadata_is_imported_or_refused_in_one_sentence(
    ending: str, rounds: int, tmp_path: Path
) -> None:
    chance = random.Random(rounds)
    folder = tmp_path / "dump"
    folder.mkdir()
    (folder / "a.jpg").touch()
    rows = [{"user_id": f"u{n}", "file_names": ["a.jpg", "b.jpg"], "g": "f"} for n in range(20)]
    pl.DataFrame(rows).write_parquet(tmp_path / "whole.parquet")
    packed = (tmp_path / "whole.parquet").read_bytes()
    cells = [[row["user_id"], json.dumps(row["file_names"]), row["g"]] for row in rows]
    for _ in range(rounds):
        if ending == ".csv":
            content = damaged(as_csv([["user_id", "file_names", "g"], *map(list, cells)]), chance)  # type: ignore[list-item]
        elif ending == ".jsonl":
            content = damaged("".join(json.dumps(row) + "\n" for row in rows), chance)
        else:
            flipped = bytearray(packed)
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
            content = bytes(flipped)
        (folder / f"metadata{ending}").write_bytes(content)
        try:
            import_dump("folder", folder, tmp_path / "m.parquet", ImportOptions(overwrite=True))
        except TweetprofileError as error:
            assert "\n" not in str(error)


def test_labels_that_claim_more_rows_than_the_limit_are_refused_at_once(tmp_path: Path) -> None:
    rows = 10_000_001
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array(["ada"]))
    table = pa.table({"user_id": same, "gender": pa.nulls(rows, pa.string())})
    pq.write_table(table, tmp_path / "l.parquet", compression="zstd", row_group_size=rows)
    assert (tmp_path / "l.parquet").stat().st_size < 100_000
    with pytest.raises(OptionError, match="more than 10,000,000 rows"):
        LabelTable(tmp_path / "l.parquet")


def test_a_value_repeated_a_million_times_takes_memory_only_once(tmp_path: Path) -> None:
    """100 KB per row would be 100 GB in all."""
    rows = 1_000_000
    large = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows, np.int32)), pa.array(["x" * 100_000])
    )
    table = pa.table({"user_id": pa.array(range(rows)), "gender": large})
    pq.write_table(table, tmp_path / "l.parquet", compression="zstd")
    with pytest.raises(OptionError, match="more than 256 MiB of text"):
        LabelTable(tmp_path / "l.parquet")


def test_a_row_of_metadata_that_unpacks_to_gigabytes_is_refused(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "dump"
    folder.mkdir()
    (folder / "a.jpg").touch()
    large = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(100_000, np.int32)), pa.array(["x" * 100_000])
    )
    lists = pa.ListArray.from_arrays(pa.array([0, 100_000], pa.int32()), large)
    pq.write_table(pa.table({"user_id": ["ada"], "file_names": lists}), folder / "metadata.parquet")
    with pytest.raises(OptionError, match=r"names no user .*a row of more than 16 MiB"):
        import_dump("folder", folder, tmp_path / "m.parquet")
    many = pa.ListArray.from_arrays(
        pa.array([0, 1 << 26], pa.int32()), pa.nulls(1 << 26, pa.string())
    )
    pq.write_table(pa.table({"user_id": ["ada"], "file_names": many}), folder / "metadata.parquet")
    with pytest.raises(OptionError, match=r"names no user .*67,108,864 values"):
        import_dump("folder", folder, tmp_path / "n.parquet")
