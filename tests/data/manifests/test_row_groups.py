"""The claims of a Parquet file are checked before it is decoded, and its rows are read exactly."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.errors import ManifestError

MOST_MEGABYTES = 1000

READ = r"""
import pathlib, re, sys
from tweetprofile.errors import TweetprofileError
from tweetprofile.data.manifests.manifest import Manifest
try:
    manifest = Manifest.open(sys.argv[1])
    manifest.count_users()
    batches = manifest.batches(256, 8)
    print("read", sum(len(refs.images) for batch in batches for refs in batch.users))
except TweetprofileError as error:
    print(error)
status = pathlib.Path("/proc/self/status").read_text()
print(int(re.search(r"VmHWM:\s*(\d+)", status)[1]) // 1024)
"""


def read_within_bounds(manifest: Path) -> str:
    """Return what a process prints that reads all users within a gigabyte of memory."""
    command = [sys.executable, "-c", READ, str(manifest)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    sentence, megabytes = printed.stdout.splitlines()
    assert int(megabytes) < MOST_MEGABYTES
    return sentence


def write(file: Path, ids: list[str], images: pa.Array, **options: object) -> Path:
    """Write plain lists; only the encoding of the file stores repeated values once."""
    table = pa.table({"user_id": ids, "images": images})
    pq.write_table(table, file, store_schema=False, **options)
    return file


def repeated(value: bytes | str, times: int) -> pa.DictionaryArray:
    """Return one value many times, which takes a few bytes in a file and many when decoded."""
    kind = pa.binary() if isinstance(value, bytes) else pa.string()
    values = pa.array([value], kind)
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(times, np.int32)), values)


def in_one_list(values: pa.Array) -> pa.LargeListArray:
    return pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)


def test_a_row_of_millions_of_images_in_a_few_bytes_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "m.parquet", ["a"], in_one_list(pa.nulls(20_000_000, pa.string())))
    assert file.stat().st_size < 1000
    assert "claims 20,000,000 values of 'images" in read_within_bounds(file)


@pytest.mark.parametrize("value", ["x" * 1_000_000, b"x" * 1_000_000], ids=["path", "image"])
def test_one_value_repeated_ten_thousand_times_is_refused_with_its_row(
    tmp_path: Path, value: bytes | str
) -> None:
    file = write(tmp_path / "m.parquet", ["a"], in_one_list(repeated(value, 10_000)))
    assert file.stat().st_size < 100_000
    sentence = read_within_bounds(file)
    assert f"{file}: row 0 of row group 0 unpacks into 10,000,000,0" in sentence


def test_an_image_that_many_users_share_is_read_for_each_of_them(tmp_path: Path) -> None:
    shared, users = b"x" * 500_000, 3_000
    images = pa.LargeListArray.from_arrays(
        pa.array(range(users + 1), pa.int64()), repeated(shared, users)
    )
    ids = [f"user-{number}" for number in range(users)]
    file = write(tmp_path / "m.parquet", ids, images)
    assert read_within_bounds(file) == "read 3000"
    batch = next(Manifest.open(file).batches(8, 8))
    assert batch.users[3] == UserImages("user-3", (ImageRef(data=shared),))


def test_a_column_of_extreme_compression_is_refused(tmp_path: Path) -> None:
    images = pa.array([[bytes(270_000_000)]], pa.large_list(pa.large_binary()))
    file = write(tmp_path / "m.parquet", ["a"], images, compression="zstd", use_dictionary=False)
    assert "claims 270,0" in read_within_bounds(file)


def test_a_user_with_very_many_rows_takes_no_more_memory_than_the_limit(tmp_path: Path) -> None:
    rows = 300_000
    ids, images = repeated("a", rows), repeated("a/1.jpg", rows)
    file = tmp_path / "m.parquet"
    pq.write_table(pa.table({"user_id": ids, "image": images}), file)
    (batch,) = Manifest.open(file).batches(256, 256, max_images=100)
    (user,) = batch.users
    assert (len(user.images), user.left_out) == (100, rows - 100)


def test_images_of_a_user_beyond_the_limit_are_counted_and_the_others_keep_their_order(
    tmp_path: Path,
) -> None:
    file = tmp_path / "m.parquet"
    ids = ["a"] * 9 + ["b"] * 2
    images = [None, *(f"a/{number}.jpg" for number in range(8)), "b/0.jpg", "b/1.jpg"]
    labels = ["x", *[None] * 8, "y", None]
    pq.write_table(pa.table({"user_id": ids, "image": images, "gender": labels}), file)
    (batch,) = Manifest.open(file).batches(2, 2, ["gender"], max_images=3)
    paths = tuple(ImageRef(f"a/{number}.jpg") for number in range(3))
    assert batch.users == [
        UserImages("a", paths, 5),
        UserImages("b", (ImageRef("b/0.jpg"), ImageRef("b/1.jpg"))),
    ]
    assert batch.table["gender"].to_pylist() == ["x", "y"]


def test_a_flipped_bit_is_never_read_as_another_path(tmp_path: Path) -> None:
    images = pa.array([[f"{user}/{place}.jpg" for place in range(3)] for user in range(200)])
    file = write(
        tmp_path / "m.parquet",
        [str(user) for user in range(200)],
        images,
        write_page_checksum=True,
        compression="none",
    )
    sound = [batch.users for batch in Manifest.open(file).batches(256, 256)]
    data, random = file.read_bytes(), np.random.default_rng(0)
    column = pq.read_metadata(file).row_group(0).column(1)
    first = column.dictionary_page_offset
    for position in random.integers(first, first + column.total_compressed_size, 100):
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(random.integers(8))
        file.write_bytes(damaged)
        try:
            assert [batch.users for batch in Manifest.open(file).batches(256, 256)] == sound
        except ManifestError as error:
            assert str(file) in str(error)  # noqa: PT017 - both outcomes are right


# --- text that is not UTF-8 ----------------------------------------------------------------------


def not_utf8(*values: bytes) -> pa.Array:
    """Return a string column with bytes of another encoding, as some writers leave them."""
    raw = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())


def test_a_path_that_is_not_utf8_is_missing_and_is_named(tmp_path: Path) -> None:
    paths = not_utf8(b"caf\xe9.jpg", b"good.jpg")
    images = pa.ListArray.from_arrays(pa.array([0, 2], pa.int32()), paths)
    file = write(tmp_path / "m.parquet", ["a"], images)
    (batch,) = Manifest.open(file).batches(8, 8)
    (user,) = batch.users
    assert user.images == (ImageRef(misnamed="caf\\xe9.jpg"), ImageRef("good.jpg"))
    assert user.images[0].label == "caf\\xe9.jpg"


@pytest.mark.parametrize("column", ["user_id", "gender"])
def test_an_id_or_label_that_is_not_utf8_is_refused_with_its_column(
    tmp_path: Path, column: str
) -> None:
    table = {"user_id": pa.array(["a"]), "images": pa.array([["a.jpg"]]), "gender": pa.array(["x"])}
    file = tmp_path / "m.parquet"
    pq.write_table(pa.table(table | {column: not_utf8(b"caf\xe9")}), file)
    with pytest.raises(ManifestError, match=f"column '{column}' holds text that is not UTF-8"):
        list(Manifest.open(file).batches(8, 8, ["gender"]))
