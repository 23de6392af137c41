"""Programs that write our predictions again, each in its own way."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tweetprofile.predicting.flat_csv import write_flat

USERS = [f"user {number}" for number in range(40)]
TRAITS = {"gender": ("female", "male"), "place": ("north", "south", "west")}
CLASSES = ["user_id", *TRAITS]

Rewrite = Callable[[Path, Path], Path]


def read_plain(path: Path) -> pa.Table:
    """Read our file as a program does that knows nothing of our metadata."""
    return pq.read_table(path).replace_schema_metadata()


def by_polars(ours: Path, folder: Path) -> Path:
    pl.read_parquet(ours).write_parquet(folder / "again.parquet")
    return folder / "again.parquet"


def by_polars_classes_alone(ours: Path, folder: Path) -> Path:
    pl.read_parquet(ours).select(CLASSES).write_parquet(folder / "again.parquet")
    return folder / "again.parquet"


def by_polars_in_a_folder(ours: Path, folder: Path) -> Path:
    (folder / "again").mkdir()
    profiles = pl.read_parquet(ours)
    for number, part in enumerate((profiles[:15], profiles[15:])):
        part.write_parquet(folder / "again" / f"{number}.parquet")
    return folder / "again"


def by_polars_as_csv(ours: Path, folder: Path) -> Path:
    pl.read_parquet(ours).select(CLASSES).write_csv(folder / "again.csv")
    return folder / "again.csv"


def by_pyarrow_without_metadata(ours: Path, folder: Path) -> Path:
    pq.write_table(read_plain(ours), folder / "again.parquet")
    return folder / "again.parquet"


def by_pyarrow_as_csv(ours: Path, folder: Path) -> Path:
    table = read_plain(ours).select(CLASSES)
    plain = table.cast(pa.schema([(name, pa.string()) for name in CLASSES]))
    pacsv.write_csv(plain, folder / "again.csv")
    return folder / "again.csv"


def by_our_flat_csv(ours: Path, folder: Path) -> Path:
    table = read_plain(ours)
    write_flat(folder / "again.csv", table.schema, [table])
    return folder / "again.csv"


def by_pandas(ours: Path, folder: Path) -> Path:
    pandas = pytest.importorskip("pandas")
    pandas.read_parquet(ours).to_parquet(folder / "again.parquet")
    return folder / "again.parquet"


def by_pandas_as_csv(ours: Path, folder: Path) -> Path:
    pandas = pytest.importorskip("pandas")
    pandas.read_parquet(ours)[CLASSES].to_csv(folder / "again.csv")
    return folder / "again.csv"
