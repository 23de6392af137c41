"""A worker that reads the rows of its users itself gets what the supervisor would have sent."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.manifests.content_rows import (
    ContentRowReader,
    ContentRows,
    batches_without_content,
    only_content_of,
)
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import RowRange, UserBatch, UserImages
from tweetprofile.errors import ChangedInputError, ManifestError

USERS = 23
MOST = 3
"""Images per user that are kept; some users have more."""


def images_of(user: int) -> list[bytes]:
    return [b"image %d of user %d" % (number, user) for number in range(user % 5)]


def lists() -> pa.Table:
    images = pa.array([images_of(user) for user in range(USERS)], pa.list_(pa.binary()))
    return pa.table({"user_id": range(USERS), "city": map(str, range(USERS)), "images": images})


def structs() -> pa.Table:
    each = [[{"bytes": data, "path": None} for data in images_of(user)] for user in range(USERS)]
    kind = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    return lists().set_column(2, "images", pa.array(each, kind))


def long() -> pa.Table:
    rows: list[tuple[int, bytes | None]] = []
    for user in range(USERS):
        rows += [(user, image) for image in images_of(user)] or [(user, None)]
    return pa.table(
        {
            "user_id": [user for user, _ in rows],
            "city": [str(user) for user, _ in rows],
            "image": pa.array([image for _, image in rows], pa.binary()),
        }
    )


FORMS = pytest.mark.parametrize("table", [lists, structs, long])


def write(path: Path, table: pa.Table) -> Manifest:
    """Write several files with small row groups, none of which ends with a batch."""
    path.mkdir()
    half = len(table) // 2
    for number, part in enumerate((table.slice(0, half), table.slice(half))):
        pq.write_table(part, path / f"{number}.parquet", row_group_size=7)
    return Manifest.open(path)


def usual(manifest: Manifest) -> list[UserBatch]:
    return list(manifest.batches(10, 4, ["city"], MOST))


def without_images(manifest: Manifest) -> list[UserBatch]:
    return list(batches_without_content(manifest, 10, 4, ["city"]))


def users_read(reader: ContentRowReader, batch: UserBatch) -> list[UserImages]:
    assert batch.rows is not None
    return UserBatch(0, 0, reader.read(batch.rows)).users


@FORMS
def test_the_rows_of_each_batch_hold_its_users(
    tmp_path: Path, table: Callable[[], pa.Table]
) -> None:
    manifest = write(tmp_path / "manifest", table())
    reader = ContentRowReader(ContentRows(manifest, MOST))
    for expected, batch in zip(usual(manifest), without_images(manifest), strict=True):
        assert (batch.shard, batch.first) == (expected.shard, expected.first)
        assert batch.table == expected.table.select(["user_id", "city"])
        assert users_read(reader, batch) == expected.users


@FORMS
def test_rows_are_read_in_any_order(tmp_path: Path, table: Callable[[], pa.Table]) -> None:
    manifest = write(tmp_path / "manifest", table())
    expected, batches = usual(manifest), without_images(manifest)
    reader = ContentRowReader(ContentRows(manifest, MOST))
    for position in (3, 4, 1, 1, 0, 5, 2):
        assert users_read(reader, batches[position]) == expected[position].users


@FORMS
@pytest.mark.parametrize("first_shard", [1, 2])
def test_a_later_shard_is_read_without_those_before_it(
    tmp_path: Path, table: Callable[[], pa.Table], first_shard: int
) -> None:
    manifest = write(tmp_path / "manifest", table())
    reader = ContentRowReader(ContentRows(manifest, MOST))
    left = list(batches_without_content(manifest, 10, 4, first_shard=first_shard))
    expected = list(manifest.batches(10, 4, (), MOST, first_shard=first_shard))
    assert [users_read(reader, batch) for batch in left] == [batch.users for batch in expected]


@FORMS
def test_the_first_users_of_a_batch_can_be_taken(
    tmp_path: Path, table: Callable[[], pa.Table]
) -> None:
    manifest = write(tmp_path / "manifest", table())
    reader = ContentRowReader(ContentRows(manifest, MOST))
    two, next_batch = without_images(manifest)[1].first_users(2), without_images(manifest)[2]
    assert len(two) == 2
    assert users_read(reader, two) == usual(manifest)[1].users[:2]
    assert users_read(reader, next_batch) == usual(manifest)[2].users


def test_a_long_user_may_span_files_and_row_groups(tmp_path: Path) -> None:
    many = pa.table({"user_id": [1] * 3 + [2] * 30 + [3], "image": [b"%d" % n for n in range(34)]})
    manifest = write(tmp_path / "manifest", many)
    reader = ContentRowReader(ContentRows(manifest, 40))
    batches = list(batches_without_content(manifest, 10, 1))
    assert [batch.rows.count for batch in batches if batch.rows] == [3, 30, 1]
    images = [len(user.images) for batch in batches for user in users_read(reader, batch)]
    assert images == [3, 30, 1]


def test_the_images_of_one_user_can_be_kept_alone() -> None:
    table = pa.table({"user_id": [0, 1, 2], "images": [[b"a"], [b"b", b"c"], [b"d"]]})
    kept = only_content_of(table, 1)
    assert kept["images"].to_pylist() == [[], [b"b", b"c"], []]


def test_a_manifest_that_has_changed_is_refused_before_a_row_is_used(tmp_path: Path) -> None:
    manifest = write(tmp_path / "manifest", lists())
    batch = without_images(manifest)[0]
    pq.write_table(lists().slice(0, 12), manifest.files[0])
    with pytest.raises(ChangedInputError, match="was changed while it was being read"):
        users_read(ContentRowReader(ContentRows(manifest, MOST)), batch)


def test_rows_beyond_the_end_are_an_error_and_no_shorter_batch(tmp_path: Path) -> None:
    manifest = write(tmp_path / "manifest", lists())
    batch = without_images(manifest)[-1]
    assert batch.rows is not None
    beyond: Any = replace(batch.rows, count=batch.rows.count + 1)
    with pytest.raises(ManifestError, match="has fewer rows than at the start of the run"):
        ContentRowReader(ContentRows(manifest, MOST)).read(beyond)


def test_progress_is_reported_while_rows_are_skipped_and_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    images = [[b"image"]] * 100
    pq.write_table(pa.table({"user_id": range(100), "images": images}), path)
    reported: list[int] = []
    reader = ContentRowReader(ContentRows(Manifest.open(path), MOST))
    reader.read(RowRange(90, 4, 4), lambda: reported.append(1))
    assert len(reported) >= 90 // 8
    before = len(reported)
    reader.read(RowRange(94, 6, 6), lambda: reported.append(1))
    assert len(reported) > before


def test_a_column_that_no_file_has_is_named(tmp_path: Path) -> None:
    manifest = write(tmp_path / "manifest", lists())
    with pytest.raises(ManifestError, match="has no column 'town'"):
        list(batches_without_content(manifest, 10, 4, ["town"]))
