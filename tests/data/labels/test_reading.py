"""The traits of a manifest, their classes, and the class of each user."""

import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tweetprofile.data.labels.reading import (
    UNKNOWN,
    check_labels,
    encode_labels,
    find_schema,
    read_labels,
    read_user_ids,
)
from tweetprofile.data.labels.values import MOST_VALUES
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import ManifestError
from tweetprofile.traits import Trait, TraitSchema

MOOD = TraitSchema((Trait("mood", ("calm", "cross")),))


def labelled(tmp_path: Path, **columns: Any) -> Manifest:
    users = len(next(iter(columns.values()), [0, 1]))
    basics = {"user_id": [f"u{n}" for n in range(users)], "images": [["a.jpg"]] * users}
    path = tmp_path / "labelled.parquet"
    pl.DataFrame(basics | columns).write_parquet(path)
    return Manifest.open(path)


def test_classes_are_those_found_in_alphabetical_order(tmp_path: Path) -> None:
    manifest = labelled(tmp_path, mood=["merry", "calm", None, "calm", "merry"])
    found = find_schema(manifest, "labels")
    assert found.schema == TraitSchema((Trait("mood", ("calm", "merry")),))
    assert found.left_out == {}


def test_columns_that_are_not_traits_are_left_out_with_the_reason(tmp_path: Path) -> None:
    manifest = labelled(
        tmp_path,
        mood=["calm", "cross"] * 3,
        name=["ada", "bob", "cy", "di", "ed", "flo"],
        lang=["es"] * 6,
        note=pl.Series([None] * 6, dtype=pl.String),
        age=[1, 2, 3, 4, 5, 6],
    )
    found = find_schema(manifest, "labels")
    assert found.schema.names == ("mood",)
    assert found.left_out == {
        "name": "is a text of users' own profiles",
        "lang": "is always 'es'",
        "note": "has no labels",
        "age": "has too many different values (6 in 6 labels)",
    }


def test_a_manifest_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="has no label column to learn from; add"):
        find_schema(labelled(tmp_path), "labels")
    with pytest.raises(ManifestError, match=r"to learn from: 'age' holds floating-point numbers"):
        find_schema(labelled(tmp_path, age=[1.0, 2.0]), "labels")
    with pytest.raises(ManifestError, match="to learn from: 'mood' is always 'calm'"):
        find_schema(labelled(tmp_path, mood=["calm", "calm"]), "labels")


def test_traits_of_a_preset_without_labels_are_left_out(tmp_path: Path) -> None:
    found = find_schema(labelled(tmp_path, gender=["male", "female"]), "mex-a3t-2019")
    assert found.schema.names == ("gender",)
    assert found.left_out == {
        "location": "has no label column",
        "occupation": "has no label column",
    }


def test_a_preset_without_any_label_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no label column of the schema \(gender, location"):
        find_schema(labelled(tmp_path, mood=["calm", "cross"]), "mex-a3t-2019")


def test_labels_of_a_schema_that_cannot_be_classes_are_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(ManifestError, match="label column 'gender' is double"):
        find_schema(labelled(tmp_path, gender=[0.0, 1.0]), "mex-a3t-2019")
    with pytest.raises(ManifestError, match="'0' is not a class of the schema"):
        find_schema(labelled(tmp_path, gender=[0, 1]), "mex-a3t-2019")


def test_categorical_labels_are_text_too(tmp_path: Path) -> None:
    mood = pl.Series(["calm", "cross"] * 2, dtype=pl.Categorical)
    manifest = labelled(tmp_path, mood=mood)
    assert find_schema(manifest, "labels").schema == MOOD
    check_labels(manifest, MOOD)


def test_an_unknown_class_is_named_with_row_column_and_value(tmp_path: Path) -> None:
    manifest = labelled(tmp_path, mood=["calm", None, "crss"])
    with pytest.raises(ManifestError, match=r"row 2, column 'mood': 'crss' is not a class"):
        check_labels(manifest, MOOD)


def test_a_trait_without_a_column_is_not_an_error(tmp_path: Path) -> None:
    check_labels(labelled(tmp_path, age=[1]), MOOD)


def test_labels_become_class_numbers_and_null_becomes_unknown(tmp_path: Path) -> None:
    manifest = labelled(tmp_path, mood=["cross", None, "calm"])
    (shard,) = manifest.shards(10, ["mood"])
    both = TraitSchema((*MOOD.traits, Trait("age", ("old", "young"))))
    expected = [[1, UNKNOWN], [UNKNOWN, UNKNOWN], [0, UNKNOWN]]
    assert np.array_equal(encode_labels(shard.table, both), expected)


def test_words_for_missing_values_are_not_classes_and_are_counted(tmp_path: Path) -> None:
    mood = ["calm", "", "cross", " NaN ", "calm", "N/A", "cross", "None", "null", "calm", "cross"]
    found = find_schema(labelled(tmp_path, mood=mood), "labels")
    assert found.schema == MOOD
    assert found.notes == (
        "mood: 5 users without a label, because of values read as missing: "
        "'' 1, 'NaN' 1, 'N/A' 1, 'None' 1, 'null' 1",
    )


def test_spaces_around_a_label_are_removed_and_counted(tmp_path: Path) -> None:
    manifest = labelled(tmp_path, mood=["calm", "calm ", "\u00a0cross", "cross", "\ufeffcalm"])
    found = find_schema(manifest, "labels")
    assert found.schema == MOOD
    assert found.notes == ("mood: 3 users with spaces around the label, which were removed",)
    assert read_labels(manifest, MOOD)[:, 0].tolist() == [0, 0, 1, 1, 0]


def test_a_class_of_the_schema_is_a_class_even_if_it_usually_means_missing(tmp_path: Path) -> None:
    manifest = labelled(tmp_path, creed=["none", "some", "NA", None])
    schema = TraitSchema((Trait("creed", ("none", "some")),))
    (note,) = check_labels(manifest, schema)
    assert note == "creed: 1 user without a label, because of values read as missing: 'NA' 1"
    assert read_labels(manifest, schema)[:, 0].tolist() == [0, 1, UNKNOWN, UNKNOWN]


def test_whole_numbers_and_booleans_are_classes_and_a_note_says_so(tmp_path: Path) -> None:
    numbers = [10, 2, None, 2, 10]
    manifest = labelled(tmp_path, gender=numbers, bot=[True, False, None, True, False])
    found = find_schema(manifest, "labels")
    assert found.schema.to_dict() == {"gender": ["2", "10"], "bot": ["false", "true"]}
    assert found.notes == (
        "gender: whole numbers, read as the classes '2', '10'",
        "bot: true and false, read as the classes 'false', 'true'",
    )
    assert read_labels(manifest, found.schema).tolist() == [
        [1, 1], [0, 0], [UNKNOWN, UNKNOWN], [0, 1], [1, 0],
    ]  # fmt: skip


def test_every_column_that_is_not_a_trait_is_named_with_the_reason(tmp_path: Path) -> None:
    manifest = labelled(
        tmp_path,
        mood=["calm", "cross"] * 50,
        height=[1.5, 1.7] * 50,
        age=list(range(18, 43)) * 4,
        born=pl.Series([date(2000, 1, 1)] * 100),
        tags=[["a"]] * 100,
        place=[{"lat": 1}] * 100,
        photo=[b"x"] * 100,
        nothing=pl.Series([None] * 100, dtype=pl.Null),
        status=["ok", "not ok"] * 50,
        split=["train", "test"] * 50,
        **{"home town": ["a", "b"] * 50},
    )
    found = find_schema(manifest, "labels")
    assert found.schema.names == ("mood",)
    assert found.left_out == {
        "height": "holds floating-point numbers (double); write classes as text or whole numbers",
        "born": "holds a date or time (date32[day]); write classes as text or whole numbers",
        "tags": "holds a list (large_list<element: large_string>); write classes as text or "
        "whole numbers",
        "place": "holds nested values (struct<lat: int64>); write classes as text or whole numbers",
        "photo": "holds bytes (large_binary); write classes as text or whole numbers",
        "nothing": "has no labels: it is null throughout",
        "status": "has the name of a column of the manifest or of the predictions; rename it",
        "home town": "has a name that is not a word of letters, digits and underscores; rename it",
        "age": "has 25 different numbers, more than 20, like a count or an age; "
        "write classes as text",
        "split": "names the parts of a data set",
    }


def test_prose_is_left_out_without_being_held_in_memory(tmp_path: Path) -> None:
    users = 3 * MOST_VALUES
    bio = [f"words {number}" for number in range(users)]
    manifest = labelled(tmp_path, bio=bio, mood=["calm", "cross"] * (users // 2))
    assert find_schema(manifest, "labels").left_out == {
        "bio": "has too many different values (more than 4,096)"
    }
    bios = TraitSchema((Trait("bio", ("words 0", "words 1")),))
    with pytest.raises(ManifestError, match="row 2, column 'bio': 'words 2' is not a class"):
        check_labels(manifest, bios)


def long_form(tmp_path: Path, *rows: tuple[str, str | None]) -> Manifest:
    ids, moods = zip(*rows, strict=True)
    path = tmp_path / "long.parquet"
    frame = pl.DataFrame({"user_id": ids, "image": ["a.jpg"] * len(rows), "mood": moods})
    frame.write_parquet(path, row_group_size=2)
    return Manifest.open(path)


def test_a_label_may_be_in_any_row_of_a_user_and_counts_once(tmp_path: Path) -> None:
    manifest = long_form(
        tmp_path, ("a", None), ("a", "calm "), ("a", "calm"), ("b", "cross"), ("c", "nan"),
        ("c", None), ("d", "cross"), ("d", None), ("d", ""), ("e", "calm"),
    )  # fmt: skip
    found = find_schema(manifest, "labels")
    assert found.schema == MOOD
    assert read_user_ids(manifest).to_list() == ["a", "b", "c", "d", "e"]
    assert read_labels(manifest, MOOD)[:, 0].tolist() == [0, 1, UNKNOWN, 1, 0]
    assert check_labels(manifest, MOOD) == (
        "mood: 1 user without a label, because of values read as missing: 'nan' 1",
    )


def test_rows_of_a_user_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    manifest = long_form(tmp_path, ("a", "calm"), ("b", "calm"), ("b", None), ("b", "cross"))
    said = r"user 'b' has the labels 'calm' and 'cross' for mood; keep the right one"
    for refused in (
        lambda: find_schema(manifest, "labels"),
        lambda: check_labels(manifest, MOOD),
        lambda: read_labels(manifest, MOOD),
    ):
        with pytest.raises(ManifestError, match=said):
            refused()


def test_a_user_who_occurs_twice_with_different_labels_is_refused(tmp_path: Path) -> None:
    manifest = labelled(
        tmp_path, user_id=["a", "b", "a", "b"], mood=["calm", None, "cross", "calm"]
    )
    with pytest.raises(ManifestError, match="user 'a' has the labels 'calm' and 'cross' for mood"):
        check_labels(manifest, MOOD)


def test_a_user_of_the_long_form_whose_label_is_not_a_class_is_named(tmp_path: Path) -> None:
    manifest = long_form(tmp_path, ("a", "calm"), ("a", None), ("b", "Cross"))
    said = r"user 'b', column 'mood': 'Cross' is not a class of the schema \(calm, cross\), but"
    with pytest.raises(ManifestError, match=f"{said} resembles 'cross'"):
        check_labels(manifest, MOOD)


@pytest.mark.slow
def test_the_labels_of_a_million_users_are_read_in_seconds(tmp_path: Path) -> None:
    users = 999_999
    manifest = labelled(tmp_path, mood=["calm", "cross", None] * (users // 3))
    began = time.process_time()
    found = find_schema(manifest, "labels")
    check_labels(manifest, found.schema)
    assert len(read_labels(manifest, found.schema)) == users
    assert time.process_time() - began < 6
