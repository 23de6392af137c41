"""`inspect` replaces only earlier contact sheets."""

from pathlib import Path

import pytest

from tests.attack.outputs.helpers import WITH_AND_WITHOUT_OVERWRITE, refused

SHEETS = {
    "ROOT/m.parquet": "is the manifest",
    "ROOT/link.parquet": "is the manifest",
    "ROOT/dump/ada/1.png": "is not a contact sheet that tweetprofile wrote",
    "ROOT/hard.png": "is not a contact sheet that tweetprofile wrote",
    "ROOT/notes.txt": "is not a contact sheet",
    "ROOT/pipe": "is a pipe",
    "ROOT/loop": "is a link that leads nowhere",
}


@WITH_AND_WITHOUT_OVERWRITE
@pytest.mark.parametrize("out", SHEETS)
def test_a_contact_sheet_replaces_only_an_earlier_contact_sheet(
    users: Path, capsys: pytest.CaptureFixture[str], out: str, flags: list[str]
) -> None:
    command = ("inspect", "ROOT/m.parquet", "--contact-sheet", "ada")
    assert SHEETS[out] in refused(users, capsys, *command, "-o", out, *flags)


@WITH_AND_WITHOUT_OVERWRITE
def test_contact_sheets_are_not_written_into_a_folder_with_foreign_files(
    users: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    command = ("inspect", "ROOT/m.parquet", "--contact-sheets", 2)
    said = refused(users, capsys, *command, "-o", "ROOT/notes", *flags)
    assert "holds thesis.tex, which is not a contact sheet" in said
    assert "holds the manifest" in refused(users, capsys, *command, "-o", "ROOT", *flags)
