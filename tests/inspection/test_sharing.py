"""Images that occur more than once are counted correctly, however many there are."""

import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tweetprofile.errors import WriteError
from tweetprofile.inspection.sharing import SharedImageCounter, Sharing


def count(users: dict[int, list[int]], at_a_time: int = 1) -> Sharing:
    """Count the images of users, given by their digests."""
    numbers = list(users)
    with SharedImageCounter(max(numbers, default=0) + 1) as counter:
        for start in range(0, len(numbers), at_a_time):
            part = numbers[start : start + at_a_time]
            digests = np.array([d for user in part for d in users[user]], np.uint64)
            owners = np.array([user for user in part for _ in users[user]], np.uint64)
            counter.add(digests, owners)
        return counter.count()


def test_an_image_of_several_users_and_one_repeated_by_a_user_are_told_apart() -> None:
    # 8 and 72 are written to the same file.
    assert count({0: [7, 7, 8], 1: [8, 9], 5: [8, 10], 6: [72], 9: []}) == Sharing(
        distinct=5, at_several_users=1, users=3, most_users=3, repeats=1
    )


def test_without_images_nothing_is_shared() -> None:
    assert count({}) == Sharing()
    assert count({0: [], 1: []}) == Sharing()


@pytest.mark.parametrize("at_a_time", [16, 5000])
def test_pairs_written_to_files_are_counted_like_those_in_memory(at_a_time: int) -> None:
    random = np.random.default_rng(0)
    digests = random.integers(0, 2**64, 60_000, np.uint64)  # more pairs than the buffer holds
    users = {user: random.choice(digests, 11).tolist() for user in range(9_000)}
    owners = Counter(digest for images in users.values() for digest in set(images))
    shared = {digest for digest, number in owners.items() if number > 1}
    assert count(users, at_a_time) == Sharing(
        distinct=len(owners),
        at_several_users=len(shared),
        users=sum(not shared.isdisjoint(images) for images in users.values()),
        most_users=max(owners.values()),
        repeats=sum(len(images) - len(set(images)) for images in users.values()),
    )


def test_an_image_that_all_users_have_takes_no_memory_per_user() -> None:
    def peak(users: int) -> int:
        tracemalloc.start()
        with SharedImageCounter(users) as counter:
            for first in range(0, users, 5_000):
                numbers = np.repeat(np.arange(first, first + 5_000, dtype=np.uint64), 11)
                counter.add(np.tile(np.arange(11, dtype=np.uint64), 5_000), numbers)
            assert counter.count() == Sharing(11, 11, users, users, 0)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(200_000) < 1.1 * peak(20_000)


def test_temporary_files_are_removed_with_the_counter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with SharedImageCounter(1) as counter:
        counter.add(np.array([1], np.uint64), np.array([0], np.uint64))
        counter.count()
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_no_space_for_temporary_files_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(WriteError, match=r"gone \(No such file.*name another folder in \$TMPDIR"):
        SharedImageCounter(1).__enter__()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with SharedImageCounter(1) as counter:
        (folder,) = tmp_path.iterdir()
        folder.rmdir()
        counter.add(np.array([1], np.uint64), np.array([0], np.uint64))
        with pytest.raises(WriteError, match="temporary files cannot be written"):
            counter.count()
