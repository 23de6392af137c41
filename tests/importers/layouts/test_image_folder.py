"""Tables of ImageFolders, whatever program wrote them, give the right users or none."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.errors import OptionError
from tweetprofile.importers.layouts import joining
from tweetprofile.importers.run import ImportSummary, import_dump

Row = dict[str, Any]
SHARED = Path(__file__).resolve().parents[4] / "shared" / "cases"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of four images that no table names yet."""
    root = tmp_path / "hf"
    root.mkdir()
    for number in range(4):
        (root / f"{number}.jpg").touch()
    return root


def import_table(folder: Path) -> tuple[list[Row], ImportSummary]:
    """Import a folder; return its rows, with image paths relative to it, and the summary."""
    out = folder.with_suffix(".parquet")
    summary = import_dump("folder", folder, out)
    rows = pl.read_parquet(out).rows(named=True)
    prefix = f"{folder.name}/"
    return [
        row | {"images": [path.removeprefix(prefix) for path in row["images"]]} for row in rows
    ], summary


def refusal(folder: Path) -> str:
    with pytest.raises(OptionError) as error:
        import_table(folder)
    assert not folder.with_suffix(".parquet").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def write_parquet(folder: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), folder / "metadata.parquet")


# --- encodings and delimiters -------------------------------------------------------------------

PLACES = [("u0", "0.jpg", "Querétaro"), ("u1", "1.jpg", "Łódź"), ("u2", "2.jpg", "Köln")]


def as_csv(places: Sequence[tuple[str, str, str]], delimiter: str = ",") -> str:
    rows = [("user_id", "file_name", "location"), *places]
    return "".join(f"{delimiter.join(row)}\r\n" for row in rows)


def as_lines(places: Sequence[tuple[str, str, str]]) -> str:
    names = ("user_id", "file_name", "location")
    records = (dict(zip(names, row, strict=True)) for row in places)
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records)


@pytest.mark.parametrize("write", [as_csv, as_lines])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_tables_of_every_usual_encoding_give_the_same_labels(
    folder: Path, write: Callable[[Any], str], encoding: str
) -> None:
    places = [place for place in PLACES if encoding != "cp1252" or place[0] != "u1"]
    ending = "csv" if write is as_csv else "jsonl"
    (folder / f"metadata.{ending}").write_bytes(write(places).encode(encoding))
    rows, summary = import_table(folder)
    assert [(row["user_id"], *row["images"], row["location"]) for row in rows] == places
    said = encoding not in ("utf-8", "utf-8-sig")
    assert [encoding[:6] in remark for remark in summary.remarks] == [True] * said
    assert not summary.skipped


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_cells_may_be_separated_by_semicolons_or_tabs(folder: Path, delimiter: str) -> None:
    (folder / "metadata.csv").write_text(as_csv(PLACES, delimiter))
    rows, _ = import_table(folder)
    assert [(row["user_id"], *row["images"], row["location"]) for row in rows] == PLACES


# --- ids ----------------------------------------------------------------------------------------

IDS = ["007", "7", "9007199254740993", "123456789012345678", "4e20", "1.e.2"]


def test_ids_in_csv_stay_as_they_are_written(folder: Path) -> None:
    lines = "".join(f"{user_id},0.jpg\n" for user_id in IDS)
    (folder / "metadata.csv").write_text(f"user_id,file_name\n{lines}")
    assert [row["user_id"] for row in import_table(folder)[0]] == IDS


def test_ids_in_json_stay_as_they_are_written_as_numbers_or_text(folder: Path) -> None:
    ids = [7, "007", 9007199254740993, 123456789012345678]
    lines = (json.dumps({"user_id": each, "file_name": "0.jpg"}) for each in ids)
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    assert [row["user_id"] for row in import_table(folder)[0]] == list(map(str, ids))


@pytest.mark.parametrize("user_id", ["1.2e17", "1.2345678901234568e+18", "1E+17", "123.0", "123."])
def test_ids_that_were_floating_point_numbers_are_refused_with_their_row(
    folder: Path, user_id: str
) -> None:
    (folder / "metadata.csv").write_text(f"user_id,file_name\nada,0.jpg\n{user_id},1.jpg\n")
    said = f"metadata.csv:3: user_id '{user_id}' is a floating-point number"
    assert said in refusal(folder)
    assert "export the ids from their source again, as text" in refusal(folder)


def test_floating_point_ids_in_json_lines_are_refused_with_their_row(folder: Path) -> None:
    lines = '{"user_id": 12, "file_name": "0.jpg"}\n{"user_id": 13.0, "file_name": "1.jpg"}\n'
    (folder / "metadata.jsonl").write_text(lines)
    assert "metadata.jsonl:2: user_id '13.0' is a floating-point number" in refusal(folder)


def test_a_column_of_floating_point_ids_is_refused_with_its_first_id(folder: Path) -> None:
    """Two ids of 19 digits are the same such number: two users would become one."""
    ids = pa.array([None, 1234567890123456789, 1234567890123456788]).cast(pa.float64(), safe=False)
    write_parquet(folder, user_id=ids, file_name=["0.jpg", "1.jpg", "2.jpg"])
    assert "metadata.parquet:2: user_id '1.2345678901234568e+18' is a float" in refusal(folder)


def test_ids_of_other_types_are_refused_by_type(folder: Path) -> None:
    write_parquet(folder, user_id=pa.array([1, 2], pa.decimal128(20)), file_name=["0.jpg"] * 2)
    assert "'user_id' is decimal128(20, 0); write the ids as text" in refusal(folder)


# --- rows of a user -----------------------------------------------------------------------------

SCATTERED = [("ada", "0.jpg", ""), ("bob", "1.jpg", "male"), ("ada", "2.jpg", "female"),
             ("cy", "3.jpg", ""), ("ada", "0.jpg", "")]  # fmt: skip


@pytest.mark.parametrize("held", [1, 500, 64 << 20], ids=["on the disk", "part by part", "held"])
def test_rows_of_a_user_are_joined_wherever_they_are(
    folder: Path, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users keep the order of their first rows; a label comes from the first row that has one."""
    monkeypatch.setattr(joining, "_CHARACTERS_IN_MEMORY", held)
    lines = "".join(f"{','.join(row)}\n" for row in SCATTERED)
    (folder / "metadata.csv").write_text(f"user_id,file_name,gender\n{lines}")
    rows, _ = import_table(folder)
    assert rows == [
        {"user_id": "ada", "images": ["0.jpg", "2.jpg"], "gender": "female"},
        {"user_id": "bob", "images": ["1.jpg"], "gender": "male"},
        {"user_id": "cy", "images": ["3.jpg"], "gender": None},
    ]


def test_rows_of_a_user_that_contradict_each_other_are_refused(folder: Path) -> None:
    (folder / "metadata.csv").write_text(
        "user_id,file_name,gender\nada,0.jpg,male\nbob,1.jpg,male\nada,2.jpg,female\n"
    )
    said = refusal(folder)
    assert "metadata.csv:4: 'gender' of user 'ada' is 'female', but 'male' in" in said
    assert "metadata.csv:2; correct one of them" in said


# --- columns ------------------------------------------------------------------------------------


def test_whole_numbers_and_booleans_are_labels_and_other_columns_are_named(folder: Path) -> None:
    write_parquet(
        folder,
        user_id=["ada", "bob"],
        file_name=["0.jpg", "1.jpg"],
        children=[2, None],
        retired=[True, False],
        score=[0.5, 0.25],
    )
    rows, summary = import_table(folder)
    assert [(row["children"], row["retired"]) for row in rows] == [("2", "true"), (None, "false")]
    (remark,) = summary.remarks
    assert remark.endswith(
        "metadata.parquet: left out, being neither text nor whole numbers: score."
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_two_columns_of_one_name_are_refused(folder: Path, ending: str) -> None:
    names = ["user_id", "file_name", "gender", "gender"]
    if ending == "csv":
        (folder / "metadata.csv").write_text(f"{','.join(names)}\nada,0.jpg,f,m\n")
    else:
        columns = [pa.array([value]) for value in ("ada", "0.jpg", "f", "m")]
        pq.write_table(pa.Table.from_arrays(columns, names), folder / "metadata.parquet")
    assert "has two columns called 'gender'; rename or drop one of them" in refusal(folder)


def test_two_tables_in_one_folder_are_refused(folder: Path) -> None:
    for name in ("metadata.csv", "metadata.jsonl"):
        (folder / name).write_text("user_id,file_name\nada,0.jpg\n")
    assert "contains metadata.csv and metadata.jsonl; keep the right one" in refusal(folder)


@pytest.mark.parametrize(
    ("table", "seen"),
    [
        ("user_id,file_name\n", "there is no row"),
        ("user_id,file_name\n,0.jpg\n", "metadata.csv:2: a row without a user_id"),
    ],
)
def test_a_table_that_names_no_user_is_refused(folder: Path, table: str, seen: str) -> None:
    (folder / "metadata.csv").write_text(table)
    said = refusal(folder)
    assert "metadata.csv names no user (" in said
    assert seen in said


# --- splits -------------------------------------------------------------------------------------


def put_split(root: Path, split: str, table: str) -> None:
    (root / split).mkdir(parents=True)
    for number in range(2):
        (root / split / f"{number}.jpg").touch()
    (root / split / "metadata.csv").write_text(table)


def test_users_of_all_splits_are_taken_and_the_split_is_a_column(tmp_path: Path) -> None:
    root = tmp_path / "hf"
    put_split(root, "train", "user_id,file_name,gender\nada,0.jpg,female\nada,1.jpg,\n")
    put_split(root, "validation", "file_name,user_id\n0.jpg,bob\n")
    put_split(root, "test", "user_id,file_name,location\ncy,1.jpg,north\n")
    rows, summary = import_table(root)
    assert sorted(rows, key=lambda row: str(row["user_id"])) == [
        {"user_id": "ada", "images": ["train/0.jpg", "train/1.jpg"], "split": "train",
         "gender": "female", "location": None},
        {"user_id": "bob", "images": ["validation/0.jpg"], "split": "validation",
         "gender": None, "location": None},
        {"user_id": "cy", "images": ["test/1.jpg"], "split": "test",
         "gender": None, "location": "north"},
    ]  # fmt: skip
    splits = ("test", "train", "validation")
    said = [f"{root / split} was read as the split '{split}'." for split in splits]
    assert list(summary.remarks) == said


def test_splits_may_hold_a_folder_for_each_user(tmp_path: Path) -> None:
    root = tmp_path / "crawl"
    for path in ("train/ada/0.jpg", "train/bob/0.jpg", "test/cy/0.jpg"):
        (root / path).parent.mkdir(parents=True)
        (root / path).touch()
    rows, _ = import_table(root)
    assert [(row["user_id"], *row["images"], row["split"]) for row in rows] == [
        ("cy", "test/cy/0.jpg", "test"),
        ("ada", "train/ada/0.jpg", "train"),
        ("bob", "train/bob/0.jpg", "train"),
    ]


def test_a_user_in_two_splits_is_refused(tmp_path: Path) -> None:
    for split in ("train", "test"):
        put_split(tmp_path / "hf", split, "user_id,file_name\nada,0.jpg\n")
    assert "'split' of user 'ada' is 'train', but 'test' in" in refusal(tmp_path / "hf")


def test_splits_of_images_without_users_are_refused(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / "hf" / split).mkdir(parents=True)
        (tmp_path / "hf" / split / "0.jpg").touch()
    assert "looks like a split, but nothing in it says whose its images are" in refusal(
        tmp_path / "hf"
    )


def test_a_folder_called_test_next_to_other_folders_is_a_user(tmp_path: Path) -> None:
    for name in ("ada", "test"):
        (tmp_path / "crawl" / name).mkdir(parents=True)
        (tmp_path / "crawl" / name / "0.jpg").touch()
    rows, _ = import_table(tmp_path / "crawl")
    assert [row["user_id"] for row in rows] == ["ada", "test"]


# --- collected examples, if available -----------------------------------------------------------


@pytest.mark.skipif(not SHARED.is_dir(), reason="no collection of examples next to this checkout")
@pytest.mark.parametrize(
    ("case", "users"),
    [
        ("meta_bom", ["u0", "u1"]),
        ("meta_nonadj", ["a", "b"]),
        ("hfsplit", ["test0", "test1", "test2", "train0", "train1", "train2"]),
    ],
)
def test_collected_examples_are_read(tmp_path: Path, case: str, users: list[str]) -> None:
    import_dump("folder", SHARED / case, tmp_path / "m.parquet")
    assert pl.read_parquet(tmp_path / "m.parquet")["user_id"].to_list() == users


@pytest.mark.skipif(not SHARED.is_dir(), reason="no collection of examples next to this checkout")
def test_the_collected_example_of_floating_point_ids_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is a floating-point number"):
        import_dump("folder", SHARED / "meta_pq", tmp_path / "m.parquet")
