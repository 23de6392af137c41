"""`-o out.csv` writes flat CSV for R, Stata and spreadsheets, as safe from loss as Parquet."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from tweetprofile.data.files.provenance import METADATA_KEY, Kind, kind_of
from tweetprofile.data.images.reader import FailedImage
from tweetprofile.errors import OutputError, Reason, WriteError
from tweetprofile.predicting.finished import take_finished
from tweetprofile.predicting.flat_csv import write_flat
from tweetprofile.predicting.output import RowWriter
from tweetprofile.predicting.output_checks import check_output
from tweetprofile.predicting.record import RunRecord
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.workers.evidence import Explanation, Explanations
from tweetprofile.workers.profiles import Counts, UserOutcome, make_profiles, profile_schema

TRAITS = TraitSchema((Trait("mood", ("calm", "very cross", "very-cross")),))
SCHEMA = profile_schema(TRAITS, pa.string())


def profiles(*names: str, failed: tuple[FailedImage, ...] = ()) -> pa.Table:
    outcomes = [UserOutcome(name, 2, 2 - len(failed), failed) for name in names]
    rows = np.tile(np.array([0.1, 0.7, 0.2], np.float32), (len(names), 1))
    return make_profiles(TRAITS, outcomes, {"mood": rows})


def record(*, overwrite: bool = False, **facts: object) -> RunRecord:
    return RunRecord.new({"network": "model1"} | facts, overwrite=overwrite)


def write(out: Path, *tables: pa.Table, overwrite: bool = False, resume: bool = False) -> set[int]:
    """Do a complete run; return the shards that it found finished."""
    run = record(overwrite=overwrite)
    with RowWriter(str(out), SCHEMA, run, len(tables), resume=resume) as writer:
        found = set(writer.finished)
        for shard, table in enumerate(tables):
            if shard not in found:
                writer.write(shard, table, Counts.of(table, 100))
        writer.finish()
    return found


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def ids_in(out: Path) -> list[str]:
    return pl.read_csv(out, infer_schema=False)["user_id"].to_list()


def test_each_probability_is_a_column_and_image_errors_are_text(tmp_path: Path) -> None:
    broken = (FailedImage(0, "a.jpg", Reason.MISSING), FailedImage(1, "", Reason.TRUNCATED))
    write(tmp_path / "out.csv", profiles("ada"), profiles("bob", failed=broken))
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {
            "user_id": "ada", "mood": "very cross", "mood_confidence": "0.7",
            "mood_p_calm": "0.1", "mood_p_very_cross": "0.7", "mood_p_very_cross_2": "0.2",
            "frames_used": "2", "images_given": "2", "images_failed": "0", "status": "ok",
            "image_errors": "",
        },
        {
            "user_id": "bob", "mood": "", "mood_confidence": "",
            "mood_p_calm": "", "mood_p_very_cross": "", "mood_p_very_cross_2": "",
            "frames_used": "0", "images_given": "2", "images_failed": "2", "status": "unusable",
            "image_errors": "0 a.jpg: missing; 1: truncated",
        },
    ]  # fmt: skip


def test_cells_that_a_spreadsheet_would_run_are_made_harmless(tmp_path: Path) -> None:
    evil = (FailedImage(0, "=cmd|' /C calc'!A0", Reason.MISSING),)
    write(tmp_path / "out.csv", profiles("=1+1"), profiles("@SUM(A1)", "-5", failed=evil))
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert {"'=1+1", "'@SUM(A1)", "-5"} <= set(cells)
    assert not [cell for cell in cells if cell[:1] in set("=+@")]


def test_kept_columns_are_written_as_cells(tmp_path: Path) -> None:
    table = pa.table({"user_id": [1, 2], "seen": [True, None], "n": [0.5, None], "t": ["a\nb", ""]})
    write_flat(tmp_path / "kept.csv", table.schema, [table])
    assert (tmp_path / "kept.csv").read_bytes() == (
        b"user_id,seen,n,t\r\n1,true,0.5,a\\nb\r\n2,,,\r\n"
    )


def test_evidence_is_one_line_per_user_and_its_base_a_column_per_trait(tmp_path: Path) -> None:
    added = Explanation((0, 3), {"mood": np.array([[0.0, 0.9, 0.0], [0.3, 0.0, 0.0]])})
    rows = {"mood": np.array([[0.2, 0.6, 0.2]], np.float32)}
    outcome = UserOutcome("ada", 4, 2, ())
    table = make_profiles(TRAITS, [outcome], rows, explanations=Explanations([added]))
    write_flat(tmp_path / "out.csv", table.schema, [table])
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["evidence"] == "0: mood 0.6; 3: mood -0.1"
    assert float(row["evidence_base_mood"]) == pytest.approx(np.log(3) * 2 / 3 - 0.5, abs=1e-6)


def test_a_column_of_the_manifest_that_is_called_evidence_is_written_as_it_is(
    tmp_path: Path,
) -> None:
    table = pa.table({"user_id": [1, 2], "evidence": ["seen", None], "text_evidence": [3, 4]})
    write_flat(tmp_path / "kept.csv", table.schema, [table])
    assert (tmp_path / "kept.csv").read_text().splitlines()[1:] == ["1,seen,3", "2,,4"]


def test_the_description_next_to_the_table_recognises_it_by_its_checksum(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    write(out, profiles("ada"))
    described = json.loads((tmp_path / "out.csv.json").read_text())[METADATA_KEY]
    assert described["network"] == "model1"
    assert described["counts"]["users"] == 1
    assert names_in(tmp_path) == ["out.csv", "out.csv.json"]
    assert kind_of(out) is Kind.PREDICTIONS
    assert kind_of(tmp_path / "out.csv.json") is Kind.DESCRIPTION


def test_an_earlier_table_is_replaced_only_if_it_may_be_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    write(out, profiles("ada"))
    with pytest.raises(OutputError, match="exists; choose another name or pass `overwrite=True`"):
        write(out, profiles("bob"))
    write(out, profiles("bob"), overwrite=True)
    assert ids_in(out) == ["bob"]
    assert names_in(tmp_path) == ["out.csv", "out.csv.json"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("resume", [False, True])
def test_a_table_that_someone_has_changed_is_not_replaced(
    tmp_path: Path, *, overwrite: bool, resume: bool
) -> None:
    out = tmp_path / "out.csv"
    write(out, profiles("ada"))
    changed = out.read_text() + "my own notes\n"
    out.write_text(changed)
    with pytest.raises(OutputError, match="is not a table of predictions that tweetprofile wrote"):
        write(out, profiles("bob"), overwrite=overwrite, resume=resume)
    assert out.read_text() == changed


@pytest.mark.parametrize("overwrite", [False, True])
def test_neither_a_foreign_table_nor_a_foreign_file_next_to_it_is_replaced(
    tmp_path: Path, *, overwrite: bool
) -> None:
    (tmp_path / "mine.csv").write_text("user_id,gender\nada,female\n")
    (tmp_path / "out.csv.json").write_text("{}")
    for name in ("mine.csv", "out.csv"):
        with pytest.raises(OutputError, match=r"is not .* that tweetprofile wrote"):
            write(tmp_path / name, profiles("ada"), overwrite=overwrite)
    assert names_in(tmp_path) == ["mine.csv", "out.csv.json"]


def test_a_description_whose_table_is_gone_is_replaced_only_if_it_may_be_overwritten(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out.csv"
    write(out, profiles("ada"))
    out.unlink()
    with pytest.raises(OutputError, match=r"out\.csv\.json describes a table that is gone"):
        write(out, profiles("bob"))
    write(out, profiles("bob"), overwrite=True)
    assert ids_in(out) == ["bob"]


def test_an_interrupted_run_is_resumed_with_its_shards(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with suppress(KeyboardInterrupt), RowWriter(str(out), SCHEMA, record(), 2) as writer:
        writer.write(0, profiles("ada"), Counts.of(profiles("ada"), 100))
        raise KeyboardInterrupt
    assert names_in(tmp_path) == ["out.csv.partial"]
    assert write(out, profiles("ada"), profiles("bob"), resume=True) == {0}
    assert ids_in(out) == ["ada", "bob"]
    assert take_finished(str(out), record()) == Counts(2, 4, 0, 0, {"ok": 2})


_KILLED = """
import os, signal, sys
from pathlib import Path
import tests.predicting.test_flat_csv as flat
import tweetprofile.predicting.output as output

moves = int(sys.argv[2])
real = output.move

def move(source, target, may_replace=None):
    global moves
    if target.name.startswith("out.csv") and not target.name.endswith(".partial"):
        if moves == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        moves -= 1
    real(source, target, may_replace)

output.move = move
flat.write(Path(sys.argv[1]), flat.profiles("new"), overwrite=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moves", [0, 1, 2])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_run_that_was_killed_while_its_table_appeared_can_be_resumed(
    tmp_path: Path, moves: int, *, earlier: bool
) -> None:
    """It is killed before the description appears, before the table appears, or after both."""
    out = tmp_path / "out.csv"
    if earlier:
        write(out, profiles("old"))
    root = Path(__file__).parents[2]
    arguments = [sys.executable, "-c", _KILLED, str(out), str(moves)]
    ended = subprocess.run(arguments, check=False, cwd=root, env={**os.environ, "PYTHONPATH": "."})
    assert ended.returncode == -signal.SIGKILL
    if take_finished(str(out), record()) is None:
        assert write(out, profiles("new"), resume=True) == {0}
    assert ids_in(out) == ["new"]
    assert names_in(tmp_path) == ["out.csv", "out.csv.json"]
    assert kind_of(out) is Kind.PREDICTIONS


def test_a_foreign_table_that_appears_during_the_run_is_kept_and_gets_no_description(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out.csv"
    with (
        pytest.raises(WriteError, match="`resume=True`"),
        RowWriter(str(out), SCHEMA, record(overwrite=True), 1) as writer,
    ):
        writer.write(0, profiles("ada"), Counts.of(profiles("ada"), 100))
        out.write_text("user_id\nprecious\n")
        writer.finish()
    assert out.read_text() == "user_id\nprecious\n"
    assert names_in(tmp_path) == ["out.csv", "out.csv.partial"]
    out.unlink()
    assert write(out, profiles("ada"), resume=True) == {0}


def test_a_foreign_file_at_the_name_of_the_description_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with (
        pytest.raises(WriteError, match=r"out\.csv\.json exists and is not .* `resume=True`"),
        RowWriter(str(out), SCHEMA, record(overwrite=True), 1) as writer,
    ):
        writer.write(0, profiles("ada"), Counts.of(profiles("ada"), 100))
        (tmp_path / "out.csv.json").write_text("{}")
        writer.finish()
    assert (tmp_path / "out.csv.json").read_text() == "{}"
    assert not out.exists()


@pytest.mark.parametrize("name", ["o.xlsx", "o.json", "o.tsv", "o.csv.gz", "o.feather", "o.txt"])
def test_endings_of_formats_that_are_not_written_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"ends in '\..*', an unsupported format; name it \.csv"):
        check_output(f"{tmp_path}/{name}", overwrite=False)


@pytest.mark.parametrize("name", ["o", "o.parquet", "o.PARQUET", "o.pq", "o.csv", "o.CSV", "o.x/"])
def test_endings_of_formats_that_are_written_are_accepted(tmp_path: Path, name: str) -> None:
    check_output(f"{tmp_path}/{name}", overwrite=False)


def test_a_folder_of_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="names a folder, but CSV is written as one file"):
        check_output(f"{tmp_path}/out.csv/", overwrite=False)


@pytest.mark.slow
def test_a_hundred_thousand_users_are_written_in_seconds_and_in_bounded_memory(
    tmp_path: Path,
) -> None:
    table = profiles(*(f"user{number}" for number in range(1 << 14)))
    began = time.process_time()
    tracemalloc.start()
    write_flat(tmp_path / "some.csv", SCHEMA, [table] * 6)
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()
    assert time.process_time() - began < 20  # 2 s without tracemalloc
