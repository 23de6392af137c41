"""Images alone, texts alone and both are compared on the users who have both."""

import json
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.text_users import draw_texts, save_text_model
from tweetprofile.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from tweetprofile.checkpoints.fingerprints import Fingerprint, TrainingFingerprint
from tweetprofile.cli import main
from tweetprofile.data.files.provenance import METADATA_KEY, read_description
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import OptionError, PredictionsError
from tweetprofile.evaluation.evaluate import (
    EvaluateOptions,
    compare_predictions,
    evaluate_predictions,
)
from tweetprofile.evaluation.leakage import find_leakage
from tweetprofile.evaluation.output_folder import write_evaluation
from tweetprofile.evaluation.parts import Parts
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.evaluation.tables import parts_table
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import predict_manifest

FEMALE, MALE = (0.9, 0.1), (0.2, 0.8)


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture
def write_parts(write_predictions: Callable[..., Path]) -> Callable[..., Path]:
    """`write_parts(ids, gender=[...], images=[...], texts=[...])` writes profiles with parts."""

    def write(
        ids: list[str],
        images: list[object],
        texts: list[object],
        recorded: object = ("images", "texts"),
        **classes: list[int],
    ) -> Path:
        out = write_predictions(ids, **classes)
        table, facts = pq.read_table(out), read_description(out)
        for trait in facts["schema"]:
            kind = table[f"{trait}_probabilities"].type
            for part, rows in (("images", images), ("texts", texts)):
                names = [each.name for each in kind]
                named = [
                    dict(zip_longest(names, row, fillvalue=0.0)) if isinstance(row, tuple) else row
                    for row in rows
                ]
                column = pa.array(named) if "?" in named else pa.array(named, kind)
                table = table.append_column(f"{trait}_{part}_probabilities", column)
        text = json.dumps(facts | {"parts": recorded})
        pq.write_table(table.replace_schema_metadata({METADATA_KEY: text}), out)
        return out

    return write


def test_only_labelled_users_who_have_both_are_compared(
    write_labels: Callable[..., Path], write_parts: Callable[..., Path]
) -> None:
    ids = ["both", "agreeing", "no text", "no image", "unlabelled", "missing"]
    truth = ["male", "female", "male", "male", None, "male"]
    out = write_parts(
        ids[:-1],
        gender=[1, 0, 0, 0, 1],
        images=[(0.7, 0.3), FEMALE, FEMALE, None, FEMALE],
        texts=[(0.2, 0.8), FEMALE, None, FEMALE, FEMALE],
    )
    parts = evaluate_predictions(write_labels(ids, gender=truth), out).parts
    assert parts is not None
    assert parts.users == {"gender": 2}
    found = {each.name: each.scores["gender"].accuracy for each in parts.rows}
    assert found == {
        "majority class": 0.5,
        "images alone": 0.5,
        "texts alone": 1.0,
        "mean of both": 1.0,  # 0.45 to 0.55
    }
    assert parts.scores["gender"].accuracy == 1.0
    assert "(gender 2)" in parts.sentence


def test_the_table_ends_with_the_model_and_has_intervals(
    write_labels: Callable[..., Path], write_parts: Callable[..., Path], tmp_path: Path
) -> None:
    ids = [str(number) for number in range(40)]
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 40)
    images = [(FEMALE, MALE)[each] for each in rng.integers(0, 2, 40)]
    texts = [(FEMALE, MALE)[each] for each in truth]
    out = write_parts(ids, gender=truth.tolist(), images=images, texts=texts)
    labels = write_labels(ids, gender=[("female", "male")[each] for each in truth])
    evaluation = evaluate_predictions(labels, out)
    table = parts_table(evaluation)
    assert table is not None
    assert [row[1] for row in table.rows] == [
        "majority class", "images alone", "texts alone", "mean of both", "out (fused)",
    ]  # fmt: skip
    for row in table.rows:
        accuracy, low, high = row[3:6]
        assert low <= accuracy <= high  # type: ignore[operator]
        assert row[-1] == 40
    report = write_evaluation(evaluation, made(tmp_path / "out")).read_text()
    assert "<h2>Images and texts</h2>" in report
    assert "gender, 40 users" in report
    assert "out (fused)" in report
    rows = pl.read_csv(tmp_path / "out" / "tables" / "all-parts.csv")
    assert rows["Model"].to_list() == [row[1] for row in table.rows]
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())["parts"]
    assert found["users"] == {"gender": 40}
    assert found["model"]["gender"]["accuracy"] == 1.0
    behind = found["rows"][1]["traits"]["gender"]["model_minus_baseline"]["accuracy"]
    assert behind["interval"]["low"] > 0


def test_if_nobody_has_both_a_sentence_says_so(
    write_labels: Callable[..., Path], write_parts: Callable[..., Path], tmp_path: Path
) -> None:
    out = write_parts(["a", "b"], gender=[0, 1], images=[FEMALE, None], texts=[None, MALE])
    evaluation = evaluate_predictions(write_labels(["a", "b"], gender=["female", "male"]), out)
    assert evaluation.parts == Parts()
    page = write_evaluation(evaluation, made(tmp_path / "out")).read_text()
    assert "no user with a label has both a usable image and a text" in page
    assert not (tmp_path / "out" / "tables" / "all-parts.csv").exists()


def test_predictions_without_these_columns_have_no_comparison(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    manifest, out = write_labels(["a"], gender=["male"]), write_predictions(["a"], gender=[1])
    evaluation = evaluate_predictions(manifest, out)
    assert evaluation.parts is None
    assert evaluation.to_dict()["parts"] is None


def test_several_models_are_compared_without_their_parts(
    write_labels: Callable[..., Path], write_parts: Callable[..., Path], tmp_path: Path
) -> None:
    out = write_parts(["a"], gender=[0], images=[FEMALE], texts=[FEMALE])
    (tmp_path / "other.parquet").write_bytes(out.read_bytes())
    labels = write_labels(["a"], gender=["female"])
    compared = compare_predictions(labels, [out, tmp_path / "other.parquet"])
    assert [each.parts for each in compared.evaluations] == [None, None]


@pytest.mark.parametrize(
    ("images", "recorded", "sentence"),
    [
        ((1.5, 0.1), ("images", "texts"), "probabilities of gender by images alone are not from 0"),
        ((float("nan"), 0.1), ("images", "texts"), "by images alone are not from 0 to 1"),
        ("?", ("images", "texts"), "column 'gender_images_probabilities' is string"),
        (FEMALE, ("images",), "its parts are other than images and texts"),
        (FEMALE, 5, "parts is 5"),
        (FEMALE, ({},), "parts"),
    ],
)
def test_part_columns_are_checked_as_the_others_are(
    images: object, recorded: object, sentence: str, write_parts: Callable[..., Path]
) -> None:
    out = write_parts(["a"], images=[images], texts=[FEMALE], recorded=recorded, gender=[0])
    with pytest.raises(PredictionsError, match=sentence):
        Predictions.read(out)


def test_parts_that_are_recorded_and_missing_are_refused(
    write_predictions: Callable[..., Path],
) -> None:
    out = write_predictions(["a"], gender=[0])
    table, facts = pq.read_table(out), read_description(out)
    text = json.dumps(facts | {"parts": ["images", "texts"]})
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: text}), out)
    with pytest.raises(PredictionsError, match="does not contain profiles"):
        Predictions.read(out)


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of users with images, texts or both; and a model of both and one of texts."""
    folder = tmp_path_factory.mktemp("users")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        gender = ("female", "male")[number % 2]
        pixels = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        images = [f"{number}.png"] if number % 4 else []
        rows.append((f"u{number}", images, draw_texts(gender, rng) if number % 5 else [], gender))
    schema: dict[str, Any] = {
        "user_id": pl.String,
        "images": pl.List(pl.String),
        "texts": pl.List(pl.String),
        "gender": pl.String,
    }
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "users.parquet")
    texts = [text for row in rows for text in row[2]]
    save_text_model(folder / "both.safetensors", texts)
    save_text_model(folder / "texts.safetensors", texts, images=False)
    return folder / "users.parquet"


def test_evaluate_predicts_with_parts_and_shows_the_table(
    users: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model, out = users.parent / "both.safetensors", tmp_path / "out"
    told = ["evaluate", str(users), "--checkpoint", str(model), "-o", str(out)]
    assert main(told) == 0
    shown = capsys.readouterr().out
    both = 12 - 3 - 3 + 1  # every fourth has no image, every fifth no text
    assert f"gender, {both} users" in shown
    for name in ("images alone", "texts alone", "mean of both", "predictions (fused)"):
        assert name in shown
    assert "gender_images_probabilities" in pq.read_schema(out / "predictions.parquet").names


def test_a_model_of_texts_alone_is_not_shown_by_images(
    users: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model, out = users.parent / "texts.safetensors", tmp_path / "out"
    told = ["evaluate", str(users), "--checkpoint", str(model), "-o", str(out)]
    assert main(told) == 0
    assert "images alone" not in capsys.readouterr().out
    page = (out / "report.html").read_text()
    assert "A user without a text has no prediction" in page
    assert "usable image" not in page
    found = json.loads((out / "metrics.json").read_text())
    assert found["traits"]["gender"]["by_frames"] == []
    assert main([*told, "--overwrite", "--baselines"]) == 2
    assert "predict single images, and" in capsys.readouterr().err
    options = EvaluateOptions(baselines=PredictOptions(checkpoint=model))
    with pytest.raises(OptionError, match=r"`baselines` predict single images, and .* no images"):
        evaluate_predictions(users, out / "predictions.parquet", options)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("texts", "none of these users; their texts were not compared."),
        (
            "both",
            "none of these users and none of the compared images; their texts were not compared.",
        ),
    ],
)
def test_texts_are_said_to_be_compared_with_none_of_the_training(
    kind: str, said: str, users: Path, tmp_path: Path
) -> None:
    model = load_checkpoint(users.parent / f"{kind}.safetensors")
    network = model.build()
    network.load_state_dict(model.state, assign=True)
    nothing = Fingerprint.of(np.empty(0, np.uint64))
    seen = TrainingFingerprint(nothing, nothing, ())
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, network, {"seen": seen.to_dict()}, texts=model.texts)
    found = find_leakage(Manifest.open(users), load_checkpoint(path).sha256, [path], None)
    assert found.sentence == f"The model was trained on {said}"


@pytest.mark.slow
def test_baselines_beside_texts_say_that_single_images_go_without(
    users: Path, tmp_path: Path
) -> None:
    options = PredictOptions(checkpoint=users.parent / "both.safetensors", devices="cpu")
    predict_manifest(users, tmp_path / "out.parquet", options)
    evaluation = evaluate_predictions(
        users, tmp_path / "out.parquet", EvaluateOptions(baselines=options)
    )
    assert "3 without a usable image count as predicted wrongly in the rows of single images" in (
        evaluation.baselines.sentence
    )
    assert "used together and without texts" in evaluation.baselines.sentence
    page = write_evaluation(evaluation, made(tmp_path / "report")).read_text()
    assert "A user without a usable image and without a text has no prediction" in page
