"""A worker thread takes a task and its users; one thread at a time reads rows of the manifest."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.manifests.content_rows import ContentRows
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import RowRange, users_of
from tweetprofile.engines.messages import Task, pack
from tweetprofile.engines.task_queue import TaskQueue
from tweetprofile.stages import Stage


@pytest.fixture
def queue(tmp_path: Path) -> TaskQueue:
    path = tmp_path / "manifest.parquet"
    images = [[b"image of %d" % user] * 2 for user in range(20)]
    pq.write_table(pa.table({"user_id": [f"u{n}" for n in range(20)], "images": images}), path)
    return TaskQueue(ContentRows(Manifest.open(path), max_images=10))


def take(queue: TaskQueue) -> tuple[Task, pa.Table, dict[Stage, float]]:
    return queue.take(lambda task: None, lambda: None)


def first_bytes(table: pa.Table) -> list[bytes | None]:
    return [images[0]["bytes"] if images else None for images in table["images"].to_pylist()]


def test_a_task_that_names_rows_comes_with_their_images_and_positions_as_ids(
    queue: TaskQueue,
) -> None:
    queue.put(Task(1, "pillow", rows=RowRange(5, 2, 2)), None)
    task, table, seconds = take(queue)
    assert task.number == 1
    assert first_bytes(table) == [b"image of 5", b"image of 6"]
    assert table["user_id"].to_pylist() == [0, 1]
    assert set(seconds) == {Stage.READ}


def test_users_who_came_with_their_task_are_unpacked(queue: TaskQueue) -> None:
    users = pa.table({"user_id": [0], "images_given": [3]})
    queue.put(Task(1, "pillow"), pack(users).to_pybytes())
    _, table, seconds = take(queue)
    assert (table, seconds) == (users, {})


def test_users_who_are_tried_one_by_one_are_read_once(queue: TaskQueue, tmp_path: Path) -> None:
    for user in (0, 1, 2):
        queue.put(Task(user, "pillow", rows=RowRange(5, 3, 3), only_user=user), None)
    assert first_bytes(take(queue)[1]) == [b"image of 5", None, None]
    (tmp_path / "manifest.parquet").unlink()
    assert first_bytes(take(queue)[1]) == [None, b"image of 6", None]
    assert first_bytes(take(queue)[1]) == [None, None, b"image of 7"]


def test_a_task_is_announced_before_its_rows_are_read(queue: TaskQueue) -> None:
    events: list[str] = []
    queue.put(Task(1, "pillow", rows=RowRange(0, 20, 20)), None)
    queue.take(lambda task: events.append("task"), lambda: events.append("rows"))
    assert events[0] == "task"
    assert events[1:] == ["rows"] * 3, "20 rows are read 8 at a time"


def test_images_of_users_can_be_views_of_the_table(queue: TaskQueue) -> None:
    queue.put(Task(1, "pillow", rows=RowRange(5, 9, 9), only_user=3), None)
    table = take(queue)[1]
    views, copies = users_of(table, copy=False), users_of(table)
    assert views == copies
    assert [type(image.data) for image in views[3].images] == [memoryview] * 2
    assert [type(image.data) for image in copies[3].images] == [bytes] * 2


def test_images_without_bytes_stay_so_among_views() -> None:
    kind = pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())])
    refs = [{"bytes": b"one", "path": None}, {"bytes": None, "path": "two.jpg"}]
    images = pa.array([[], refs, [{"bytes": b"", "path": None}]], pa.large_list(kind))
    table = pa.table({"user_id": [0, 1, 2], "images": images, "images_given": [0, 2, 1]})
    for part in (table, table.slice(1), table.slice(2, 1), table.slice(0, 1)):
        assert users_of(part, copy=False) == users_of(part)
