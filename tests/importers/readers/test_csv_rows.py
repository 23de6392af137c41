"""A fault in a CSV row costs that row and no other."""

import time
from pathlib import Path

import pytest

from tweetprofile.importers.readers import csv_rows
from tweetprofile.importers.readers.csv_rows import read_header, read_rows
from tweetprofile.importers.skipped import Skipped, SkipReason


def read(tmp_path: Path, text: str | bytes) -> tuple[list[list[str]], list[int], int]:
    """Return the cells of rows, the numbers of their last lines, and the number of skipped rows."""
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    skipped = Skipped(None)
    found = list(read_rows(path, skipped))
    return [cells for _, cells in found], [line for line, _ in found], skipped.counts.total()


def test_an_unclosed_quotation_mark_costs_only_its_own_line(tmp_path: Path) -> None:
    found = read(tmp_path, 'a,b\n1,2\n"3,4\n5,6\n7,"8"\n9,"x\ny"\n10,11\n')
    assert found == ([["1", "2"], ["5", "6"], ["7", "8"], ["9", "x\ny"], ["10", "11"]],
                     [2, 4, 5, 7, 8], 1)  # fmt: skip


def test_cells_may_be_long(tmp_path: Path) -> None:
    long, quoted = "x" * 1_000_000, "y," * 1_000_000
    cells, _, skipped = read(tmp_path, f'a,b\n1,{long}\n2,"{quoted}"\n3,4\n')
    assert cells == [["1", long], ["2", quoted], ["3", "4"]]
    assert skipped == 0


def test_a_line_over_the_limit_is_skipped_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "LONGEST_RECORD", 1_000)
    found = read(tmp_path, "a,b\n1," + "x" * 500_000 + '\n2,3\n"4,' + "y" * 500_000 + "\n5,6\n")
    assert found == ([["2", "3"], ["5", "6"]], [3, 5], 2)


def test_rows_of_too_few_or_too_many_cells_are_skipped(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b\n1\n1,2,3\n\n4,5\n") == ([["4", "5"]], [5], 2)


def test_text_that_is_partly_utf8_and_partly_not_stays_what_it_is(tmp_path: Path) -> None:
    """As cp1252 the sound rows would be garbled; `is_text` later rejects the broken ones alone."""
    cells, _, skipped = read(tmp_path, b"a,b\ncaf\xe9,1\n\x00,2\ncaf\xc3\xa9,3\n")
    assert cells == [["caf\udce9", "1"], ["\0", "2"], ["café", "3"]]
    assert skipped == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le",
                                      "utf-16-be", "utf-32"])  # fmt: skip
@pytest.mark.parametrize("before", [0, 40_000], ids=["an accent at once", "an accent far behind"])
def test_text_is_read_in_the_encoding_of_the_whole_file(
    tmp_path: Path, encoding: str, before: int
) -> None:
    rows = "plain,1\n" * before
    cells, _, skipped = read(tmp_path, f"user_id,n\n{rows}Querétaro €,2\n".encode(encoding))
    assert (len(cells), cells[-1], skipped) == (before + 1, ["Querétaro €", "2"], 0)
    assert read_header(tmp_path / "table.csv") == ["user_id", "n"]


def test_utf16_that_is_cut_within_a_letter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes("user_id,n\nada,1\n".encode("utf-16")[:-1])
    with pytest.raises(OSError, match="begins as UTF-16 but does not continue so"):
        read_header(tmp_path / "table.csv")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_cells_may_be_separated_by_any_delimiter_of_spreadsheets(
    tmp_path: Path, delimiter: str
) -> None:
    """Other delimiters inside cells, however many, separate nothing."""
    header, row = ["user_id", '"a,b;c|d\te"'], ["007", '"x;y,z;|"']
    text = f"{delimiter.join(header)}\r\n{delimiter.join(row)}\r\n"
    assert read(tmp_path, text) == ([["007", "x;y,z;|"]], [2], 0)
    assert read_header(tmp_path / "table.csv") == ["user_id", "a,b;c|d\te"]


def test_a_column_is_found_despite_spaces_around_its_name(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("user_id , gender\nada,f\n")
    assert read_header(tmp_path / "table.csv") == ["user_id", "gender"]


def test_text_after_a_closing_quotation_mark_belongs_to_the_cell(tmp_path: Path) -> None:
    assert read(tmp_path, 'a,b\n1,"2"x\n3,4"5\n')[0] == [["1", "2x"], ["3", '4"5']]


@pytest.mark.parametrize("line", ['a","b\n', 'c,"x\n', 'c,"x""\n', '"\n', '"",""x"\n'])
def test_quotation_marks_on_every_line_take_time_that_grows_with_the_file(
    line: str, tmp_path: Path
) -> None:
    """Each of 50,000 lines may start a row that reaches to the end of the file."""
    began = time.process_time()
    cells, _, skipped = read(tmp_path, "a,b\n" + line * 50_000 + "1,2\n")
    assert cells[-1:] == [["1", "2"]]
    assert skipped > 0 or len(cells) > 1
    assert time.process_time() - began < 5


def test_the_header_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b'\xef\xbb\xbf"user_id",b\n')
    assert read_header(tmp_path / "table.csv") == ["user_id", "b"]


def test_a_missing_file_is_skipped(tmp_path: Path) -> None:
    skipped = Skipped(None)
    assert list(read_rows(tmp_path / "gone.csv", skipped)) == []
    assert skipped.counts == {SkipReason.UNREADABLE: 1}
