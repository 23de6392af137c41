"""Every command that reads a manifest shows remarks on how its files were combined."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from tweetprofile.cli import main

SAID = "Text columns taken from folder names: country."


@pytest.fixture
def partitioned(tmp_path: Path, draw: Callable[..., Image.Image]) -> Path:
    """A manifest in partitions: two users of two countries, each with the same image."""
    draw(40, 30).save(tmp_path / "a.jpg")
    for country, user in (("de", "ada"), ("mx", "bob")):
        part = tmp_path / f"country={country}" / "part.parquet"
        part.parent.mkdir()
        pl.DataFrame({"user_id": [user], "images": [["a.jpg"]]}).write_parquet(part)
    return tmp_path


def test_predict_names_the_columns_of_partitions_and_keeps_them_on_request(
    partitioned: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "profiles"
    options = ["--checkpoint", str(model), "--devices", "cpu", "--keep", "country"]
    assert main(["predict", str(partitioned), "-o", str(out), *options]) == 0
    assert SAID in capsys.readouterr().err.splitlines()
    profiles = pl.read_parquet(out).select("user_id", "country", "status")
    assert profiles.rows() == [("ada", "de", "ok"), ("bob", "mx", "ok")]


def test_inspect_names_the_columns_of_partitions_and_treats_them_as_columns(
    partitioned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(partitioned)]) == 0
    printed = capsys.readouterr()
    assert SAID in printed.err.splitlines()
    assert "Column country is not a label: it has too many different values (2 in" in printed.out


@pytest.mark.parametrize("command", ["predict", "inspect"])
def test_a_user_in_two_rows_is_refused_before_any_work(
    tmp_path: Path, model: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "m.parquet"
    pl.DataFrame({"user_id": ["ada", "ada"], "images": [["a"], ["b"]]}).write_parquet(manifest)
    told = ["-o", str(tmp_path / "out.parquet"), "--checkpoint", str(model)]
    assert main([command, str(manifest), *(told if command == "predict" else [])]) == 2
    said = capsys.readouterr().err
    assert said.endswith("user 'ada' occurs in rows 0 and 1; keep one row per user.\n")
    assert said.count("\n") == 1
