"""The queue of a worker's tasks, from which worker threads take tasks with their users."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock

import pyarrow as pa

from tweetprofile.data.manifests.content_rows import ContentRowReader, ContentRows, only_content_of
from tweetprofile.data.manifests.users import RowRange
from tweetprofile.engines.messages import Task, unpack
from tweetprofile.stages import Stage, StageClock

_PackedTask = tuple[Task, bytes | None]
"""A task and its packed users, unless it names rows to read."""


class TaskQueue:
    """The queue of tasks, from which the next free worker thread takes one with its users.

    Args:
        rows: The manifest to read the images of tasks from that name rows.
    """

    def __init__(self, rows: ContentRows | None) -> None:
        self._queue: SimpleQueue[_PackedTask] = SimpleQueue()
        self._reader = None if rows is None else ContentRowReader(rows)
        self._single: tuple[RowRange, pa.Table] | None = None
        self._lock = Lock()
        self._clock = StageClock()

    def put(self, task: Task, users: bytes | None) -> None:
        """Add a task."""
        self._queue.put((task, users))

    def take(
        self, on_task: Callable[[Task], None], on_rows: Callable[[], None]
    ) -> tuple[Task, pa.Table, dict[Stage, float]]:
        """Wait for a task; return it with the table of its users and the seconds of reading it.

        Tasks are read in the order in which they came: one thread takes a task and reads its rows
        before another thread takes the next.

        Args:
            on_task: A function that learns of the task before its rows are read.
            on_rows: A function that is called whenever some rows have been read.
        """
        with self._lock:
            task, users = self._queue.get()
            on_task(task)
            if task.rows is not None:
                with self._clock.timing(Stage.READ):
                    table = self._read(task, task.rows, on_rows)
                return task, table, self._clock.take()
        assert users is not None
        return task, unpack(users), {}

    def _read(self, task: Task, rows: RowRange, on_rows: Callable[[], None]) -> pa.Table:
        assert self._reader is not None
        if self._single is not None and self._single[0] == rows:
            table = self._single[1]
        else:
            table = self._reader.read(rows, on_rows)
        # The users of a batch that are tried one by one follow each other.
        self._single = None if task.only_user is None else (rows, table)
        # The position of a user serves as the id, as in the tables that the supervisor sends.
        positions = pa.array(range(len(table)), pa.int64())
        column = table.schema.get_field_index("user_id")
        table = table.set_column(column, "user_id", positions)
        return table if task.only_user is None else only_content_of(table, task.only_user)
