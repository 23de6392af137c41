"""`import --labels`: which labels are taken, which are reported, and which are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tweetprofile.cli import main
from tweetprofile.errors import OptionError
from tweetprofile.importers.run import ImportOptions, ImportSummary, import_dump

Put = Callable[[Path], Path]


@pytest.fixture
def crawl(tmp_path: Path, put_image: Put) -> Path:
    for user in ("ada", "bob", "cy", "di"):
        put_image(tmp_path / "crawl" / user / "1.jpg")
    return tmp_path / "crawl"


def imported(crawl: Path, table: Path) -> tuple[pl.DataFrame, ImportSummary]:
    out = crawl.parent / "m.parquet"
    summary = import_dump("folder", crawl, out, ImportOptions(labels=table))
    return pl.read_parquet(out), summary


def put_csv(folder: Path, text: str) -> Path:
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return folder / "labels.csv"


def put_parquet(folder: Path, **columns: Any) -> Path:
    pl.DataFrame(columns).write_parquet(folder / "labels.parquet")
    return folder / "labels.parquet"


def test_the_screen_says_how_many_users_have_each_label(
    crawl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = put_csv(tmp_path, "user_id,gender,place\nada,male,north\nbob,female,\neve,male,south\n")
    out = str(tmp_path / "m.parquet")
    assert main(["import", "folder", str(crawl), "-o", out, "--labels", str(table)]) == 0
    said = capsys.readouterr().err
    assert "gender: 2 of 4 users\nplace: 1 of 4 users\n" in said


def test_an_import_fails_if_no_id_matches_and_shows_ids_of_both_sides(
    crawl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = put_csv(tmp_path, "user_id,gender\n1001,male\n1002,female\n")
    out = tmp_path / "m.parquet"
    assert main(["import", "folder", str(crawl), "-o", str(out), "--labels", str(table)]) == 2
    said = capsys.readouterr().err
    assert "none of its 2 users is in the dump; it has '1001', '1002'" in said
    assert "the dump has 'ada', 'bob', 'cy'; write" in said
    assert not out.exists()


def test_labels_are_trimmed_and_words_for_missing_values_are_not_labels(
    crawl: Path, tmp_path: Path
) -> None:
    table = put_csv(tmp_path, "user_id,gender\nada, male\nbob,NA\ncy,male \ndi,female\n")
    manifest, summary = imported(crawl, table)
    assert manifest["gender"].to_list() == ["male", None, "male", "female"]
    assert summary.labelled == {"gender": 3}


def test_look_alikes_and_words_for_missing_values_are_reported_with_counts(
    tmp_path: Path, put_image: Put
) -> None:
    rows = [f"u{n:02},{label}" for n, label in enumerate(["female"] * 10 + ["femle"] + ["Male"] * 4
                                                         + ["male"] * 5 + ["nan"] * 2)]  # fmt: skip
    put_image(tmp_path / "crawl" / "u00" / "1.jpg")
    table = put_csv(tmp_path, "\n".join(["user_id,gender", *rows, ""]))
    _, summary = imported(tmp_path / "crawl", table)
    assert [note.split(";")[0] for note in summary.label_notes] == [
        "gender: 2 users without a label, because of values read as missing: 'nan' 2",
        "gender: 'Male' (4 users), 'male' (5 users) differ only in case, accents or spaces, and "
        "are kept apart",
        "gender: 'femle' (1 user) looks like 'female' (10 users), and is kept apart",
    ]


def test_parquet_columns_that_cannot_be_labels_are_left_out_and_named(
    crawl: Path, tmp_path: Path
) -> None:
    table = put_parquet(
        tmp_path, user_id=["ada", "bob", "cy", "di"], gender=[0, 1, None, 0],
        bot=[True, False, True, None], height=[1.5, 1.7, 1.8, None], tags=[["a"], [], [], []],
    )  # fmt: skip
    manifest, summary = imported(crawl, table)
    assert manifest.columns == ["user_id", "images", "gender", "bot"]
    assert manifest["gender"].to_list() == ["0", "1", None, "0"]
    assert manifest["bot"].to_list() == ["true", "false", "true", None]
    assert summary.label_notes[0].startswith("height is not taken: it holds floating-point numbers")
    assert summary.label_notes[1].startswith("tags is not taken: it holds a list")


@pytest.mark.parametrize("user_id", ["1.23E+18", "1e+18", "1234567890123456789.0", "12."])
def test_rounded_ids_are_refused_with_row_and_remedy(
    crawl: Path, tmp_path: Path, user_id: str
) -> None:
    table = put_csv(tmp_path, f"user_id,gender\nada,male\n{user_id},male\n")
    with pytest.raises(OptionError, match=r"labels.csv:\d: the user_id .* export the column as te"):
        imported(crawl, table)


def test_ids_of_floating_point_type_are_refused(crawl: Path, tmp_path: Path) -> None:
    table = put_parquet(tmp_path, user_id=[1.0, 2.0], gender=["male", "female"])
    with pytest.raises(OptionError, match=r"column 'user_id' is double.*write them as text"):
        imported(crawl, table)


def test_a_user_without_a_label_in_the_table_keeps_the_dumps_own(
    tmp_path: Path, put_image: Put
) -> None:
    crawl = tmp_path / "crawl"
    for user in ("ada", "bob"):
        put_image(crawl / user / "1.jpg")
    (crawl / "metadata.csv").write_text(
        "user_id,file_name,gender\nada,ada/1.jpg,female\nbob,bob/1.jpg,female\n"
    )
    manifest, _ = imported(crawl, put_csv(tmp_path, "user_id,gender\nada,male\n"))
    assert manifest["gender"].to_list() == ["male", "female"]
