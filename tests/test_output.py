"""Output appears whole or not at all, and says how it was made."""

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.errors import OutputError
from tweetprofile.output import METADATA_KEY, ProfileWriter
from tweetprofile.profiles import UserOutcome, make_profiles, profile_schema
from tweetprofile.traits import Trait, TraitSchema

TRAITS = TraitSchema((Trait("mood", ("calm", "cross")),))
SCHEMA = profile_schema(TRAITS, pa.string())


def profiles(*names: str) -> pa.Table:
    outcomes = [UserOutcome(name, 1, 1, ()) for name in names]
    return make_profiles(TRAITS, outcomes, {"mood": np.full((len(names), 2), 0.5, np.float32)})


def write(out: str, *tables: pa.Table, overwrite: bool = False) -> None:
    with ProfileWriter(out, SCHEMA, {"network": "model1"}, overwrite=overwrite) as writer:
        for table in tables:
            writer.write(table)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_holds_all_tables_in_order(tmp_path: Path) -> None:
    write(f"{tmp_path}/out.parquet", profiles("a", "b"), profiles("c"))
    assert pq.read_table(tmp_path / "out.parquet")["user_id"].to_pylist() == ["a", "b", "c"]
    assert names_in(tmp_path) == ["out.parquet"]


def test_a_slash_at_the_end_makes_a_folder_with_a_file_a_table(tmp_path: Path) -> None:
    write(f"{tmp_path}/out/", profiles("a", "b"), profiles("c"))
    assert names_in(tmp_path / "out") == ["part-00000.parquet", "part-00001.parquet"]
    assert pl.read_parquet(tmp_path / "out")["user_id"].to_list() == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["out.parquet", "out/"])
def test_without_users_the_output_is_empty_and_valid(tmp_path: Path, name: str) -> None:
    write(f"{tmp_path}/{name}")
    frame = pl.read_parquet(tmp_path / name)
    assert frame.height == 0
    assert "mood_probabilities" in frame.columns


def test_the_metadata_describes_the_run_and_counts_users_and_images(tmp_path: Path) -> None:
    write(f"{tmp_path}/out.parquet", profiles("a", "b"))
    metadata = pq.read_metadata(tmp_path / "out.parquet").metadata
    described = json.loads(metadata[METADATA_KEY.encode()])
    assert described["network"] == "model1"
    assert described["counts"] == {
        "users": 2,
        "images": 2,
        "failed": 0,
        "statuses": {"ok": 2},
    }


@pytest.mark.parametrize("name", ["out.parquet", "out/"])
def test_an_error_on_the_way_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        ProfileWriter(f"{tmp_path}/{name}", SCHEMA, {}) as writer,
    ):
        writer.write(profiles("a"))
        raise KeyboardInterrupt
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("name", ["out.parquet", "out/"])
def test_an_existing_output_is_kept_unless_overwriting_is_asked_for(
    tmp_path: Path, name: str
) -> None:
    write(f"{tmp_path}/{name}", profiles("old"))
    with pytest.raises(OutputError, match=r"exists; choose another name or add --overwrite"):
        write(f"{tmp_path}/{name}", profiles("new"))
    write(f"{tmp_path}/{name}", profiles("new"), overwrite=True)
    assert pl.read_parquet(tmp_path / name)["user_id"].to_list() == ["new"]
    assert names_in(tmp_path) == [name.rstrip("/")]


def test_a_failed_run_leaves_the_output_it_was_to_replace(tmp_path: Path) -> None:
    write(f"{tmp_path}/out.parquet", profiles("old"))
    with (
        pytest.raises(ZeroDivisionError),
        ProfileWriter(f"{tmp_path}/out.parquet", SCHEMA, {}, overwrite=True) as writer,
    ):
        writer.write(profiles("new"))
        raise ZeroDivisionError
    assert pl.read_parquet(tmp_path / "out.parquet")["user_id"].to_list() == ["old"]


def test_a_folder_with_other_files_in_it_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(OutputError, match="holds more than predictions"):
        write(f"{tmp_path}/out/", profiles("a"), overwrite=True)
    assert names_in(tmp_path / "out") == ["thesis.tex"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the folder .*nowhere.* does not exist; make it first"):
        write(f"{tmp_path}/nowhere/out.parquet", profiles("a"))


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="is not writable"):
        write(f"{tmp_path}/out.parquet", profiles("a"))
