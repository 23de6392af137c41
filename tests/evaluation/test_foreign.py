"""Predictions of any origin are evaluated: written again by other programs, or made by them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from tweetprofile.cli import main
from tweetprofile.errors import PredictionsError
from tweetprofile.evaluation.evaluate import (
    EvaluateOptions,
    Evaluation,
    compare_predictions,
    evaluate_predictions,
)
from tweetprofile.evaluation.leakage import Leakage
from tweetprofile.evaluation.output_folder import write_evaluation
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.evaluation.submission import write_submission
from tweetprofile.predicting.flat_csv import write_flat
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.traits import PRESETS

USERS = [f"user {number}" for number in range(40)]
TRAITS = {"gender": ("female", "male"), "place": ("north", "south", "west")}
CLASSES = ["user_id", *TRAITS]

Rewrite = Callable[[Path, Path], Path]


def read_plain(path: Path) -> pa.Table:
    """Read our file as a program does that knows nothing of our metadata."""
    return pq.read_table(path).replace_schema_metadata()


def by_polars(ours: Path, folder: Path) -> Path:
    pl.read_parquet(ours).write_parquet(folder / "again.parquet")
    return folder / "again.parquet"


def by_polars_classes_alone(ours: Path, folder: Path) -> Path:
    pl.read_parquet(ours).select(CLASSES).write_parquet(folder / "again.parquet")
    return folder / "again.parquet"


def by_polars_in_a_folder(ours: Path, folder: Path) -> Path:
    (folder / "again").mkdir()
    profiles = pl.read_parquet(ours)
    for number, part in enumerate((profiles[:15], profiles[15:])):
        part.write_parquet(folder / "again" / f"{number}.parquet")
    return folder / "again"


def by_polars_as_csv(ours: Path, folder: Path) -> Path:
    pl.read_parquet(ours).select(CLASSES).write_csv(folder / "again.csv")
    return folder / "again.csv"


def by_pyarrow_without_metadata(ours: Path, folder: Path) -> Path:
    pq.write_table(read_plain(ours), folder / "again.parquet")
    return folder / "again.parquet"


def by_pyarrow_as_csv(ours: Path, folder: Path) -> Path:
    table = read_plain(ours).select(CLASSES)
    plain = table.cast(pa.schema([(name, pa.string()) for name in CLASSES]))
    pacsv.write_csv(plain, folder / "again.csv")
    return folder / "again.csv"


def by_our_flat_csv(ours: Path, folder: Path) -> Path:
    table = read_plain(ours)
    write_flat(folder / "again.csv", table.schema, [table])
    return folder / "again.csv"


def by_pandas(ours: Path, folder: Path) -> Path:
    pandas = pytest.importorskip("pandas")
    pandas.read_parquet(ours).to_parquet(folder / "again.parquet")
    return folder / "again.parquet"


def by_pandas_as_csv(ours: Path, folder: Path) -> Path:
    pandas = pytest.importorskip("pandas")
    pandas.read_parquet(ours)[CLASSES].to_csv(folder / "again.csv")
    return folder / "again.csv"


@pytest.fixture
def manifest(write_labels: Callable[..., Path]) -> Path:
    random = np.random.default_rng(0)
    return write_labels(
        USERS,
        **{trait: [names[at] for at in random.integers(0, len(names), 40)]
           for trait, names in TRAITS.items()},
    )  # fmt: skip


@pytest.fixture
def ours(write_predictions: Callable[..., Path]) -> Path:
    random = np.random.default_rng(1)
    guesses = {trait: random.integers(0, len(names), 40) for trait, names in TRAITS.items()}
    frames = random.integers(0, 4, 40).tolist()  # those without an image have no prediction
    return write_predictions(USERS, frames=frames, **guesses)


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[..., Path]:
    """`write_table(user_id=[...], gender=[...])` writes a table as other programs would."""

    def write(name: str = "foreign.parquet", **columns: Any) -> Path:
        pq.write_table(pa.table(columns), tmp_path / name)
        return tmp_path / name

    return write


def figures(found: Evaluation) -> dict[str, Any]:
    """What must not depend on who wrote the predictions."""
    return {
        trait: (each.scores, each.confusion, each.per_class, each.majority, each.predicted)
        for trait, each in found.traits.items()
    }


@pytest.mark.parametrize(
    "rewrite",
    [
        by_polars, by_polars_in_a_folder, by_polars_classes_alone, by_polars_as_csv,
        by_pyarrow_without_metadata, by_pyarrow_as_csv, by_our_flat_csv, by_pandas,
        by_pandas_as_csv,
    ],
)  # fmt: skip
def test_predictions_that_are_written_again_have_the_same_figures(
    rewrite: Rewrite, manifest: Path, ours: Path, tmp_path: Path
) -> None:
    expected = evaluate_predictions(manifest, ours)
    found = evaluate_predictions(manifest, rewrite(ours, tmp_path))
    assert figures(found) == figures(expected)
    assert found.intervals == expected.intervals


@pytest.mark.parametrize("rewrite", [by_polars, by_our_flat_csv, by_pandas])
def test_probabilities_and_numbers_of_images_survive_where_they_are_kept(
    rewrite: Rewrite, manifest: Path, ours: Path, tmp_path: Path
) -> None:
    expected = evaluate_predictions(manifest, ours).traits["place"]
    evaluation = evaluate_predictions(manifest, rewrite(ours, tmp_path))
    found = evaluation.traits["place"]
    assert found.by_frames == expected.by_frames
    assert found.selections[:18] == expected.selections[:18]  # 0.9 is less as a float32
    assert found.calibration is not None
    assert expected.calibration is not None
    assert found.calibration.ece == pytest.approx(expected.calibration.ece, abs=1e-6)
    assert evaluation.missing == (
        "The predictions give no record of their model, so there is no check whether it was "
        "trained on these users."
    )


def test_what_a_table_does_not_give_is_said_once_everywhere(
    manifest: Path, ours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again, out = by_polars_classes_alone(ours, tmp_path), tmp_path / "report"
    assert main(["evaluate", str(manifest), str(again), "-o", str(out)]) == 0
    sentence = (
        "The predictions give no probabilities, no numbers of images and no record of their "
        "model, so there is no calibration, no coverage, no accuracy by number of images and no "
        "check whether it was trained on these users."
    )
    assert " ".join(capsys.readouterr().out.split()).count(sentence) == 1
    facts = json.loads((out / "metrics.json").read_text())
    assert facts["predictions"]["missing"] == sentence
    assert facts["traits"]["gender"]["calibration"] is None
    page = (out / "report.html").read_text()
    assert page.count(sentence) == 1
    assert "It was not checked" not in page
    assert sorted(path.stem for path in (out / "plots").iterdir()) == [
        "gender-confusion", "place-confusion",
    ]  # fmt: skip


def test_confidences_alone_are_enough_for_calibration_and_coverage(
    manifest: Path, ours: Path, tmp_path: Path
) -> None:
    names = ["user_id", "gender", "gender_confidence"]
    pl.read_parquet(ours).select(names).write_csv(tmp_path / "again.csv")
    options = EvaluateOptions(min_confidence=0.5)
    found = evaluate_predictions(manifest, tmp_path / "again.csv", options)
    expected = evaluate_predictions(manifest, ours, options)
    coverage, expected_coverage = (each.traits["gender"].selections for each in (found, expected))
    assert coverage[:18] == expected_coverage[:18]  # 0.9 is less as a float32
    assert found.confidence_cuts["gender"] == expected.confidence_cuts["gender"]


def test_labels_that_were_kept_beside_predictions_are_not_evaluated_as_predictions(
    manifest: Path, ours: Path, tmp_path: Path
) -> None:
    kept = pl.read_parquet(manifest).select("user_id", pl.col("place"))
    table = pl.read_parquet(ours).drop("place", "place_confidence", "place_probabilities")
    table.join(kept, on="user_id").write_parquet(tmp_path / "kept.parquet")
    found = evaluate_predictions(manifest, tmp_path / "kept.parquet")
    assert list(found.traits) == ["gender"]
    (remark,) = found.matched.predictions.remarks
    assert remark.startswith("place: not evaluated; there are confidences of gender only")


def test_a_class_that_only_one_side_has_is_named_and_counts_as_a_class_of_its_own(
    write_labels: Callable[..., Path], write_table: Callable[..., Path]
) -> None:
    labels = write_labels(["a", "b", "c", "d"], gender=["male", "male", "female", "other"])
    table = write_table(user_id=["a", "b", "c", "d"], gender=[" male ", "Male", "female", None])
    found = evaluate_predictions(labels, table)
    assert found.traits["gender"].scores.accuracy == 0.5
    assert found.matched.predictions.remarks == (
        "gender, only in the predictions: 'Male' (1 row, not the same class as 'male'); "
        "only in the labels: 'other'.",
    )


def test_ids_match_whether_they_are_numbers_or_text(
    write_labels: Callable[..., Path], write_table: Callable[..., Path], tmp_path: Path
) -> None:
    labels = write_labels([10, 20], gender=["female", "male"])
    table = write_table(user_id=["20", "10"], gender=["male", "female"])
    assert evaluate_predictions(labels, table).traits["gender"].scores.accuracy == 1
    (tmp_path / "table.csv").write_text("user_id;gender\n20;male\n10;female\n")
    found = evaluate_predictions(labels, tmp_path / "table.csv")
    assert found.traits["gender"].scores.accuracy == 1


def test_ids_that_our_csv_made_harmless_are_found_again(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path], tmp_path: Path
) -> None:
    ids = ["@ada", "-bob"]
    again = by_our_flat_csv(write_predictions(ids, gender=[0, 1]), tmp_path)
    assert "'@ada" in again.read_text()
    found = evaluate_predictions(write_labels(ids, gender=["female", "male"]), again)
    assert found.traits["gender"].scores.accuracy == 1


@pytest.mark.parametrize(
    ("labels", "predicted"),
    [
        (pa.array([0, 1, 1]), pa.array([0.0, 1.0, None])),  # pandas, for a missing prediction
        (pa.array([True, False, True]), pa.array(["True", "False", None])),
    ],
)
def test_numbers_and_truth_values_match_however_pandas_spells_them(
    labels: pa.Array, predicted: pa.Array, tmp_path: Path
) -> None:
    ids, images = pa.array(["a", "b", "c"]), pa.array([[], [], []], pa.list_(pa.string()))
    pq.write_table(pa.table({"user_id": ids, "images": images, "smokes": labels}),
                   tmp_path / "labels.parquet")  # fmt: skip
    table = pa.table({"user_id": ids, "smokes": predicted})
    pq.write_table(table, tmp_path / "table.parquet")
    pl.from_arrow(table).write_csv(tmp_path / "table.csv")  # type: ignore[union-attr]
    for name in ("table.parquet", "table.csv"):
        smokes = evaluate_predictions(tmp_path / "labels.parquet", tmp_path / name).traits["smokes"]
        assert smokes.predicted == 2
        assert smokes.scores.accuracy == pytest.approx(2 / 3)


def test_ours_and_those_of_another_program_are_compared_on_what_both_have(
    manifest: Path,
    ours: Path,
    write_table: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = write_table(user_id=USERS, gender=["female"] * 39 + ["?"])
    found = compare_predictions(manifest, [ours, other])
    alone = [evaluate_predictions(manifest, each).traits["gender"] for each in (ours, other)]
    together = [each.traits["gender"] for each in found.evaluations]
    assert [list(each.traits) for each in found.evaluations] == [["gender"], ["gender"]]
    assert [each.scores for each in together] == [each.scores for each in alone]
    assert main(["evaluate", str(manifest), str(ours), str(other)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "out: place: not compared, because other predictions lack it." in shown
    assert "foreign: gender, only in the predictions: '?' (1 row)" in shown


@pytest.mark.slow
def test_a_csv_file_beside_its_record_is_known_to_be_ours(
    dump: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, out = str(dump / "test.parquet"), str(tmp_path / "out.csv")
    assert main(["predict", manifest, "-o", out, "--checkpoint", str(model), "-q"]) == 0
    told = ["evaluate", manifest, out, "--checkpoint", str(model)]
    assert main(told) == 0
    assert "The predictions give" not in capsys.readouterr().out
    facts = Predictions.read(out).facts
    assert facts["network"] == "model1"
    assert main([*told, "--baselines"]) == 2
    assert "does not record its model and images, which --baselines need" in capsys.readouterr().err


@pytest.mark.slow
def test_a_checkpoint_that_is_named_is_taken_for_the_model_of_predictions_without_a_record(
    dump: Path, model: Path, tmp_path: Path
) -> None:
    table = pl.read_parquet(dump / "test.parquet", columns=["user_id", "gender"])
    table.write_csv(tmp_path / "guesses.csv")
    options = EvaluateOptions(made_by=model)
    found = evaluate_predictions(dump / "test.parquet", tmp_path / "guesses.csv", options)
    assert found.leakage.unchecked == (
        "its checkpoint was written by a version that recorded no fingerprints"
    )
    assert found.leakage.is_stated


def test_a_model_that_was_named_is_not_said_to_be_unknown(
    manifest: Path, ours: Path, tmp_path: Path
) -> None:
    found = evaluate_predictions(manifest, by_polars(ours, tmp_path))
    assert found.missing is not None
    assert found.says_missing_model
    named = replace(found, leakage=Leakage("its checkpoint has none", is_stated=True))
    assert named.missing is None
    assert not named.says_missing_model


def test_labels_that_the_predictions_lack_may_differ_from_row_to_row_of_a_user(
    tmp_path: Path, write_table: Callable[..., Path]
) -> None:
    long = {"user_id": ["a", "a", "b"], "image": ["1", "2", "3"], "lang": ["en", "es", "en"]}
    manifest = tmp_path / "long.parquet"
    pl.DataFrame({**long, "gender": ["male", None, "female"]}).write_parquet(manifest)
    table = write_table(user_id=["a", "b"], gender=["male", "female"])
    assert evaluate_predictions(manifest, table).traits["gender"].scores.accuracy == 1


def test_a_submission_takes_the_columns_of_the_track(
    write_table: Callable[..., Path], tmp_path: Path
) -> None:
    table = write_table(user_id=["u1", "u2"], gender=["male", None], city=["x", "y"])
    read = Predictions.read(table, labels=PRESETS["mex-a3t-2019"].to_dict())
    assert write_submission(read, tmp_path) == [(tmp_path / "gender.txt", 1)]
    assert (tmp_path / "gender.txt").read_text() == '"gender"\t"u1"\t"male"\n'


def test_without_labels_every_column_of_classes_is_a_trait(ours: Path, tmp_path: Path) -> None:
    for rewrite in (by_polars, by_polars_as_csv, by_our_flat_csv):
        read = Predictions.read(rewrite(ours, tmp_path))
        assert read.schema.to_dict() == {name: list(each) for name, each in TRAITS.items()}
        assert read.remarks == ()


def test_without_labels_names_and_texts_of_users_are_no_traits(tmp_path: Path) -> None:
    ids = [f"u{number}" for number in range(70)]
    columns = {
        "user_id": ids, "gender": ["male", "female"] * 35, "name": ["Ada", "Bo"] * 35,
        "screen_name": ["ada", "bo"] * 35, "description": ["I am A", "I am B"] * 35,
        "quote": [f"I am {user}" for user in ids], "prose": ["a" * 300, "b"] * 35,
        "nick": ["Ada", "Bo", "Cy", *[None] * 67],
    }  # fmt: skip
    pl.DataFrame(columns).write_parquet(tmp_path / "table.parquet")
    read = Predictions.read(tmp_path / "table.parquet")
    assert read.schema.names == ("gender",)
    assert [remark.partition(":")[0] for remark in read.remarks] == [
        "quote is left out", "prose is left out", "nick is left out",
    ]  # fmt: skip


GOOD = {"user_id": ["a", "b"], "gender": ["male", "female"]}


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"id": ["a"], "gender": ["male"]}, "has no column 'user_id'; it has id, gender"),
        ({"user_id": ["a"], "sex": ["male"]}, r"has no column named after a label \(gender\)"),
        (GOOD | {"user_id": ["a", "a"]}, "user 'a' occurs twice in .*; keep one row"),
        (GOOD | {"user_id": ["a", None]}, "row 1 has no user_id; name the user or drop the row"),
        (GOOD | {"user_id": [1.0, 2.0]}, "'user_id' is double, which rounds ids"),
        (GOOD | {"user_id": ["1.2e+17", "b"]}, "row 0 has the user_id '1.2e.17', a floating"),
        (GOOD | {"user_id": ["x", "y"]}, "has no user of"),
        (GOOD | {"gender": [0.25, 0.5]}, "column 'gender' holds floating-point numbers; write"),
        (GOOD | {"gender": [["male"], []]}, "column 'gender' is list.*; write classes as text"),
        (GOOD | {"gender_confidence": [0.5, float("nan")]}, "row 1 has a class, and the conf.*nan"),
        (GOOD | {"gender_confidence": [55.0, 61.0]}, "row 0 has a class, .* to 1 but 55"),
        (GOOD | {"gender_confidence": ["high", "low"]}, "confidence' does not hold numbers"),
        (GOOD | {"gender_p_male": [0.5, -1.0]}, "row 1 has a class, and the probabilities of"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_evaluated_is_one_sentence(
    columns: dict[str, Any],
    sentence: str,
    write_labels: Callable[..., Path],
    write_table: Callable[..., Path],
) -> None:
    labels = write_labels(["a", "b"], gender=["male", "female"])
    with pytest.raises(PredictionsError, match=sentence) as raised:
        evaluate_predictions(labels, write_table(**columns))
    assert "\n" not in str(raised.value)
    assert "foreign.parquet" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "has no column 'user_id'; it has none"),
        (b"user_id,gender\na\n", r"table\.csv:2: 1 cell, but 2 columns; correct the table"),
        (b"user_id,gender,gender\na,male,male\n", "column 'gender' occurs twice; rename one"),
        (b"user_id,gender\n,male\n", "row 0 has no user_id"),
        ("user_id,gender\né,m".encode() + b"\xff\n", r"table\.csv:2: 'm.*' is not UTF-8; save"),
        (b"user_id,gender\na," + b"m" * 20_000, r"table\.csv:2: a cell has 20,000 characters"),
        (b"user_id,gender\na," + b"m" * (17 << 20), r"table\.csv:2: a line of more than 16 Mi"),
        (b"user_id,gender\n" + b"".join(b"a%d,c%d\n" % (n, n) for n in range(5000)),
         "column 'gender' has more than 4,096 different values"),
    ],
)  # fmt: skip
def test_a_csv_file_that_cannot_be_evaluated_is_one_sentence(
    text: bytes, sentence: str, write_labels: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "table.csv").write_bytes(text)
    with pytest.raises(PredictionsError, match=sentence):
        evaluate_predictions(write_labels(["a"], gender=["male"]), tmp_path / "table.csv")


def test_text_that_is_not_utf8_is_one_sentence_in_parquet_too(
    write_labels: Callable[..., Path], tmp_path: Path
) -> None:
    bad = pa.array([b"m\xff", b"female"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"user_id": ["a", "b"], "gender": bad}), tmp_path / "bad.parquet")
    with pytest.raises(PredictionsError, match=r"bad\.parquet cannot be read as a table"):
        evaluate_predictions(write_labels(["a"], gender=["male"]), tmp_path / "bad.parquet")


def test_the_manifest_itself_is_no_set_of_predictions(manifest: Path) -> None:
    with pytest.raises(PredictionsError, match="is the manifest itself"):
        evaluate_predictions(manifest, manifest)


def test_baselines_need_the_record_of_predict(manifest: Path, ours: Path, tmp_path: Path) -> None:
    options = EvaluateOptions(baselines=PredictOptions())
    with pytest.raises(PredictionsError, match="`baselines` need; predict the manifest"):
        evaluate_predictions(manifest, by_polars(ours, tmp_path), options)


def test_a_report_of_foreign_predictions_is_complete(
    manifest: Path, ours: Path, tmp_path: Path
) -> None:
    found = evaluate_predictions(manifest, by_polars_as_csv(ours, tmp_path))
    page = write_evaluation(found, tmp_path).read_text()
    assert "A user without a class in the predictions" in page
