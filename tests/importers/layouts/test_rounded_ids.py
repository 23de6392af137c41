"""Ids that a spreadsheet has rounded would merge users or lose labels, so they are refused."""

from pathlib import Path

import pytest
from PIL import Image

from tweetprofile.data.manifests.user_ids import RoundedIds, is_floating
from tweetprofile.errors import OptionError
from tweetprofile.importers.labels import LabelTable
from tweetprofile.importers.run import import_dump

ROUNDED = [f"1234567890{number:05}000" for number in range(6)]


@pytest.mark.parametrize(
    ("ids", "refused"),
    [
        (ROUNDED, True),
        (["123456789012345000"] * 6, True),
        ([*ROUNDED[:3], *(f"12345678901234{number}" for number in range(1001, 1010))], True),
        (ROUNDED[:2], False),  # may be chance
        ([f"1234567890123{number}" for number in range(10_000, 12_000)], False),
        ([f"{number}000" for number in range(100)], False),  # short ids are not rounded
        (["a0000000000000000000"] * 9, False),
    ],
)
def test_ids_with_zeros_after_15_digits_count_as_rounded(ids: list[str], refused: bool) -> None:
    rounded = RoundedIds()
    for user_id in ids:
        rounded.add(user_id)
    assert (rounded.sentence is not None) == refused


@pytest.mark.parametrize("written", ["1.23457E+17", "1,23457E+17", "123.0", "123,0", "1e+17"])
def test_floating_point_numbers_in_any_notation_are_not_ids(written: str) -> None:
    assert is_floating(written)


def test_users_whom_rounding_has_merged_are_not_imported_as_one(tmp_path: Path) -> None:
    rows = []
    for number in range(6):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
        rows.append(f"123456789012345000,{number}.png,female")
    (tmp_path / "metadata.csv").write_text("user_id,file_name,gender\n" + "\n".join(rows))
    with pytest.raises(OptionError, match=r"metadata\.csv: 6 of 6 long ids end in zeros"):
        import_dump("folder", tmp_path, tmp_path / "m.parquet")
    assert not (tmp_path / "m.parquet").exists()


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    table = folder / "labels.csv"
    table.write_bytes(text.encode(encoding))
    return table


def test_a_table_of_labels_with_rounded_ids_is_refused(tmp_path: Path) -> None:
    rows = "\n".join(f"{user_id};female" for user_id in ROUNDED)
    with pytest.raises(OptionError, match="as spreadsheets round numbers of more than 15 digits"):
        LabelTable(write(tmp_path, f"user_id;gender\n{rows}\n"))
    with pytest.raises(OptionError, match=r"labels\.csv:2: the user_id '1,23457E\+17'"):
        LabelTable(write(tmp_path, "user_id;gender\n1,23457E+17;female\n"))


def test_what_excel_leaves_around_a_table_is_not_read_as_rows(tmp_path: Path) -> None:
    table = LabelTable(write(tmp_path, "sep=;\nuser_id;gender\n 12 ;female\n13;male\n;;\n;\n"))
    assert table.columns == ("gender",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("user_id,gender\n", r"has no row below its header"),
        ("user_id,gender\n1,male\n,female\n", r"labels\.csv:3 has no user_id"),
        ("PK\x03\x04" + "\0" * 500, r"is an Excel workbook; save it as CSV UTF-8"),
    ],
)
def test_tables_without_ids_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        LabelTable(write(tmp_path, text))
