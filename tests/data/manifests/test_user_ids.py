"""Users occur once, with an id that was never a floating-point number."""

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.manifests import user_ids
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.user_ids import RepeatedIds, hash_ids, is_floating
from tweetprofile.errors import ManifestError

STRINGS = pa.list_(pa.string())


def write(file: Path, ids: pa.Array, *, long: bool = False) -> Path:
    images = pa.nulls(len(ids), pa.string() if long else STRINGS)
    table = pa.table({"user_id": ids, "image" if long else "images": images})
    pq.write_table(table, file, row_group_size=1000)
    return file


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint64(), pa.string(), pa.large_string(),
                                  pa.dictionary(pa.int32(), pa.string())], ids=str)  # fmt: skip
@pytest.mark.parametrize("held", [100, 1 << 22], ids=["on the disk", "held"])
def test_a_user_in_two_rows_is_found_among_many(
    tmp_path: Path, kind: pa.DataType, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_ids, "_MOST_IN_MEMORY", held)
    ids = [*range(4000), 17]
    array = pa.array(ids) if pa.types.is_integer(kind) else pa.array(map(str, ids))
    file = write(tmp_path / "m.parquet", array.cast(kind))
    with pytest.raises(ManifestError, match="user '17' occurs in rows 17 and 4000; keep one row"):
        Manifest.open(file).count_users()
    unrepeated = write(tmp_path / "u.parquet", array.slice(0, 4000).cast(kind))
    assert Manifest.open(unrepeated).count_users() == 4000


def test_a_user_in_two_files_is_found(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", pa.array(["a", "b"]))
    write(tmp_path / "b.parquet", pa.array(["c", "a"]))
    with pytest.raises(ManifestError, match="user 'a' occurs in rows 0 and 3"):
        Manifest.open(tmp_path).count_users()


def test_equal_hashes_of_different_users_are_not_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ids themselves are compared, all of which have the same hash here."""
    monkeypatch.setattr(
        "tweetprofile.data.manifests.manifest.hash_ids", lambda ids: np.zeros(len(ids), "u8")
    )
    monkeypatch.setattr(user_ids, "hash_ids", lambda ids: np.zeros(len(ids), "u8"))
    assert Manifest.open(write(tmp_path / "a.parquet", pa.array(list("abc")))).count_users() == 3
    with pytest.raises(ManifestError, match="user 'b' occurs in rows 1 and 3"):
        Manifest.open(write(tmp_path / "b.parquet", pa.array(list("abcb")))).count_users()


def test_hashes_depend_only_on_the_id() -> None:
    ids = ["", "a", "ab", "ba", "a" * 100_000, "ñandú", "007", "7"]
    alone = [hash_ids(pa.array([each]))[0] for each in ids]
    assert hash_ids(pa.array(ids)).tolist() == alone
    assert hash_ids(pa.array(["x", *ids]).slice(1)).tolist() == alone
    short = alone[:4] + alone[5:]
    assert hash_ids(pa.array([*ids[:4], *ids[5:]] * 20_000))[-7:].tolist() == short
    assert len(set(alone)) == len(ids)


def test_a_million_ids_have_a_million_hashes() -> None:
    ids = pa.array(np.arange(10**17, 10**17 + 1_000_000))
    for each in (ids, ids.cast(pa.string())):
        assert len(np.unique(hash_ids(each))) == 1_000_000


def test_memory_does_not_grow_with_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_ids, "_MOST_IN_MEMORY", 1 << 16)

    def peak(users: int) -> int:
        tracemalloc.start()
        with RepeatedIds() as repeated:
            for first in range(0, users, 1 << 13):
                repeated.add(pa.array(np.arange(first, first + (1 << 13))))
            assert repeated.suspects()[1] == 0
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1 << 14)  # without what is loaded on first use
    assert peak(1 << 21) < 2 * peak(1 << 18)


@pytest.mark.parametrize("user_id", ["123.0", "123.", "1.2e17", "1.2345678901234568e+18", "-1E+17"])
@pytest.mark.parametrize("long", [True, False])
def test_an_id_that_was_a_floating_point_number_is_refused_with_its_row(
    tmp_path: Path, user_id: str, *, long: bool
) -> None:
    file = write(tmp_path / "m.parquet", pa.array(["a", "1-2", "b", user_id]), long=long)
    with pytest.raises(ManifestError) as error:
        Manifest.open(file).count_users()
    said = (
        f"{file}: row 3 has the user_id '{user_id}', a floating-point number, which keeps only 15"
    )
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    "user_id",
    ["007", "4e20", "1e17", "a.b", "1.2.3", "v1.0", "-", ".", "+49", "1234567890123456789"],
)
def test_names_that_only_resemble_numbers_are_ids(tmp_path: Path, user_id: str) -> None:
    assert not is_floating(user_id)
    assert Manifest.open(write(tmp_path / "m.parquet", pa.array([user_id]))).count_users() == 1


def test_a_column_of_floating_point_ids_is_refused_with_advice(tmp_path: Path) -> None:
    file = write(tmp_path / "m.parquet", pa.array([1.5, 2.5]))
    with pytest.raises(ManifestError, match=r"'user_id' is double; .* read them again from their"):
        Manifest.open(file)
