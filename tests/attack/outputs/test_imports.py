"""`import` replaces only earlier imported manifests and their lists of skipped items."""

from pathlib import Path

import pytest

from tests.attack.outputs.helpers import WITH_AND_WITHOUT_OVERWRITE, refused, snapshot
from tweetprofile.importers.run import ImportOptions, import_dump

IMPORT = {
    ("ROOT/labels.csv", "--labels", "ROOT/labels.csv"): "is the table of labels",
    ("ROOT/notes.txt",): "is not an imported manifest that tweetprofile wrote",
    ("ROOT/m.parquet",): "is not an imported manifest that tweetprofile wrote",
    ("ROOT/p.parquet",): "is a table of predictions and not an imported manifest",
    ("ROOT/dump/ada/1.png",): "is not an imported manifest",
    ("ROOT/dump/metadata.parquet",): "would become part of the dump",
    ("ROOT/pipe",): "is a pipe",
    ("ROOT/data/", "--embed", "--labels", "ROOT/labels.csv"): "holds part-00000.parquet, which is",
    ("ROOT/tables/", "--embed", "--labels", "ROOT/tables/labels.csv"): "holds the table of",
    ("ROOT/manifests/", "--embed"): "holds part-00000.parquet, which is not",
    ("ROOT/dump/", "--embed"): "is the dump",
    ("ROOT/empty/", "--embed"): "is an empty folder, which is not replaced",
    ("ROOT/", "--embed"): "holds the dump",
    ("ROOT/dump/ada/", "--embed"): "would become part of the dump",
    ("ROOT/dump/new/", "--embed"): "would become part of the dump",
}


@WITH_AND_WITHOUT_OVERWRITE
@pytest.mark.parametrize("arguments", IMPORT)
def test_import_replaces_only_earlier_imported_manifests(
    users: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], flags: list[str]
) -> None:
    out, *others = arguments
    said = refused(users, capsys, "import", "folder", "ROOT/dump", "-o", out, *others, *flags)
    assert IMPORT[arguments] in said


@WITH_AND_WITHOUT_OVERWRITE
def test_an_import_neither_replaces_nor_removes_a_foreign_list_of_skipped_items(
    users: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    (users / "new.parquet.skipped.csv").write_text("reason,file,line,what\nmine,,,\n")
    said = refused(users, capsys, "import", "folder", "ROOT/dump", "-o", "ROOT/new.parquet", *flags)
    assert "is not an import's list of skipped items that tweetprofile wrote" in said


def test_a_foreign_folder_whose_name_ends_in_partial_is_kept(users: Path) -> None:
    before = snapshot(users)
    import_dump("folder", users / "dump", users / "foreign", ImportOptions(overwrite=True))
    import_dump("folder", users / "dump", users / "foreign", ImportOptions(overwrite=True))
    after = snapshot(users)
    assert after.keys() - before.keys() == {users / "foreign"}
    assert {path: after[path] for path in before} == before
