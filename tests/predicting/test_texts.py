"""`predict_manifest` with texts: every form, engine and kind of user gives the same rows."""

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.text_users import save_text_model
from tweetprofile.data.files.provenance import read_description
from tweetprofile.errors import OptionError, OutputError
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import predict_manifest

TEXTS = ["el sol sale", "la luna canta", None, "un monte de papel"]


@pytest.fixture
def text_model(tmp_path: Path) -> Path:
    return save_text_model(tmp_path / "model.safetensors", [text for text in TEXTS if text])


def four_users(folder: Path, image: bytes) -> pl.DataFrame:
    (folder / "a.jpg").write_bytes(image)
    images = [["a.jpg"], ["a.jpg", "missing.png"], [], None]
    texts = [TEXTS, [], ["la luna canta"], None]
    frame = {"user_id": ["both", "images", "texts", "neither"], "images": images, "texts": texts}
    return pl.DataFrame(frame, schema_overrides={"texts": pl.List(pl.String)})


def predict(manifest: Path, model: Path, **options: object) -> pl.DataFrame:
    out = manifest.with_suffix(".out.parquet")
    chosen = PredictOptions(checkpoint=model, devices="cpu", overwrite=True, **options)  # type: ignore[arg-type]
    predict_manifest(manifest, out, chosen)
    return pl.read_parquet(out)


@pytest.fixture
def manifest(tmp_path: Path, good_images: dict[str, bytes]) -> Path:
    path = tmp_path / "users.parquet"
    four_users(tmp_path, next(iter(good_images.values()))).write_parquet(path)
    return path


def test_every_kind_of_user_has_a_row(manifest: Path, text_model: Path) -> None:
    rows = predict(manifest, text_model)
    assert rows["status"].to_list() == ["ok", "partial", "no_images", "no_images"]
    assert rows["gender"].is_null().to_list() == [False, False, False, True]
    assert rows["texts_used"].to_list() == [3, 0, 1, 0]
    assert rows["frames_used"].to_list() == [1, 1, 0, 0]


@pytest.mark.parametrize("options", [{"users_per_shard": 1}, {"users_per_shard": 3}])
def test_shards_change_no_row(manifest: Path, text_model: Path, options: dict[str, object]) -> None:
    usual = {"batch_size": 2}
    assert predict(manifest, text_model, **usual | options).equals(
        predict(manifest, text_model, **usual)
    )


@pytest.mark.slow
@pytest.mark.parametrize("evidence", [False, True])
@pytest.mark.parametrize("options", [{"devices": "cpu,cpu"}, {"engine": "ray"}])
def test_every_engine_gives_the_same_rows(
    manifest: Path, text_model: Path, options: dict[str, str], evidence: bool
) -> None:
    rows = predict(manifest, text_model, evidence=evidence)
    out = manifest.with_suffix(".other.parquet")
    chosen = {"devices": "cpu", "evidence": evidence} | options
    predict_manifest(manifest, out, PredictOptions(checkpoint=text_model, **chosen))  # type: ignore[arg-type]
    assert pl.read_parquet(out).equals(rows)


def test_the_long_form_gives_the_same_rows(
    manifest: Path, text_model: Path, tmp_path: Path
) -> None:
    rows = [
        ("both", "a.jpg", "el sol sale"),
        ("both", None, "la luna canta"),
        ("both", None, "un monte de papel"),
        ("images", "a.jpg", None),
        ("images", "missing.png", None),
        ("texts", None, "la luna canta"),
        ("neither", None, None),
    ]
    long = tmp_path / "long.parquet"
    pl.DataFrame(rows, schema=["user_id", "image", "text"], orient="row").write_parquet(long)
    assert predict(long, text_model).equals(predict(manifest, text_model))


def test_embedded_images_stand_beside_texts(
    manifest: Path, text_model: Path, tmp_path: Path
) -> None:
    embedded = tmp_path / "embedded.parquet"
    data = (tmp_path / "a.jpg").read_bytes()
    images = [[data], [data, b"?"], [], None]
    pl.read_parquet(manifest).with_columns(
        pl.Series("images", images, pl.List(pl.Binary))
    ).write_parquet(embedded)
    left_out = ["image_errors"]
    rows = predict(embedded, text_model).drop(left_out)
    assert rows.equals(predict(manifest, text_model).drop(left_out))


def test_texts_beyond_the_limits_are_counted(manifest: Path, text_model: Path) -> None:
    rows = predict(manifest, text_model, max_texts=1, max_text_bytes=8)
    assert rows["texts_given"].to_list() == [3, 0, 1, 0]
    assert rows["texts_used"].to_list() == [1, 0, 1, 0]
    assert rows["texts_cut"].to_list() == [1, 0, 1, 0]


def test_a_run_with_other_limits_does_not_resume(manifest: Path, text_model: Path) -> None:
    out = manifest.with_suffix(".parts") / "x.parquet"
    out.parent.mkdir()
    first = PredictOptions(checkpoint=text_model, devices="cpu")
    predict_manifest(manifest, out, first)
    again = PredictOptions(checkpoint=text_model, devices="cpu", max_texts=1, resume=True)
    with pytest.raises(OutputError, match="comes from another run"):
        predict_manifest(manifest, out, again)


@pytest.mark.parametrize("column", ["images", "texts"])
def test_a_manifest_may_lack_one_of_the_columns(
    manifest: Path, text_model: Path, tmp_path: Path, column: str
) -> None:
    lacking = tmp_path / "lacking.parquet"
    pl.read_parquet(manifest).drop(column).write_parquet(lacking)
    rows = predict(lacking, text_model)
    seen = rows.filter(pl.col("gender").is_not_null())["user_id"].to_list()
    assert seen == {"images": ["both", "texts"], "texts": ["both", "images"]}[column]


def test_a_model_of_images_says_that_it_reads_no_texts(
    manifest: Path, model: Path, tmp_path: Path
) -> None:
    rows = predict(manifest, model)
    assert "texts_used" not in rows.columns
    without = tmp_path / "without.parquet"
    pl.read_parquet(manifest).drop("texts").write_parquet(without)
    assert rows.equals(predict(without, model))


def test_a_manifest_without_what_the_model_sees_is_refused(
    manifest: Path, model: Path, tmp_path: Path
) -> None:
    texts_only, images_only = tmp_path / "t.parquet", tmp_path / "i.parquet"
    pl.read_parquet(manifest).drop("images").write_parquet(texts_only)
    pl.read_parquet(manifest).drop("texts").write_parquet(images_only)
    reader = save_text_model(tmp_path / "texts.safetensors", ["el sol"], images=False)
    with pytest.raises(OptionError, match=r"t\.parquet has no column of images"):
        predict(texts_only, model)
    with pytest.raises(OptionError, match=r"i\.parquet has no column of texts"):
        predict(images_only, reader)


def test_the_parts_add_up_to_one(manifest: Path, text_model: Path) -> None:
    predict(manifest, text_model, parts=True)
    rows = pq.read_table(manifest.with_suffix(".out.parquet"))
    for name in ("gender_images_probabilities", "gender_texts_probabilities"):
        for each in filter(None, rows[name].to_pylist()):
            assert sum(each.values()) == pytest.approx(1, abs=1e-5)


def test_the_file_says_how_it_is_known_what_images_contribute(
    manifest: Path, text_model: Path
) -> None:
    rows = predict(manifest, text_model, evidence=True)
    out = manifest.with_suffix(".out.parquet")
    assert read_description(out)["evidence"] == "exact"
    assert rows["evidence"].list.len().to_list() == [1, 1, 0, 0]
    assert rows["text_evidence"].list.len().to_list() == [3, 0, 1, 0]
    predict(manifest, text_model)
    assert "evidence" not in read_description(out)


@pytest.mark.slow
def test_a_run_without_evidence_is_not_resumed_with_it(manifest: Path, text_model: Path) -> None:
    out = manifest.with_suffix(".out.parquet")
    predict(manifest, text_model)
    chosen = PredictOptions(checkpoint=text_model, devices="cpu", evidence=True, resume=True)
    with pytest.raises(OutputError, match="comes from another run"):
        predict_manifest(manifest, out, chosen)
