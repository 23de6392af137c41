"""A sample is spread over the manifest, has exactly the given size, and is reproducible."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.inspection.sampling import sample_batches, user_at


def write(path: Path, users: int, form: str = "paths") -> Manifest:
    """Write a manifest in which user n has the images n/a and n/b."""
    ids = range(users)
    numbers = pa.array(ids, pa.int64())
    images = [[f"{user}/a", f"{user}/b"] for user in ids]
    if form == "long":
        rows = {
            "user_id": [u for u in ids for _ in "ab"],
            "image": [i for two in images for i in two],
        }
        table = pa.table(rows, pa.schema([("user_id", pa.int64()), ("image", pa.string())]))
    elif form == "bytes":
        encoded = [[image.encode() for image in two] for two in images]
        table = pa.table({"user_id": numbers, "images": pa.array(encoded, pa.list_(pa.binary()))})
    else:
        table = pa.table({"user_id": numbers, "images": pa.array(images, pa.list_(pa.string()))})
    pq.write_table(table, path, row_group_size=300)
    return Manifest.open(path)


def sample(manifest: Manifest, users: int, wanted: int) -> list[int]:
    """Return the positions of the sampled users, and check their images."""
    taken = []
    for batch in sample_batches(manifest, users, wanted, (), 100):
        for offset, user in enumerate(batch.users):
            first = user.images[0].path or bytes(user.images[0].data or b"").decode()
            assert first == f"{user.user_id}/a"
            assert user.user_id == batch.first + offset
            taken.append(batch.first + offset)
    return taken


@pytest.mark.parametrize("form", ["paths", "bytes", "long"])
@pytest.mark.parametrize(
    ("users", "wanted"),
    [(1, 1), (67, 3), (67, 66), (67, 67), (1000, 100), (1000, 500), (1000, 501), (30_000, 9000)],
)
def test_the_wanted_number_of_users_is_spread_over_the_manifest(
    tmp_path: Path, form: str, users: int, wanted: int
) -> None:
    taken = sample(write(tmp_path / "m.parquet", users, form), users, wanted)
    assert len(taken) == wanted
    assert taken == sorted(set(taken))
    gaps = [after - before for before, after in zip([0, *taken], [*taken, users], strict=True)]
    assert max(gaps) <= max(-(-users // min(wanted, 32)) + 1, 512)


def test_a_sample_of_no_users_is_empty(tmp_path: Path) -> None:
    manifest = write(tmp_path / "m.parquet", 5)
    assert sample(manifest, 5, 0) == []
    assert sample(write(tmp_path / "none.parquet", 0), 0, 0) == []


@pytest.mark.parametrize("form", ["paths", "bytes", "long"])
@pytest.mark.parametrize("position", [0, 15, 16, 299, 300, 999])
def test_a_user_is_found_by_id_and_read_by_position(
    tmp_path: Path, form: str, position: int
) -> None:
    manifest = write(tmp_path / "m.parquet", 1000, form)
    assert manifest.find_user(str(position)) == position
    batch = user_at(manifest, position, 1)
    (user,) = batch.users
    assert (batch.first, user.user_id, user.left_out) == (position, position, 1)


def test_a_user_is_found_after_one_whose_rows_span_two_reads(tmp_path: Path) -> None:
    ids = [0, *(user for user in range(1, 40_000) for _ in "ab")]  # row 65,536 is a second one
    table = pa.table({"user_id": ids, "image": pa.nulls(len(ids), pa.string())})
    pq.write_table(table, tmp_path / "m.parquet")
    manifest = Manifest.open(tmp_path / "m.parquet")
    assert [manifest.find_user(str(user)) for user in (32_767, 32_768, 39_999)] == [
        32_767,
        32_768,
        39_999,
    ]


@pytest.mark.parametrize("unknown", ["1000", "-1", "", "zoe", "\udcff", "01"])
def test_an_unknown_user_is_not_found(tmp_path: Path, unknown: str) -> None:
    for form in ("paths", "long"):
        assert write(tmp_path / form, 1000, form).find_user(unknown) is None


def test_ids_of_every_type_are_compared_as_text(tmp_path: Path) -> None:
    for number, ids in enumerate(
        [
            pa.array(["ada", "b/o b", "ñandú"]),
            pa.array(["ada", "b/o b", "ñandú"], pa.large_string()),
            pa.array(["ada", "b/o b", "ñandú"]).dictionary_encode(),
        ]
    ):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"user_id": ids, "images": [["x"]] * 3}), path)
        assert Manifest.open(path).find_user("ñandú") == 2
        assert Manifest.open(path).find_user("b/o b") == 1
