"""Baselines see one image at a time, and are compared with the model on the same users."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import OptionError, PredictionsError
from tweetprofile.evaluation import single_images
from tweetprofile.evaluation.evaluate import (
    EvaluateOptions,
    Evaluation,
    compare_predictions,
    evaluate_predictions,
)
from tweetprofile.evaluation.matching import match_users
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.evaluation.single_images import SingleImages, predict_single_images
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import predict_manifest

TRAITS = ("gender", "location", "occupation")


@pytest.fixture(scope="module")
def manifest(drawn_dump: Path) -> Path:
    return drawn_dump / "test.parquet"


@pytest.fixture(scope="module")
def profiles(manifest: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("profiles") / "profiles.parquet"
    predict_manifest(manifest, out, PredictOptions(checkpoint=model))
    return out


@pytest.fixture(scope="module")
def evaluation(manifest: Path, profiles: Path, model: Path) -> Evaluation:
    options = EvaluateOptions(baselines=PredictOptions(checkpoint=model))
    return evaluate_predictions(manifest, profiles, options)


def predict_alone(
    manifest: Path, profiles: Path, model: Path, image_root: Path | None = None
) -> SingleImages:
    opened = Manifest.open(manifest)
    matched = match_users(opened, Predictions.read(profiles))
    options = PredictOptions(checkpoint=model, image_root=image_root)
    return predict_single_images(opened, matched, options)


@pytest.fixture(scope="module")
def images(manifest: Path, profiles: Path, model: Path) -> SingleImages:
    return predict_alone(manifest, profiles, model)


def one_row_per_image(manifest: Path, folder: Path) -> Path:
    """Write a manifest in which every image of another manifest is a user of its own."""
    users = pl.read_parquet(manifest, columns=["images"]).with_row_index("user")
    images = users.explode("images").drop_nulls("images")
    path = folder / "images.parquet"
    images.with_row_index("user_id").with_columns(
        pl.concat_list("images").alias("images")
    ).write_parquet(path)
    return path


def test_one_image_and_the_mean_are_what_predict_says_of_the_images_alone(
    manifest: Path, images: SingleImages, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "alone.parquet"
    options = PredictOptions(checkpoint=model, image_root=manifest.parent, keep=("user",))
    predict_manifest(one_row_per_image(manifest, tmp_path), out, options)
    alone = pl.read_parquet(out).filter(pl.col("frames_used") > 0)
    frames = load_checkpoint(model).volume_spec.frames
    checked = 0
    for (user,), rows in alone.group_by("user", maintain_order=True):
        if len(rows) > frames:  # the model uses some of them only
            assert images.images_U[user] == frames
            continue
        assert images.images_U[user] == len(rows)
        for trait in TRAITS:
            found = rows[f"{trait}_probabilities"].struct.unnest().to_numpy()
            np.testing.assert_allclose(images.first[trait][user], found[0], atol=1e-6)
            np.testing.assert_allclose(images.mean[trait][user], found.mean(axis=0), atol=1e-6)
        checked += 1
    assert checked >= 3


def with_images_as(form: str, manifest: Path, folder: Path) -> Path:
    """Write a manifest again in another form, with the images themselves."""
    table = pq.read_table(manifest)
    rows = []
    for user in table.to_pylist():
        files = [manifest.parent / path for path in user["images"] or []]
        data = [file.read_bytes() if file.is_file() else None for file in files]
        labels = {trait: user[trait] for trait in TRAITS}
        if form == "bytes":
            rows.append({"user_id": user["user_id"], "images": data, **labels})
        elif form == "huggingface":
            both = [{"bytes": each, "path": "a name"} for each in data]
            rows.append({"user_id": user["user_id"], "images": both, **labels})
        else:
            rows += [
                {"user_id": user["user_id"], "image": each, **labels} for each in data or [None]
            ]
    path = folder / f"{form}.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    return path


@pytest.mark.parametrize(
    "form",
    [
        "long",
        pytest.param("bytes", marks=pytest.mark.slow),
        pytest.param("huggingface", marks=pytest.mark.slow),
    ],
)
def test_every_form_of_a_manifest_has_the_same_baselines(
    form: str, manifest: Path, profiles: Path, images: SingleImages, model: Path, tmp_path: Path
) -> None:
    other = predict_alone(with_images_as(form, manifest, tmp_path), profiles, model)
    np.testing.assert_array_equal(other.images_U, images.images_U)
    for trait in TRAITS:
        np.testing.assert_allclose(other.mean[trait], images.mean[trait], atol=1e-6)


@pytest.mark.slow
def test_baselines_do_not_depend_on_how_many_images_are_predicted_at_a_time(
    manifest: Path,
    profiles: Path,
    images: SingleImages,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(single_images, "_PIECE_BYTES", 1)
    monkeypatch.setattr(single_images, "_USERS_AT_ONCE", 2)
    other = predict_alone(manifest, profiles, model)
    np.testing.assert_array_equal(other.images_U, images.images_U)
    for trait in TRAITS:
        np.testing.assert_allclose(other.first[trait], images.first[trait], atol=1e-6)


def test_every_row_counts_the_same_users_as_the_model(evaluation: Evaluation) -> None:
    baselines = evaluation.baselines
    majority, one_image, mean = baselines.each
    without = int((np.array(evaluation.matched.predictions.table["frames_used"]) == 0).sum())
    assert without > 0
    assert (baselines.users, baselines.without_images) == (evaluation.matched.users, without)
    for trait, metrics in evaluation.traits.items():
        assert majority.scores[trait] == metrics.majority
        for each in (one_image, mean):
            # Users without a usable image are wrong in the model's row, and so they are here.
            assert each.scores[trait].accuracy <= 1 - without / metrics.users
            interval = each.intervals[trait]["accuracy"]
            assert interval.low <= each.scores[trait].accuracy <= interval.high


def test_metrics_json_says_how_far_the_baselines_are_behind_the_model(
    evaluation: Evaluation,
) -> None:
    found = evaluation.to_dict()["baselines"]
    assert [row["name"] for row in found["rows"]] == [
        "majority class", "one image per user", "mean over single images",
    ]  # fmt: skip
    gender = found["rows"][2]["traits"]["gender"]
    behind = evaluation.traits["gender"].scores.accuracy - gender["accuracy"]
    assert gender["model_minus_baseline"]["accuracy"]["mean"] == pytest.approx(behind, abs=0.05)


def test_without_baselines_metrics_json_has_none(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    manifest = write_labels(["a"], gender=["male"])
    found = evaluate_predictions(manifest, write_predictions(["a"], gender=[1]))
    assert found.to_dict()["baselines"] is None


def test_predictions_of_another_model_are_refused(
    manifest: Path, write_predictions: Callable[..., Path], model: Path
) -> None:
    ids = pl.read_parquet(manifest)["user_id"].to_list()
    schema = load_checkpoint(model).schema
    other = write_predictions(ids, schema=schema)
    options = EvaluateOptions(baselines=PredictOptions(checkpoint=model))
    with pytest.raises(PredictionsError, match="was made by another model than"):
        evaluate_predictions(manifest, other, options)


def test_baselines_of_several_models_are_refused(manifest: Path, profiles: Path) -> None:
    options = EvaluateOptions(baselines=PredictOptions())
    with pytest.raises(OptionError, match="`baselines` belong to a single model"):
        compare_predictions(manifest, [profiles, profiles], options)


def test_a_bad_list_of_unusable_images_is_refused(
    manifest: Path, profiles: Path, tmp_path: Path
) -> None:
    table = pq.read_table(profiles)
    position = table.column_names.index("image_errors")
    bad = table.set_column(position, "image_errors", pa.array(["none"] * len(table)))
    path = tmp_path / "bad.parquet"
    pq.write_table(bad.replace_schema_metadata(pq.read_metadata(profiles).metadata), path)
    with pytest.raises(PredictionsError, match="does not say which images are unusable"):
        Predictions.read(path).failed_images()
