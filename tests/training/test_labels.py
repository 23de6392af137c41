"""Which traits a manifest has, which classes, and who is what."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tweetprofile.errors import ManifestError
from tweetprofile.manifest import Manifest
from tweetprofile.training.labels import UNKNOWN, check_labels, encode_labels, find_schema
from tweetprofile.traits import Trait, TraitSchema

MOOD = TraitSchema((Trait("mood", ("calm", "cross")),))


def labelled(tmp_path: Path, **columns: Any) -> Manifest:
    users = len(next(iter(columns.values())))
    basics = {"user_id": [f"u{n}" for n in range(users)], "images": [["a.jpg"]] * users}
    path = tmp_path / "labelled.parquet"
    pl.DataFrame(basics | columns).write_parquet(path)
    return Manifest.open(path)


def test_classes_are_those_found_in_alphabetical_order(tmp_path: Path) -> None:
    manifest = labelled(tmp_path, mood=["merry", "calm", None, "calm", "merry"])
    found = find_schema(manifest, "labels")
    assert found.schema == TraitSchema((Trait("mood", ("calm", "merry")),))
    assert found.left_out == {}


def test_columns_that_are_no_traits_are_left_out_with_the_reason(tmp_path: Path) -> None:
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
        "name": "has too many different values (6 in 6 labels)",
        "lang": "is always 'es'",
        "note": "has no labels",
    }


def test_a_manifest_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="has no label column to learn from; add"):
        find_schema(labelled(tmp_path, age=[1, 2]), "labels")
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


def test_labels_that_are_not_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="label column 'gender' is int64"):
        find_schema(labelled(tmp_path, gender=[0, 1]), "mex-a3t-2019")


def test_categorical_labels_are_text_too(tmp_path: Path) -> None:
    mood = pl.Series(["calm", "cross"] * 2, dtype=pl.Categorical)
    manifest = labelled(tmp_path, mood=mood)
    assert find_schema(manifest, "labels").schema == MOOD
    check_labels(manifest, MOOD)


def test_an_unknown_class_is_named_with_row_column_and_value(tmp_path: Path) -> None:
    manifest = labelled(tmp_path, mood=["calm", None, "crss"])
    with pytest.raises(ManifestError, match=r"row 2, column 'mood': 'crss' is no class"):
        check_labels(manifest, MOOD)


def test_a_trait_without_a_column_is_no_mistake(tmp_path: Path) -> None:
    check_labels(labelled(tmp_path, age=[1]), MOOD)


def test_labels_become_class_numbers_and_null_becomes_unknown(tmp_path: Path) -> None:
    manifest = labelled(tmp_path, mood=["cross", None, "calm"])
    (shard,) = manifest.shards(10, ["mood"])
    both = TraitSchema((*MOOD.traits, Trait("age", ("old", "young"))))
    expected = [[1, UNKNOWN], [UNKNOWN, UNKNOWN], [0, UNKNOWN]]
    assert np.array_equal(encode_labels(shard.table, both), expected)
