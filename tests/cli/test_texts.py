"""Models of texts on the command line: what `train`, `info` and `predict` say of them."""

from pathlib import Path

import polars as pl
import pytest

from tests.random_models import save_network
from tests.text_users import labelled_texts, save_text_model
from tweetprofile.cli import main


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_a_model_of_texts_alone_has_no_epochs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    manifest = labelled_texts(tmp_path / "users.parquet", 40)
    cache = ("--cache", tmp_path / "cache", "--devices", "cpu")
    assert run("train", manifest, "-o", tmp_path / "run", *cache) == 0
    shown = capsys.readouterr().err
    assert "counted the texts of 40 users" in shown
    assert "trained on 40 users, 40 of them held out in turn" in shown
    assert "epoch" not in shown
    assert "--backbone" not in shown  # advice for models of images
    assert run("info", tmp_path / "run") == 0
    told = capsys.readouterr().out
    assert "a linear model of" in told
    assert "epoch" not in told
    assert "layers" not in told


def test_predict_says_what_the_model_does_not_look_at(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "users.parquet"
    rows = {"user_id": ["ada"], "images": [["gone.jpg"]], "texts": [["el sol"]]}
    pl.DataFrame(rows).write_parquet(manifest)
    texts = save_text_model(tmp_path / "texts.safetensors", ["el sol"], images=False)
    options = ("-o", tmp_path / "out.parquet", "--overwrite", "--dry-run", "--devices", "cpu")
    assert run("predict", manifest, "--checkpoint", model, *options) == 0
    assert "The model looks at images alone: the texts are not read." in capsys.readouterr().err
    assert run("predict", manifest, "--checkpoint", texts, *options) == 0
    said = capsys.readouterr().err
    assert "The model reads texts alone: the images are not looked at." in said


def test_predict_says_when_images_are_left_out_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "users.parquet"
    pl.DataFrame({"user_id": ["ada"], "images": [["gone.jpg"]]}).write_parquet(manifest)
    model = save_network(tmp_path / "model.safetensors", "model1")
    options = ("-o", tmp_path / "out.parquet", "--checkpoint", model, "--devices", "cpu")
    assert run("predict", manifest, *options, "--evidence", "--dry-run") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "contributions are found by leaving out one image at a time" in said
    assert run("predict", manifest, *options, "--evidence", "--views", "2") == 2
    assert "--views is 2, but --evidence explains a single pass" in capsys.readouterr().err
