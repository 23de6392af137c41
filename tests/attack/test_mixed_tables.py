"""The same users in random variants of tables and folders of Parquet, as different tools write."""

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.importers.layouts import joining
from tweetprofile.importers.run import ImportOptions, import_dump

WORDS = [
    "",
    "north",
    "Querétaro",
    "a;b",
    'he said "so"',
    "two\nlines",
    "tab\tbed",
    "€ 5",
    "-1",
    "x,y",
]
IDS = ["7", "007", "9007199254740993", "ada", "4e20", "Ñ", "a b", "123456789012345678901"]
ENCODINGS = ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]

Rows = list[tuple[str, str, str]]


def some_rows(chance: random.Random) -> Rows:
    """Return rows of users in random order, with one value of `place` per user."""
    places = {user: chance.choice(WORDS) for user in chance.sample(IDS, chance.randrange(1, 8))}
    return [
        (user, f"{chance.randrange(4)}.jpg", places[user])
        for user in chance.choices(list(places), k=chance.randrange(1, 40))
    ]


def expected_users(rows: Rows) -> list[tuple[str, list[str], str | None]]:
    users: dict[str, tuple[list[str], str | None]] = {}
    for user, image, place in rows:
        images, _ = users.setdefault(user, ([], place or None))
        if f"hf/{image}" not in images:
            images.append(f"hf/{image}")
    return [(user, *found) for user, found in users.items()]


def write_table(folder: Path, rows: Rows, chance: random.Random) -> None:
    names = ("user_id", "file_name", "place")
    if chance.random() < 0.5:
        file = io.StringIO(newline="")
        dialect = (
            csv.excel if chance.random() < 0.5 else csv.unix_dialect
        )  # which quotes everything
        end = chance.choice(["\n", "\r\n"])
        delimiter = chance.choice(",;\t|")
        writer = csv.writer(file, dialect, delimiter=delimiter, lineterminator=end)
        writer.writerows([names, *rows])
        ending, text = "csv", file.getvalue()
    else:
        records = (json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)
                   for row in rows)  # fmt: skip
        ending, text = "jsonl", "\n".join(records)
    encoded = text.encode(chance.choice(ENCODINGS))
    for old in folder.glob("metadata.*"):
        old.unlink()
    (folder / f"metadata.{ending}").write_bytes(encoded)


@pytest.mark.parametrize("rounds", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_a_table_is_read_in_the_same_way_however_it_is_written(
    rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(rounds)
    folder = tmp_path / "hf"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.jpg").touch()
    for _ in range(rounds):
        monkeypatch.setattr(joining, "_CHARACTERS_IN_MEMORY", chance.choice([1, 1_000, 1 << 20]))
        rows = some_rows(chance)
        write_table(folder, rows, chance)
        summary = import_dump(
            "folder", folder, tmp_path / "m.parquet", ImportOptions(overwrite=True)
        )
        assert pl.read_parquet(tmp_path / "m.parquet").rows() == expected_users(rows)
        assert not summary.skipped


KINDS_OF_TEXT = [pa.string(), pa.large_string(), pa.string_view(),
                 pa.dictionary(pa.int8(), pa.string()),
                 pa.dictionary(pa.int32(), pa.large_string())]  # fmt: skip
KINDS_OF_NUMBERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32()]
NOTHING = [pa.null(), pa.float64(), pa.float32()]


def as_column(values: list[Any], kinds: list[pa.DataType], chance: random.Random) -> pa.Array:
    if all(value is None for value in values) and chance.random() < 0.7:
        return pa.nulls(len(values), chance.choice(NOTHING))
    return pa.array(values).cast(chance.choice(kinds))


@pytest.mark.parametrize("rounds", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_a_folder_is_read_in_the_same_way_whatever_types_its_files_have(
    rounds: int, tmp_path: Path
) -> None:
    """Columns are in any order, and a column without values may be missing in a file."""
    chance = random.Random(rounds)
    for number in range(rounds):
        folder = tmp_path / str(number)
        expected: list[tuple[Any, ...]] = []
        text_ids = chance.random() < 0.5
        for part in range(chance.randrange(1, 6)):
            count = chance.randrange(part == 0, 4)
            ids = list(range(10 * part, 10 * part + count))
            genders = [chance.choice([None, "f", "m"]) for _ in ids]
            ages = [chance.choice([None, 30, 40]) for _ in ids]
            country = chance.choice(["de", "mx"])
            columns = {
                "user_id": as_column(list(map(str, ids)), KINDS_OF_TEXT, chance) if text_ids
                else as_column(ids, KINDS_OF_NUMBERS, chance),
                "images": pa.array([["a"]] * count, pa.list_(pa.string())),
                "gender": as_column(genders, KINDS_OF_TEXT, chance),
                "age": as_column(ages, KINDS_OF_NUMBERS, chance),
            }  # fmt: skip
            names = chance.sample(list(columns), len(columns))
            if not any(genders) and chance.random() < 0.5:
                names.remove("gender")
            file = (
                folder
                / f"part={part}"
                / f"country={country}"
                / chance.choice(["a.pq", "b.PARQUET"])
            )
            file.parent.mkdir(parents=True)
            pq.write_table(pa.table({name: columns[name] for name in names}), file)
            expected += zip(map(str, ids), genders, ages, [country] * count, strict=True)
        found: list[tuple[Any, ...]] = []
        wanted = ["gender", "age", "country"]
        manifest = Manifest.open(folder)
        for shard in manifest.shards(3, [name for name in wanted if name in manifest.schema.names]):
            for row in shard.table.to_pylist():
                found.append((str(row["user_id"]), *(row.get(name) for name in wanted)))
        assert found == expected
        assert manifest.count_users() == len(expected)
