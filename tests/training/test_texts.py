"""`train_manifest` with texts: alone, and with images."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.text_users import draw_texts, labelled_texts
from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.errors import OptionError, TrainingError
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import predict_manifest
from tweetprofile.training.run import train_manifest
from tweetprofile.training.settings import TrainOptions
from tweetprofile.training.summary import TrainSummary


def train(manifest: Path, tmp_path: Path, resume: bool = False, **options: Any) -> TrainSummary:
    chosen = TrainOptions(devices="cpu", cache=str(tmp_path / "cache"), **options)
    return train_manifest(manifest, tmp_path / "run", chosen, overwrite=not resume, resume=resume)


def test_texts_alone_make_a_model(tmp_path: Path) -> None:
    manifest = labelled_texts(tmp_path / "users.parquet", 60)
    summary = train(manifest, tmp_path)
    assert summary.texts_alone
    assert summary.best.scores["gender"].accuracy > 0.9
    assert summary.best.scores["gender"].users == 60  # each by a model that has not seen the user
    others = labelled_texts(tmp_path / "others.parquet", 40, seed=1)
    out = tmp_path / "out.parquet"
    predict_manifest(others, out, PredictOptions(checkpoint=summary.checkpoint, devices="cpu"))
    guesses = pl.read_parquet(out)["gender"].cast(pl.String)
    assert (guesses == pl.read_parquet(others)["gender"]).sum() > 36


def test_the_card_says_what_texts_add_to_the_risk(tmp_path: Path) -> None:
    train(labelled_texts(tmp_path / "users.parquet", 40), tmp_path)
    card = (tmp_path / "run" / "MODEL_CARD.md").read_text()
    assert "## What texts add to the risk" in card
    assert "It looks at no images." in card
    assert "no names, no text" not in card


def test_a_finished_run_of_texts_is_recalled(tmp_path: Path) -> None:
    manifest = labelled_texts(tmp_path / "users.parquet", 40)
    first = train(manifest, tmp_path)
    written = first.checkpoint.stat().st_mtime_ns
    again = train(manifest, tmp_path, resume=True)
    assert first.checkpoint.stat().st_mtime_ns == written
    assert again.best.scores == first.best.scores
    assert again.texts_alone


def test_a_manifest_of_held_out_users_scores_texts(tmp_path: Path) -> None:
    manifest = labelled_texts(tmp_path / "users.parquet", 40)
    val = labelled_texts(tmp_path / "val.parquet", 30, seed=2)
    summary = train(manifest, tmp_path, val=str(val))
    assert summary.best.scores["gender"].users == summary.val_users == 30
    assert not summary.in_turn


def test_users_without_a_text_or_a_label_are_counted(tmp_path: Path) -> None:
    manifest = labelled_texts(tmp_path / "users.parquet", 40)
    users = pl.read_parquet(manifest).with_row_index()
    users.with_columns(
        texts=pl.when(pl.col("index") < 3).then(None).otherwise("texts"),
        gender=pl.when(pl.col("index") > 35).then(None).otherwise("gender"),
    ).drop("index").write_parquet(manifest)
    summary = train(manifest, tmp_path)
    assert (summary.left_out, summary.unlabelled, summary.users) == (3, 4, 33)


def test_too_few_users_with_texts_are_refused(tmp_path: Path) -> None:
    manifest = labelled_texts(tmp_path / "users.parquet", 10)
    with pytest.raises(TrainingError, match="has 10 users with a label and a text"):
        train(manifest, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use": "both"}, "has no column of images"),
        ({"use": "images"}, "has no column of images"),
        ({"use": "words"}, "`use` is words"),
        ({"model": "deepset"}, "`model` is for models that look at images"),
        ({"max_texts": 0}, "`max_texts` is 0"),
        ({"max_text_bytes": 1}, "`max_text_bytes` is 1"),
    ],
)
def test_options_that_do_not_fit_texts_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    manifest = labelled_texts(tmp_path / "users.parquet", 40)
    with pytest.raises(OptionError, match=message):
        train(manifest, tmp_path, **options)


def test_images_and_texts_are_weighed_on_users_who_have_both(
    medium_dump: Path, tmp_path: Path
) -> None:
    users = pl.read_parquet(medium_dump / "train.parquet").filter(pl.col("gender").is_not_null())
    rng = np.random.default_rng(0)
    texts = pl.Series("texts", [draw_texts(gender, rng) for gender in users["gender"]])
    manifest = tmp_path / "users.parquet"
    users.select("user_id", "images", "gender").with_columns(texts).write_parquet(manifest)
    quick: dict[str, Any] = {"epochs": 1, "members": 1, "frame_size": 32, "val_fraction": 0.6}
    summary = train(manifest, tmp_path, image_root=str(medium_dump), **quick)
    assert set(summary.parts) == {"images", "texts", "both"}
    both, texts_alone = (summary.parts[part]["gender"] for part in ("both", "texts"))
    assert both.users == texts_alone.users
    assert both.accuracy >= texts_alone.accuracy > 0.9
    fusion = load_checkpoint(summary.checkpoint).texts
    assert fusion is not None
    assert fusion.header.fusion["gender"].texts > fusion.header.fusion["gender"].images
    card = (tmp_path / "run" / "MODEL_CARD.md").read_text()
    assert "| gender | texts |" in card


@pytest.mark.slow
def test_images_and_texts_count_half_each_if_no_users_can_weigh_them(
    medium_dump: Path, tmp_path: Path
) -> None:
    users = pl.read_parquet(medium_dump / "train.parquet").filter(pl.col("gender").is_not_null())
    rng = np.random.default_rng(0)
    texts = pl.Series("texts", [draw_texts(gender, rng) for gender in users["gender"]])
    manifest = tmp_path / "users.parquet"
    users.select("user_id", "images", "gender").with_columns(texts).write_parquet(manifest)
    quick: dict[str, Any] = {"epochs": 1, "members": 1, "frame_size": 32, "val_fraction": 0.0}
    summary = train(manifest, tmp_path, image_root=str(medium_dump), **quick)
    checkpoint = load_checkpoint(summary.checkpoint)
    assert checkpoint.texts is not None
    fusion = checkpoint.texts.header.fusion["gender"]
    assert (fusion.images, fusion.texts) == (0.5, 0.5)
    assert any("each counts half" in warning for warning in checkpoint.training["warnings"])


def test_texts_are_left_out_on_request(medium_dump: Path, tmp_path: Path) -> None:
    users = pl.read_parquet(medium_dump / "train.parquet")
    manifest = tmp_path / "users.parquet"
    users.with_columns(texts=pl.lit(["el sol"])).write_parquet(manifest)
    quick: dict[str, Any] = {"epochs": 1, "members": 1, "frame_size": 32}
    summary = train(manifest, tmp_path, use="images", image_root=str(medium_dump), **quick)
    assert load_checkpoint(summary.checkpoint).texts is None
    assert not summary.parts


@pytest.mark.parametrize("images", [[], None])
def test_a_column_in_which_nobody_has_an_image_is_ignored(
    tmp_path: Path, images: list[str] | None
) -> None:
    manifest = labelled_texts(tmp_path / "users.parquet", 40)
    nothing = pl.Series("images", [images] * 40, pl.List(pl.String))
    pl.read_parquet(manifest).with_columns(nothing).write_parquet(manifest)
    assert train(manifest, tmp_path).texts_alone


@pytest.mark.slow
def test_a_column_in_which_nobody_has_a_text_is_ignored(medium_dump: Path, tmp_path: Path) -> None:
    users = pl.read_parquet(medium_dump / "train.parquet")
    nothing = pl.Series("texts", [[]] * len(users), pl.List(pl.String))
    manifest = tmp_path / "users.parquet"
    users.with_columns(nothing).write_parquet(manifest)
    quick: dict[str, Any] = {"epochs": 1, "members": 1, "frame_size": 32}
    summary = train(manifest, tmp_path, image_root=str(medium_dump), **quick)
    assert not summary.texts_alone
    assert not summary.parts
