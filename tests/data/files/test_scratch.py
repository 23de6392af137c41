"""Temporary folders exist only while they are needed, and lack of room is one sentence."""

from pathlib import Path

import pytest

from tweetprofile.data.files.scratch import UsesScratch
from tweetprofile.errors import WriteError


class Spilling(UsesScratch):
    def spill(self) -> Path:
        file = self.scratch / "rows"
        file.write_text("rows")
        return file


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_made_when_it_is_first_used_and_removed_at_the_end(temporary: Path) -> None:
    with Spilling() as spilling:
        made_before = spilling.has_scratch
        assert not list(temporary.iterdir())
        file = spilling.spill()
        assert (made_before, spilling.has_scratch) == (False, True)
        assert spilling.spill() == file
    assert not list(temporary.iterdir())


def test_a_folder_is_removed_after_an_error(temporary: Path) -> None:
    with pytest.raises(ZeroDivisionError), Spilling() as spilling:
        spilling.spill()
        _ = 1 / 0
    assert not list(temporary.iterdir())


def test_no_room_for_a_folder_is_one_sentence(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary / "gone"))
    with pytest.raises(WriteError, match="name another folder in \\$TMPDIR"), Spilling() as each:
        each.spill()
