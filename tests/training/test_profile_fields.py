"""`train_manifest` with names and descriptions of users' own profiles."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.text_users import draw_texts
from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.errors import OptionError
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.run import train_manifest
from tweetprofile.training.settings import TrainOptions
from tweetprofile.training.summary import TrainSummary

_NAMES = {"female": ("Lira", "Luna", "Sola"), "male": ("Tambor", "Monte", "Papel")}


def users_with_names(path: Path, users: int = 60) -> Path:
    """Write users whose name tells the gender, and whose texts and description tell nothing."""
    rng = np.random.default_rng(0)
    genders = ["female", "male"] * (users // 2)
    names = [f"{rng.choice(_NAMES[gender])} {number}" for number, gender in enumerate(genders)]
    rows = {
        "user_id": [f"t{number}" for number in range(users)],
        "texts": [draw_texts("female", rng, 3) for _ in genders],
        "name": names,
        "description": rng.choice(["el sol", "la luna", "un monte"], users).tolist(),
        "gender": genders,
    }
    pl.DataFrame(rows).write_parquet(path)
    return path


class _Listener(TrainObserver):
    def __init__(self, told: list[str]) -> None:
        self._told = told

    def on_note(self, sentence: str) -> None:
        self._told.append(sentence)


def train(
    manifest: Path,
    tmp_path: Path,
    resume: bool = False,
    told: list[str] | None = None,
    **options: Any,
) -> TrainSummary:
    chosen = TrainOptions(devices="cpu", cache=str(tmp_path / "cache"), **options)
    observer, run = _Listener([] if told is None else told), tmp_path / "run"
    return train_manifest(manifest, run, chosen, observer, overwrite=not resume, resume=resume)


def test_names_are_read_on_request_only(tmp_path: Path) -> None:
    manifest = users_with_names(tmp_path / "users.parquet")
    told: list[str] = []
    plain = train(manifest, tmp_path, told=told)
    assert any("also has name and description, which `profile_fields`" in note for note in told)
    assert plain.best.scores["gender"].accuracy < 0.7
    assert "own profile" not in (tmp_path / "run" / "MODEL_CARD.md").read_text()
    named = train(manifest, tmp_path, profile_fields=True, keep_vocabulary=True)
    assert named.best.scores["gender"].accuracy > 0.95
    assert "reads names and descriptions" in (tmp_path / "run" / "MODEL_CARD.md").read_text()
    texts = load_checkpoint(named.checkpoint).texts
    assert texts is not None
    assert {block.source for block in texts.header.spec.blocks} == {"texts", "names", "description"}
    telling = pl.read_csv(tmp_path / "run" / "vocabulary.csv")
    words = telling.filter(pl.col("kind") == "word of names", pl.col("class") == "male")
    assert set(words["ngram"].head(3)) == {"tambor", "monte", "papel"}


@pytest.mark.slow
def test_only_what_the_manifest_has_is_counted(tmp_path: Path) -> None:
    manifest = users_with_names(tmp_path / "users.parquet")
    pl.read_parquet(manifest).drop("description").write_parquet(manifest)
    texts = load_checkpoint(train(manifest, tmp_path, profile_fields=True).checkpoint).texts
    assert texts is not None
    assert texts.header.spec.profile_fields == ("name",)


@pytest.mark.slow
def test_fields_that_held_out_users_lack_are_named(tmp_path: Path) -> None:
    manifest = users_with_names(tmp_path / "users.parquet", 40)
    val, told = tmp_path / "val.parquet", list[str]()
    pl.read_parquet(manifest).drop("name").write_parquet(val)
    train(manifest, tmp_path, told=told, profile_fields=True, val=str(val))
    (note,) = [each for each in told if each.startswith("held-out users: ")]
    assert note.endswith("has no name, so scores and confidences are those of the model without.")


@pytest.mark.slow
def test_users_with_a_profile_alone_are_learned_from(tmp_path: Path) -> None:
    manifest = users_with_names(tmp_path / "users.parquet")
    users = pl.read_parquet(manifest).with_row_index()
    no_texts = pl.when(pl.col("index") >= 10).then("texts")
    no_name = pl.when(pl.col("index") >= 4).then("name")
    no_description = pl.when(pl.col("index") >= 2).then("description")
    users.with_columns(no_texts, no_name, no_description).drop("index").write_parquet(manifest)
    summary = train(manifest, tmp_path, profile_fields=True)
    assert (summary.left_out, summary.users) == (2, 58)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ([], {}, r"`profile_fields` needs a column name, screen_name or description, and .*users"),
        (["name"], {"use": "images"}, "has no column of images"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(
    tmp_path: Path, columns: list[str], options: dict[str, Any], message: str
) -> None:
    manifest = users_with_names(tmp_path / "users.parquet")
    pl.read_parquet(manifest).select("user_id", "texts", "gender", *columns).write_parquet(manifest)
    with pytest.raises(OptionError, match=message):
        train(manifest, tmp_path, profile_fields=True, **options)


def test_a_model_of_images_alone_has_no_profile_fields(medium_dump: Path, tmp_path: Path) -> None:
    users = pl.read_parquet(medium_dump / "train.parquet").with_columns(name=pl.lit("Ada"))
    manifest = tmp_path / "users.parquet"
    users.write_parquet(manifest)
    with pytest.raises(OptionError, match="`profile_fields` is for models that read texts"):
        train(manifest, tmp_path, use="images", profile_fields=True, image_root=str(medium_dump))


@pytest.mark.slow
def test_a_run_is_not_resumed_with_other_fields(tmp_path: Path) -> None:
    manifest = users_with_names(tmp_path / "users.parquet", 40)
    train(manifest, tmp_path)
    with pytest.raises(Exception, match="profile_fields"):
        train(manifest, tmp_path, resume=True, profile_fields=True)
