"""An inspection reports how many users have a name and a description."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.cli import main
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.inspection.profile_fields import count_profile_fields


def write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_users_with_a_field_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(
        tmp_path / "m.parquet",
        user_id=[1, 2, 3, 4],
        texts=pa.array([[], [], [], ["x"]], pa.list_(pa.string())),
        name=["Ada", None, "\u3000 ", "Bob"],
        description=pa.array([b"\xff", None, b"", None], pa.binary()).view(pa.string()),
    )
    assert main(["inspect", str(path)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["name", "2", "50.0%"] in [line[:3] for line in lines], lines
    assert count_profile_fields(Manifest.open(path)) == {"name": 2, "description": 1}


def test_in_the_long_form_any_row_of_a_user_may_have_the_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        tmp_path / "long.parquet",
        user_id=["a", "a", "a", "b", "c", "c"],
        text=["x"] * 6,
        name=[None, "late", None, None, "Cy", "Cy"],
    )
    for rows in (1, 2, 4096):
        monkeypatch.setattr("tweetprofile.inspection.profile_fields._ROWS_AT_ONCE", rows)
        assert count_profile_fields(Manifest.open(path)) == {"name": 2}


def test_columns_that_are_no_texts_are_left_out(tmp_path: Path) -> None:
    texts = pa.array([["x"]], pa.list_(pa.string()))
    path = write(tmp_path / "m.parquet", user_id=[1], texts=texts, name=[7])
    assert count_profile_fields(Manifest.open(path)) == {}
