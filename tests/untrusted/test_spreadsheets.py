"""No CSV file that tweetprofile writes contains a cell that a spreadsheet would run."""

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.files.provenance import METADATA_KEY
from tweetprofile.evaluation.evaluate import compare_predictions, evaluate_predictions
from tweetprofile.evaluation.output_folder import write_comparison, write_evaluation
from tweetprofile.importers.run import import_dump
from tweetprofile.untrusted.spreadsheets import Cell, write_rows

FORMULA = "=cmd|' /C calc'!A0"
CLASSES = [FORMULA, "@SUM(1)", "x;=1+1", "\x1b[31m-red"]


def written(cell: Cell) -> str:
    file = io.StringIO(newline="")
    write_rows(file, [[cell, "neighbour"]])
    ((found, _),) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    return found


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@A1",
        " =1",
        "\uff1d1",
        "=cmd|' /C calc'!A0",
        "-",
        "- a list",
        "+49;-1",
    ],
)
def test_a_formula_gets_an_apostrophe_before_it(cell: str) -> None:
    assert written(cell).lstrip().startswith("'")
    assert written(cell).replace("'", "") == cell.replace("'", "")


def test_a_formula_after_a_semicolon_gets_an_apostrophe_too() -> None:
    """Spreadsheets split cells at semicolons in languages whose numbers have commas."""
    assert written("x;=1+1;\ty") == "x;'=1+1;\\ty"


@pytest.mark.parametrize(
    "cell", [-0.5, 7, "-0.5", "+7", "-1e-9", None, "a-b", "a=b", "7", "é ñ 日本"]
)
def test_numbers_and_ordinary_text_stay_as_they_are(cell: Cell) -> None:
    assert written(cell) == ("" if cell is None else str(cell))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("\t=1", "\\t=1"), ("\r=1", "\\r=1"), ("\x1b[2J", "\\x1b[2J"), ("a\nb", "a\\nb"),
        ("\u202egpj", "\\u202egpj"), ("caf\udce9", "caf\\udce9"), ("\x00", "\\x00"),
    ],
)  # fmt: skip
def test_unprintable_characters_are_escaped(cell: str, expected: str) -> None:
    assert written(cell) == expected


def put_profiles(path: Path, ids: list[str], classes: list[str]) -> Path:
    """Write profiles of the trait `place`, all with the first class."""
    each = pa.struct([(name, pa.float32()) for name in classes])
    sure = {name: float(number == 0) for number, name in enumerate(classes)}
    table = pa.table({
        "user_id": ids, "frames_used": [11] * len(ids), "place": [classes[0]] * len(ids),
        "place_probabilities": pa.array([sure] * len(ids), each),
    })  # fmt: skip
    facts = {"network": "model1", "schema": {"place": classes}}
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps(facts)}), path)
    return path


def put_labels(path: Path, ids: list[str], classes: list[str]) -> Path:
    images = pa.array([[]] * len(ids), pa.list_(pa.string()))
    pq.write_table(pa.table({"user_id": ids, "images": images, "place": classes}), path)
    return path


def test_no_csv_file_of_any_command_holds_a_formula_or_an_escape_sequence(tmp_path: Path) -> None:
    manifest = put_labels(tmp_path / "m.parquet", [*"abcd", "=1+2"], [*CLASSES, CLASSES[0]])
    ids = [*"abcd", "@only"]
    several = [put_profiles(tmp_path / name, ids, CLASSES) for name in ("=2.parquet", "-b.parquet")]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    write_evaluation(evaluate_predictions(manifest, several[0]), tmp_path / "one")
    write_comparison(compare_predictions(manifest, several), tmp_path / "two")
    (tmp_path / "dump" / "=user").mkdir(parents=True)
    (tmp_path / "dump" / "=user" / "@x\x1b[31m.exe").touch()
    (tmp_path / "dump" / "metadata.jsonl").write_text(
        "".join(
            json.dumps({"user_id": "u", "file_names": [name]}) + "\n"
            for name in ("=1+1", "-x", "..\x1b[31m", "+x.jpg", "there.jpg")
        )
    )
    (tmp_path / "dump" / "there.jpg").touch()
    import_dump("folder", tmp_path / "dump", tmp_path / "i.parquet")
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.csv")}
    assert files == {
        "i.parquet.skipped.csv", "one/tables/place-classes.csv", "one/tables/place.csv",
        "one/unmatched.csv", "two/tables/place-classes-=2.csv", "two/tables/place-classes--b.csv",
        "two/tables/place.csv",
    }  # fmt: skip
    cells = 0
    for file in files:
        with (tmp_path / file).open(newline="", encoding="utf-8") as lines:
            for cell in (cell for row in csv.reader(lines) for cell in row):
                cells += cell.startswith("'")
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
                assert cell.isprintable()
    assert cells > 8
