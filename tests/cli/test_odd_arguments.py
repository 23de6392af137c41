"""Unusable names, numbers and settings are one sentence, before any work."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.cli import main

LONG = "x" * 300


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"user_id": [LONG], "images": [["a.jpg"]], "mood": ["calm"]}), path)
    return path


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the one sentence that refuses a command."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tweetprofile: ")
    assert captured.err.count("\n") == 1
    assert "fault of tweetprofile" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "{m}", "-o", LONG, "--checkpoint", "c"],
        ["predict", "{m}", "-o", f"{LONG}/", "--checkpoint", "c"],
        ["predict", LONG, "-o", "out", "--checkpoint", "c"],
        ["predict", "{m}", "-o", "out", "--checkpoint", LONG],
        ["predict", "{m}", "-o", "out", "--stats", LONG],
        ["predict", "{m}", "-o", "out", "--image-root", LONG],
        ["train", "{m}", "-o", LONG],
        ["train", LONG, "-o", "out"],
        ["train", "{m}", "-o", "{out}", "--init", LONG],
        ["train", "{m}", "-o", "{out}", "--val", LONG],
        ["train", "{m}", "-o", "{out}", "--schema", LONG],
        ["train", "{m}", "-o", "{out}", "--cache", LONG],
        ["inspect", LONG],
        ["inspect", "{m}", "--contact-sheet", LONG, "-o", LONG],
        ["evaluate", "{m}", LONG],
        ["evaluate", "{m}", "p", "-o", LONG],
        ["import", "folder", LONG, "-o", "out"],
        ["import", "folder", "{folder}", "-o", LONG],
        ["import", "folder", "{folder}", "-o", "out", "--labels", LONG],
        ["info", LONG],
        ["info", "/".join(["y" * 200] * 30)],
    ],
)
def test_a_name_of_300_characters_is_refused(
    manifest: Path, tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"{m}": manifest, "{out}": tmp_path / "out", "{folder}": tmp_path}
    refusal(capsys, *(places.get(each, each) for each in arguments))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--learning-rate", "nan"),
        ("--learning-rate", "inf"),
        ("--weight-decay", "nan"),
        ("--minutes", "nan"),
        ("--val-fraction", "nan"),
        ("--seed", str(10**30)),
    ],
)
def test_numbers_that_are_not_finite_or_too_large_are_refused(
    manifest: Path, tmp_path: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, "train", manifest, "-o", tmp_path / "out", option, value)
    assert option in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text",
    [
        b"epochs = [1]",
        b"epochs = true",
        b"epochs = 'many'",
        b"[epochs]\na = 1",
        b"epochs = 1979-05-27",
        b"resume = 'yes'",
        b"colour = 1",
        b"epochs = \xff",
        b"a = " + b"[" * 5000,
        b"learning_rate = nan",
    ],
)
def test_settings_of_the_wrong_type_are_refused(
    manifest: Path, tmp_path: Path, text: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.toml").write_bytes(text)
    config = tmp_path / "train.toml"
    refusal(capsys, "train", manifest, "-o", tmp_path / "out", "--config", config)
    assert not (tmp_path / "out").exists()


METRICS: dict[str, object] = {
    "epoch": 1, "loss": 1.0, "val_loss": None, "scores": {}, "mean_macro_f1": 0.0,
    "learning_rate": 0.1, "seconds": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "null",
        "[" * 5000,
        json.dumps(METRICS | {"loss": "high"}),
        json.dumps(METRICS | {"loss": float("nan")}),
        json.dumps(METRICS | {"epoch": True}),
        json.dumps(METRICS | {"scores": {"mood": 1}}),
        json.dumps(METRICS | {"colour": 1}),
        json.dumps({"epoch": 1, "loss": 1.0, "scores": []}),
    ],
)
def test_malformed_metrics_are_refused(
    manifest: Path, tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metrics.jsonl").write_text(line + "\n")
    profiles = tmp_path / "profiles.csv"
    profiles.write_text("user_id,gender\n")
    said = refusal(
        capsys, "evaluate", manifest, profiles, "-o", tmp_path / "out", "--run", tmp_path
    )
    assert "metrics.jsonl cannot be read" in said
