"""`tweetprofile embed`: what it writes and says, and what it refuses in one sentence."""

import json
from pathlib import Path

import polars as pl
import pytest

from tweetprofile.cli import main


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def manifest(dump: Path) -> Path:
    return dump / "test.parquet"


def test_embed_writes_a_row_per_user_and_says_how(
    manifest: Path, embedding_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, stats = tmp_path / "out.parquet", tmp_path / "stats.json"
    options = ("--checkpoint", embedding_model, "--per", "user", "--stats", stats)
    assert run("embed", manifest, "-o", out, *options) == 0
    frame = pl.read_parquet(out)
    assert frame["user_id"].to_list() == pl.read_parquet(manifest)["user_id"].to_list()
    printed = capsys.readouterr()
    assert printed.out == ""
    _, what, last = printed.err.strip().splitlines()
    assert what.startswith(f"timm/test_resnet from {embedding_model}: 96 numbers per user, of up")
    assert "up to 11 images of 32 x 32 pixels; on cpu" in what
    assert last.startswith(f"{frame.height} users (")
    assert json.loads(stats.read_text())["backbone"] == "timm/test_resnet"


WRONG = {
    "--checkpoint nowhere": "nowhere does not exist",
    "--weights package": "--weights is for a backbone without a model; name one with --backbone",
    "--frame-size 64": "--frame-size is for a backbone without a model",
    "--backbone timm/test_resnet": "say where they are with --weights, for example --weights pack",
    "--backbone timm/test_resnet --weights w --engine ray": "reads a --checkpoint; name a model",
    "--backbone timm/test_resnet --weights w": "w is not a readable file of weights",
    "--backbone resnet --weights w": "the backbone 'resnet' is unknown; choose one of timm's",
    "--per tweet": "'tweet' is not one of 'image', 'user'",
    "--frames 0": "0 is not in the range",
    "--backbone x --weights w -o out.csv": "a vector does not fit into a cell of CSV",
    "--backbone x --weights w -o out.npy": "an unsupported format; name it .parquet for Parquet",
    "--embedding-cache-gb 0": "is not in the range",
}
"""Maps options that cannot be used to what the message must contain."""


@pytest.mark.parametrize("options", WRONG)
def test_options_that_cannot_be_used_are_one_sentence_and_exit_code_2(
    options: str,
    manifest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code = run("embed", manifest, "-o", "out.parquet", *options.split())
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert WRONG[options] in line
    assert code == 2
    assert not list(tmp_path.glob("out*"))


def test_a_model_and_a_backbone_exclude_each_other(
    manifest: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ("--checkpoint", model, "--backbone", "timm/test_resnet", "--weights", "w")
    assert run("embed", manifest, "-o", tmp_path / "out", *both) == 2
    assert "--checkpoint and --backbone exclude each other" in capsys.readouterr().err


def test_without_a_model_the_message_says_where_one_comes_from(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert run("embed", manifest, "-o", tmp_path / "out") == 2
    assert "there is no checkpoint to use: name one with --checkpoint" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_without_a_backbone_is_refused_by_its_worker(
    manifest: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("embed", manifest, "-o", tmp_path / "out", "--checkpoint", model) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.endswith("computes no embeddings; use a model that was trained with --backbone.")
    cache = ("--embedding-cache", tmp_path / "cache")
    assert run("predict", manifest, "-o", tmp_path / "out", "--checkpoint", model, *cache) == 2
    assert "--embedding-cache is" in capsys.readouterr().err
