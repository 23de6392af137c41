"""Files appear complete or not at all, and replace only files that may be replaced."""

import os
import threading
from pathlib import Path

import pytest

from tweetprofile.data.files.atomic import (
    UnfinishedFile,
    atomic_folder,
    atomic_write,
    fresh_name,
    is_fresh_name,
    move,
    write_atomically,
)


def yes(path: Path) -> bool:
    return True


def test_a_file_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a") as unfinished:
        unfinished.write_text("complete")
        assert [is_fresh_name(path.name) for path in tmp_path.iterdir()] == [True]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "complete"


def test_an_unfinished_file_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "a", yes) as unfinished:
        unfinished.write_text("half")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_only_files_that_may_be_replaced_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    for may_replace in (None, lambda path: False):
        with pytest.raises(
            FileExistsError, match="something else has taken this name in the meantime"
        ):
            write_atomically(tmp_path / "a", b"new", may_replace)
    assert (tmp_path / "a").read_text() == "old"
    write_atomically(tmp_path / "a", b"new", yes)
    assert (tmp_path / "a").read_text() == "new"


def test_a_hard_link_to_a_replaced_file_keeps_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "backup").hardlink_to(tmp_path / "a")
    write_atomically(tmp_path / "a", b"new", yes)
    assert (tmp_path / "backup").read_text() == "old"


def test_a_foreign_empty_folder_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "empty").mkdir()
    inode = (tmp_path / "empty").stat().st_ino
    with pytest.raises(FileExistsError):
        move(tmp_path / "made", tmp_path / "empty")
    assert (tmp_path / "empty").stat().st_ino == inode
    move(tmp_path / "made", tmp_path / "new")
    assert (tmp_path / "new").is_dir()


def test_of_two_threads_that_want_the_same_name_only_one_gets_it(tmp_path: Path) -> None:
    for attempt in range(50):
        target = tmp_path / f"{attempt}"
        lost: list[Path] = []

        def take(source: Path, target: Path = target, lost: list[Path] = lost) -> None:
            try:
                move(source, target)
            except FileExistsError:
                lost.append(source)

        sources = [fresh_name(tmp_path) for _ in range(2)]
        for source in sources:
            source.write_text(source.name)
        threads = [threading.Thread(target=take, args=(source,)) for source in sources]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (loser,) = lost
        assert loser.exists()
        assert target.read_text() != loser.name


def test_a_file_has_the_permissions_of_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_file_written_over_time_has_its_name_only_after_commit(tmp_path: Path) -> None:
    kept, discarded = UnfinishedFile(tmp_path / "a"), UnfinishedFile(tmp_path / "b")
    for unfinished in (kept, discarded):
        unfinished.path.write_text("rows")
    assert not (tmp_path / "a").exists()
    kept.commit()
    for unfinished in (kept, discarded):
        unfinished.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "rows"


def test_a_folder_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "a") as unfinished:
        (unfinished / "file").write_text("in it")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a" / "file").read_text() == "in it"
    with pytest.raises(FileExistsError), atomic_folder(tmp_path / "a") as unfinished:
        (unfinished / "other").write_text("in it")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]
