"""Files in memory are read one after the other; files that wait for a disk, several at once."""

import threading
import time
from pathlib import Path

import pytest

from tweetprofile.data.images.read_ahead import ReadAhead
from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.manifests.users import ImageRef
from tweetprofile.errors import Reason


class Reading:
    """Reads numbers, and notes how many reads run at the same time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._running = 0
        self.most = 0

    def read(self, number: int) -> int:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        time.sleep(self._seconds)
        with self._lock:
            self._running -= 1
        return number * number


def test_reads_from_memory_are_made_one_after_the_other() -> None:
    reading = Reading(seconds=0.0)
    read = ReadAhead(reading.read)
    assert list(read.read_all(range(100))) == [number * number for number in range(100)]
    assert reading.most == 1


def test_reads_that_wait_are_made_at_the_same_time_and_stay_in_order() -> None:
    reading = Reading(seconds=0.03)
    read = ReadAhead(reading.read)
    assert list(read.read_all(range(100))) == [number * number for number in range(100)]
    assert 4 <= reading.most <= 17


def test_the_time_that_the_caller_takes_is_not_taken_for_waiting() -> None:
    reading = Reading(seconds=0.0)
    for _ in ReadAhead(reading.read).read_all(range(12)):
        time.sleep(0.03)
    assert reading.most == 1


def test_an_error_is_raised_where_its_item_is_due() -> None:
    def read(number: int) -> int:
        time.sleep(0.03)
        return 60 // (number - 30)

    results = ReadAhead(read).read_all(range(40))
    assert [next(results) for _ in range(30)] == [60 // (number - 30) for number in range(30)]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_folder_of_images_is_read_in_order_with_the_reason_of_each_failure(
    tmp_path: Path,
) -> None:
    for number in range(40):
        (tmp_path / f"{number}.jpg").write_bytes(b"image %d" % number)
    refs = [ImageRef(f"{number}.jpg") for number in range(42)]
    read = list(ImageReader(tmp_path).read_all(refs))
    assert read == [*(b"image %d" % number for number in range(40)), *[Reason.MISSING] * 2]
