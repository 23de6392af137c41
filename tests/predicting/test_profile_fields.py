"""`predict_manifest` with names and descriptions: every form and engine gives the same rows."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.facts import predictor_facts
from tests.text_users import save_text_model
from tweetprofile.errors import ManifestError, OptionError
from tweetprofile.predicting.plan import PredictOptions, plan_prediction
from tweetprofile.predicting.run import predict_manifest

TEXTS = ["el sol sale", "la luna canta"]
PROFILE = {"name": "Ada Lara", "screen_name": "adalara", "description": "la luna y el sol"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_text_model(tmp_path / "model.safetensors", TEXTS, profile=PROFILE)


@pytest.fixture
def manifest(tmp_path: Path, good_images: dict[str, bytes]) -> Path:
    (tmp_path / "a.jpg").write_bytes(next(iter(good_images.values())))
    path = tmp_path / "users.parquet"
    pl.DataFrame(
        {
            "user_id": ["all", "profile", "texts", "images", "nothing"],
            "images": [["a.jpg"], [], [], ["a.jpg"], []],
            "texts": [TEXTS, [], TEXTS, [], []],
            "name": ["Ada Lara", "Ada", None, None, " "],
            "screen_name": ["adalara", None, None, None, None],
            "description": ["la luna", "el sol", None, None, None],
        },
        schema_overrides={"images": pl.List(pl.String), "texts": pl.List(pl.String)},
    ).write_parquet(path)
    return path


def predict(manifest: Path, model: Path, **options: Any) -> pl.DataFrame:
    out = manifest.with_suffix(".out.parquet")
    chosen = PredictOptions(checkpoint=model, overwrite=True, **{"devices": "cpu"} | options)
    predict_manifest(manifest, out, chosen)
    return pl.read_parquet(out)


def remarks(manifest: Path, model: Path) -> list[str]:
    plan = plan_prediction(manifest, "x.parquet", PredictOptions(checkpoint=model, devices="cpu"))
    with plan.engine() as engine:
        plan.require_input(engine.facts)
        return plan.remarks(engine.facts)


def test_a_user_may_have_a_profile_alone(manifest: Path, model: Path) -> None:
    rows = predict(manifest, model)
    assert rows["profile_fields_used"].to_list() == [3, 2, 0, 0, 0]
    assert rows["texts_used"].to_list() == [2, 0, 2, 0, 0]
    assert rows["gender"].is_null().to_list() == [False, False, False, False, True]
    assert remarks(manifest, model) == []


def test_a_field_changes_no_row_of_a_user_without_it(manifest: Path, model: Path) -> None:
    rows = predict(manifest, model)
    without = manifest.with_name("without.parquet")
    pl.read_parquet(manifest).drop("description").write_parquet(without)
    others = predict(without, model)
    assert rows[2:].equals(others[2:])
    assert rows["gender_confidence"][0] != others["gender_confidence"][0]
    (remark,) = remarks(without, model)
    assert remark.startswith("The model also reads description of users' own profiles")


def test_a_model_of_posted_texts_reads_no_profile(manifest: Path, tmp_path: Path) -> None:
    model = save_text_model(tmp_path / "texts.safetensors", TEXTS)
    rows = predict(manifest, model)
    assert "profile_fields_used" not in rows.columns
    assert rows["gender"].is_null().to_list() == [False, True, False, False, True]
    without = manifest.with_name("without.parquet")
    pl.read_parquet(manifest).drop(*PROFILE).write_parquet(without)
    assert rows.equals(predict(without, model))


def test_kept_columns_are_copied_and_read(manifest: Path, model: Path) -> None:
    rows = predict(manifest, model, keep=("name",))
    assert rows["name"].to_list() == ["Ada Lara", "Ada", None, None, " "]
    assert rows.drop("name").equals(predict(manifest, model))


@pytest.mark.parametrize("options", [{"users_per_shard": 1}, {"users_per_shard": 3}])
def test_shards_change_no_row(manifest: Path, model: Path, options: dict[str, object]) -> None:
    usual = {"batch_size": 2}
    assert predict(manifest, model, **usual | options).equals(predict(manifest, model, **usual))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"devices": "cpu,cpu"}, {"engine": "ray"}])
def test_every_engine_gives_the_same_rows(
    manifest: Path, model: Path, options: dict[str, str]
) -> None:
    rows = predict(manifest, model, evidence=True)
    assert predict(manifest, model, evidence=True, **options).equals(rows)


def test_other_forms_give_the_same_rows(manifest: Path, model: Path, tmp_path: Path) -> None:
    rows = predict(manifest, model).drop("image_errors")
    users = pl.read_parquet(manifest)
    data = (tmp_path / "a.jpg").read_bytes()
    embedded = [[data] * len(each) for each in users["images"].to_list()]
    bytes_ = manifest.with_name("bytes.parquet")
    users.with_columns(pl.Series("images", embedded, pl.List(pl.Binary))).write_parquet(bytes_)
    assert predict(bytes_, model).drop("image_errors").equals(rows)
    first = users.with_columns(pl.col("images").list.first().alias("image"))
    long = first.explode("texts", empty_as_null=True).rename({"texts": "text"})
    image = pl.when(pl.int_range(pl.len()).over("user_id") == 0).then("image")
    long.with_columns(image).drop("images").write_parquet(manifest.with_name("long.parquet"))
    assert predict(manifest.with_name("long.parquet"), model).drop("image_errors").equals(rows)


def test_a_manifest_without_texts_may_have_profiles(manifest: Path, model: Path) -> None:
    without = manifest.with_name("without.parquet")
    pl.read_parquet(manifest).drop("texts").write_parquet(without)
    rows = predict(without, model)
    assert rows["gender"].is_null().to_list() == [False, False, True, False, True]
    (remark,) = remarks(without, model)
    assert remark.startswith("The manifest has no column of texts")


def test_a_model_of_profiles_alone_needs_a_field_that_it_reads(manifest: Path, model: Path) -> None:
    facts = predictor_facts(
        sees_images=False,
        reads_texts=True,
        reads_posted_texts=False,
        profile_fields=("description",),
    )
    plan = plan_prediction(manifest, "x.parquet", PredictOptions(checkpoint=model))
    plan.require_input(facts)
    assert "The model reads users' own profiles: the texts are not read." in plan.remarks(facts)
    pl.read_parquet(manifest).drop("description").write_parquet(manifest)
    plan = plan_prediction(manifest, "x.parquet", PredictOptions(checkpoint=model))
    with pytest.raises(OptionError, match="has no column of description"):
        plan.require_input(facts)


def test_a_model_of_texts_alone_refuses_a_manifest_without_texts_and_profiles(
    manifest: Path, tmp_path: Path
) -> None:
    model = save_text_model(tmp_path / "t.safetensors", TEXTS, images=False, profile=PROFILE)
    assert predict(manifest, model)["status"].to_list() == [
        "ok",
        "ok",
        "ok",
        "no_texts",
        "no_texts",
    ]
    bare = manifest.with_name("bare.parquet")
    pl.read_parquet(manifest).drop("texts", *PROFILE).write_parquet(bare)
    with pytest.raises(OptionError, match=r"bare\.parquet has no column of texts"):
        predict(bare, model)


def test_a_field_that_is_no_text_is_refused_before_any_row_is_written(
    manifest: Path, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    users = pl.read_parquet(manifest)
    users[:4].write_parquet(folder / "1.parquet")
    users[4:].with_columns(name=pl.lit(7)).write_parquet(folder / "2.parquet")
    plan = plan_prediction(folder, "x.parquet", PredictOptions(checkpoint=model, devices="cpu"))
    with (
        plan.engine() as engine,
        pytest.raises(ManifestError, match=r"2\.parquet: 'name' is int32; it must be a string"),
    ):
        plan.require_input(engine.facts)
