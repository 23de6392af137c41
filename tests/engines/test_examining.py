"""An image that crashes a worker spoils neither an inspection nor other users' contact sheets."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tweetprofile.inspection import inspect_manifest
from tweetprofile.inspection.contact_sheets import draw_contact_sheets

pytestmark = pytest.mark.usefixtures("faulty_library")


def test_a_user_who_crashes_a_worker_is_counted_as_crashed_and_all_others_are_inspected(
    write_users: Callable[..., Path],
) -> None:
    found = inspect_manifest(write_users(20, {7: [b"FAULTYSIGSEGV"]}, name="faulty"))
    assert found.outlook.statuses == {"ok": 19, "crashed": 1}
    assert (found.images.given, found.images.usable) == (19 * 5 + 1, 19 * 5)
    assert any("SIGSEGV" in death for death in found.deaths)


def test_a_user_who_crashes_a_worker_gets_a_contact_sheet_like_all_others(
    write_users: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = write_users(3, {1: [b"FAULTYSIGSEGV"]}, name="faulty")
    assert draw_contact_sheets(manifest, 3, tmp_path / "sheets") == 3
    assert len(list((tmp_path / "sheets").iterdir())) == 3
