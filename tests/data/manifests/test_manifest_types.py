"""Types that Arrow, polars and pandas write are read correctly, or refused by name."""

import struct
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import ImageRef
from tweetprofile.errors import ManifestError

STRINGS = pa.list_(pa.string())


def write(file: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), file)
    return file


def images_of(file: Path) -> list[tuple[ImageRef, ...]]:
    return [user.images for shard in Manifest.open(file).shards(9) for user in shard.users]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.list_view(pa.string()), [["a", None], None, [], ["b"]]),
        (pa.large_list_view(pa.string()), [["a", None], None, [], ["b"]]),
        (pa.large_list(pa.string_view()), [["a", None], None, [], ["b"]]),
        (pa.list_(pa.dictionary(pa.int8(), pa.large_string())), [["a", None], None, [], ["b"]]),
    ],
    ids=str,
)
def test_all_list_types_of_arrow_are_read_as_lists(tmp_path: Path, kind: Any, values: Any) -> None:
    file = write(tmp_path / "m.parquet", user_id=list("wxyz"), images=pa.array(values, kind))
    assert images_of(file) == [(ImageRef("a"), ImageRef(None)), (), (), (ImageRef("b"),)]


def test_an_empty_path_and_a_null_path_stay_different(tmp_path: Path) -> None:
    images = pa.array([["", None, "a"]], STRINGS)
    file = write(tmp_path / "m.parquet", user_id=["x"], images=images)
    assert images_of(file) == [(ImageRef(""), ImageRef(None), ImageRef("a"))]


@pytest.mark.parametrize("kind", [pl.Categorical(), pl.Enum(["u1", "u2"]), pl.String()], ids=str)
def test_all_text_types_of_polars_are_read_as_text(tmp_path: Path, kind: pl.DataType) -> None:
    values = pl.Series(["u1", "u2"], dtype=kind)
    frame = pl.DataFrame({"user_id": values, "images": [["a"], ["b"]], "gender": values})
    frame = frame.with_columns(pl.col("images").list.to_array(1))
    frame.write_parquet(tmp_path / "m.parquet")
    manifest = Manifest.open(tmp_path / "m.parquet")
    assert manifest.count_users() == 2
    (shard,) = manifest.shards(9, ["gender"])
    assert shard.table["gender"].to_pylist() == ["u1", "u2"]
    assert [user.user_id for user in shard.users] == ["u1", "u2"]
    assert images_of(tmp_path / "m.parquet") == [(ImageRef("a"),), (ImageRef("b"),)]


def test_unsigned_integers_of_64_bits_keep_their_digits(tmp_path: Path) -> None:
    ids = [2**64 - 1, 2**63, 0]
    file = write(tmp_path / "m.parquet", user_id=pa.array(ids, pa.uint64()), images=[[]] * 3)
    manifest = Manifest.open(file)
    assert manifest.count_users() == 3
    assert [user.user_id for shard in manifest.shards(9) for user in shard.users] == ids


@pytest.mark.parametrize(
    ("ids", "name"),
    [
        (pa.array([Decimal(7)], pa.decimal128(20)), "decimal128"),
        (pa.array([datetime(2019, 1, 1, tzinfo=UTC)]), "timestamp"),
        (pa.array([7.0]), "double"),
        (pa.array([b"7"]), "binary"),
        (pa.array([uuid.UUID(int=7).bytes], pa.binary(16)), "fixed_size_binary"),
        (pa.array([uuid.UUID(int=7).bytes], pa.uuid()), "uuid"),
        (pa.array([{"id": 7}]), "struct"),
    ],
    ids=lambda each: str(getattr(each, "type", each)),
)
def test_ids_of_other_types_are_refused_by_type(tmp_path: Path, ids: pa.Array, name: str) -> None:
    file = write(tmp_path / "m.parquet", user_id=ids, images=[["a"]])
    with pytest.raises(ManifestError, match="it must be a string or an integer") as error:
        Manifest.open(file)
    assert name in str(error.value)


@pytest.mark.parametrize(
    "images", [[[["a"]]], [[{"url": "a"}]], [{"bytes": b"a", "path": "a"}], [[True]]], ids=str
)
def test_images_of_other_types_are_refused_by_type(tmp_path: Path, images: Any) -> None:
    file = write(tmp_path / "m.parquet", user_id=["x"], images=images)
    with pytest.raises(ManifestError, match=r"'images' is .*; it must be a list of strings"):
        Manifest.open(file)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


@pytest.mark.parametrize(
    "content",
    [b"", LFS, b"PAR1" + bytes(8), b"PARE" + bytes(40) + struct.pack("<i", 8) + b"PARE"],
    ids=["empty", "LFS pointer", "cut", "encrypted"],
)
def test_a_file_that_is_not_parquet_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.parquet").write_bytes(content)
    with pytest.raises(ManifestError, match=r"m\.parquet is not a readable Parquet file \("):
        Manifest.open(tmp_path / "m.parquet")


def test_feather_is_refused_by_name(tmp_path: Path) -> None:
    table = pa.table({"user_id": ["x"], "images": pa.array([["a"]], STRINGS)})
    feather.write_feather(table, tmp_path / "m.feather")
    with pytest.raises(ManifestError, match=r"m\.feather is not a readable Parquet file \("):
        Manifest.open(tmp_path / "m.feather")
