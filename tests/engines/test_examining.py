"""An image that takes a worker down spoils neither an inspection nor the sheets of other users."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tweetprofile.inspection import inspect_manifest
from tweetprofile.inspection.contact_sheets import draw_contact_sheets

pytestmark = pytest.mark.usefixtures("deadly_library")


def test_who_kills_a_worker_is_counted_as_crashed_and_all_others_are_inspected(
    write_users: Callable[..., Path],
) -> None:
    found = inspect_manifest(write_users(20, {7: [b"DEADLYSIGSEGV"]}, name="deadly"))
    assert found.outlook.statuses == {"ok": 19, "crashed": 1}
    assert (found.images.given, found.images.usable) == (19 * 5 + 1, 19 * 5)
    assert any("SIGSEGV" in death for death in found.deaths)


def test_who_kills_a_worker_has_a_contact_sheet_like_all_others(
    write_users: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = write_users(3, {1: [b"DEADLYSIGSEGV"]}, name="deadly")
    assert draw_contact_sheets(manifest, 3, tmp_path / "sheets") == 3
    assert len(list((tmp_path / "sheets").iterdir())) == 3
