"""Labels and predictions are matched by user, and no user is dropped silently."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.data.files.provenance import METADATA_KEY
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import InputError, ManifestError, PredictionsError
from tweetprofile.evaluation.evaluate import compare_predictions, evaluate_predictions
from tweetprofile.evaluation.matching import NO_GUESS, MatchedUsers, match_users
from tweetprofile.evaluation.predictions import Predictions


def match(labels: Path, predictions: Path) -> MatchedUsers:
    return match_users(Manifest.open(labels), Predictions.read(predictions))


def test_users_are_matched_by_id_whatever_their_order(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    labels = write_labels(["a", "b", "c"], gender=["female", "male", "male"])
    out = write_predictions(["c", "a", "b"], gender=[1, 0, 0])
    (gender,) = match(labels, out).traits
    assert gender.right.tolist() == [True, False, True]
    assert gender.confidence.tolist() == pytest.approx([0.9] * 3)


def test_ids_match_whether_they_are_numbers_or_text(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    labels = write_labels([1, 2], gender=["female", "male"])
    out = write_predictions(["2", "1"], gender=[1, 0])
    (gender,) = match(labels, out).traits
    assert gender.right.all()


def test_unmatched_users_are_named_and_those_with_labels_count_as_wrong(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    labels = write_labels(["a", "b"], gender=["female", "male"])
    out = write_predictions(["a", "z"], gender=[0, 0])
    matched = match(labels, out)
    assert (matched.only_in_manifest, matched.only_in_predictions) == (("b",), ("z",))
    assert matched.traits[0].guess_N.tolist() == [0, NO_GUESS]


def test_a_user_without_a_usable_image_has_no_prediction(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    labels = write_labels(["a", "b"], gender=["female", "male"])
    out = write_predictions(["a", "b"], frames=[11, 0], gender=[0, 1])
    (gender,) = match(labels, out).traits
    assert gender.guess_N.tolist() == [0, NO_GUESS]
    assert gender.confidence.tolist() == pytest.approx([0.9, 0.0])


def test_a_null_label_excludes_a_user_from_that_trait_only(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    labels = write_labels(["a", "b"], gender=[None, "male"], place=["west", "north"])
    out = write_predictions(["a", "b"], gender=[0, 1], place=[2, 0])
    gender, place = match(labels, out).traits
    assert (gender.rows_N.tolist(), place.rows_N.tolist()) == ([1], [0, 1])


def test_with_empty_predictions_every_user_counts_as_wrong(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    matched = match(write_labels(["a"], gender=["male"]), write_predictions([]))
    assert matched.only_in_manifest == ("a",)
    assert matched.traits[0].guess_N.tolist() == [NO_GUESS]


def test_predictions_of_other_users_are_refused(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    labels = write_labels(["a", "b"], gender=["female", "male"])
    out = write_predictions(["y", "z"], gender=[0, 1])
    with pytest.raises(PredictionsError, match=r"has no user of .*; pass the predictions of these"):
        match(labels, out)


def test_a_folder_of_shards_is_read_as_one(
    tmp_path: Path, write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    (tmp_path / "out").mkdir()
    for number, user in enumerate("ab"):
        write_predictions([user], name=f"out/part-{number:05}.parquet", gender=[number])
    labels = write_labels(["a", "b"], gender=["female", "male"])
    assert match(labels, tmp_path / "out").traits[0].right.all()


def test_users_that_occur_twice_are_matched_only_in_the_order_of_the_manifest(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    labels = write_labels(["a", "a"], gender=["male", "male"])
    same = write_predictions(["a", "a"], gender=[0, 1])
    assert match(labels, same).traits[0].right.tolist() == [False, True]
    other = write_predictions(["a", "b"], gender=[0, 1])
    with pytest.raises(PredictionsError, match="user 'a' occurs twice in the manifest"):
        match(labels, other)


def test_a_user_with_two_contradicting_labels_is_refused(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    labels = write_labels(["a", "a"], gender=["female", "male"])
    with pytest.raises(ManifestError, match="user 'a' has the labels 'female' and 'male'"):
        match(labels, write_predictions(["a", "a"], gender=[0, 1]))


def test_files_without_predictions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("gender,male")
    with pytest.raises(PredictionsError, match=r"none\.parquet does not exist"):
        Predictions.read(tmp_path / "none.parquet")
    with pytest.raises(PredictionsError, match="does not contain profiles written by"):
        Predictions.read(tmp_path / "text.parquet")


@pytest.mark.parametrize(
    ("labels", "error", "sentence"),
    [
        ({}, PredictionsError, "no label column for any trait of .* that has labels of these"),
        ({"gender": [None]}, ManifestError, "has no label for any user"),
        ({"gender": ["robot"]}, ManifestError, "row 0, column 'gender': 'robot' is not a class"),
    ],
)
def test_a_manifest_without_usable_labels_is_refused(
    labels: dict[str, list[str | None]],
    error: type[InputError],
    sentence: str,
    write_labels: Callable[..., Path],
    write_predictions: Callable[..., Path],
) -> None:
    with pytest.raises(error, match=sentence):
        match(write_labels(["a"], **labels), write_predictions(["a"]))


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "null",
        "[" * 5000,
        '{"schema": []}',
        '{"schema": {"gender": "female"}}',
        '{"schema": {"gender": ["female", "male"]}, "network": 1}',
        '{"schema": {"gender": ["female", "male"]}, "checkpoint_sha256": [1]}',
        '{"schema": {"gender": ["female", "robot"]}}',
        '{"schema": {"age": ["young", "old"]}}',
        '{"schema": {"gender": ["female", "male"], "gender": ["female", "male"]}}',
    ],
)
def test_a_malformed_description_is_refused(
    write_predictions: Callable[..., Path], text: str
) -> None:
    out = write_predictions(["a"], gender=[0])
    table = pq.read_table(out)
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: text}), out)
    with pytest.raises(
        PredictionsError, match="does not contain profiles written by 'tweetprofile predict'"
    ):
        Predictions.read(out)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.5])
def test_values_that_are_not_probabilities_are_refused(
    write_predictions: Callable[..., Path], value: float
) -> None:
    out = write_predictions(["a"], gender=[0])
    table = pq.read_table(out)
    kind = table["gender_probabilities"].type
    wrong = pa.array([{"female": value, "male": 0.5}], kind)
    position = table.schema.get_field_index("gender_probabilities")
    pq.write_table(table.set_column(position, "gender_probabilities", wrong), out)
    with pytest.raises(PredictionsError, match="probabilities of gender are not from 0 to 1"):
        Predictions.read(out)


def test_columns_of_other_types_are_refused(write_predictions: Callable[..., Path]) -> None:
    out = write_predictions(["a"], gender=[0])
    table = pq.read_table(out)
    for name, values in (("frames_used", ["many"]), ("gender_probabilities", [0.5])):
        position = table.schema.get_field_index(name)
        pq.write_table(table.set_column(position, name, pa.array(values)), out)
        with pytest.raises(PredictionsError, match=f"column '{name}' is"):
            Predictions.read(out)


def test_users_who_would_count_twice_are_refused(
    write_labels: Callable[..., Path], write_predictions: Callable[..., Path]
) -> None:
    labels = write_labels(["ada", "bob", "ada"], gender=["female", "male", "male"])
    predictions = write_predictions(["ada", "bob", "ada"], gender=[0, 1, 1])
    with pytest.raises(ManifestError, match="user 'ada' occurs in rows 0 and 2; keep one row"):
        evaluate_predictions(labels, predictions)
    with pytest.raises(ManifestError, match="user 'ada' occurs in rows 0 and 2; keep one row"):
        compare_predictions(labels, [predictions, predictions])
