"""Traits and classes are data, and malformed ones are refused."""

from pathlib import Path

import pytest

from tweetprofile.errors import InputError, SchemaError
from tweetprofile.traits import PRESETS, Trait, TraitSchema, load_schema

GENDER = Trait("gender", ("female", "male"))


def test_the_preset_follows_the_result_table_of_the_paper() -> None:
    schema = load_schema("mex-a3t-2019")
    assert schema.names == ("gender", "location", "occupation")
    assert [len(trait.classes) for trait in schema] == [2, 6, 8]
    location = schema.to_dict()["location"]
    assert "west" in location
    assert "south" not in location


@pytest.mark.parametrize("schema", PRESETS.values(), ids=PRESETS.keys())
def test_a_schema_survives_a_round_trip_through_json(schema: TraitSchema) -> None:
    assert TraitSchema.from_dict(schema.to_dict()) == schema


def test_traits_and_classes_keep_the_order_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "schema.toml"
    file.write_text('[traits]\nmood = ["sad", "glad", "mad"]\nage = ["old", "young"]\n')
    assert load_schema(str(file)) == TraitSchema(
        (Trait("mood", ("sad", "glad", "mad")), Trait("age", ("old", "young")))
    )


@pytest.mark.parametrize(
    ("name", "classes", "message"),
    [
        ("two words", ("a", "b"), "'two words' cannot name a trait"),
        ("", ("a", "b"), "'' cannot name a trait"),
        ("user_id", ("a", "b"), "'user_id' cannot name a trait"),
        ("status", ("a", "b"), "'status' cannot name a trait"),
        ("gender", ("a",), "at least two"),
        ("gender", (), "at least two"),
        ("gender", ("a", "b", "a"), "class 'a' twice"),
    ],
)
def test_a_malformed_trait_is_refused(name: str, classes: tuple[str, ...], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Trait(name, classes)


@pytest.mark.parametrize(
    ("traits", "message"),
    [
        ((), "at least one trait"),
        ((GENDER, GENDER), "'gender' is in the schema twice"),
        ((GENDER, Trait("gender_confidence", ("a", "b"))), "'gender_confidence' has the name"),
        (
            (GENDER, Trait("gender_probabilities", ("a", "b"))),
            "'gender_probabilities' has the name",
        ),
    ],
)
def test_traits_that_would_share_a_column_are_refused(
    traits: tuple[Trait, ...], message: str
) -> None:
    with pytest.raises(SchemaError, match=message):
        TraitSchema(traits)


@pytest.mark.parametrize("data", [["gender"], {"gender": "female"}, {"gender": [1, 2]}])
def test_data_that_is_not_a_schema_is_refused(data: object) -> None:
    with pytest.raises(SchemaError, match="list of"):
        TraitSchema.from_dict(data)  # type: ignore[arg-type]


def test_an_unknown_schema_is_an_error_that_names_the_presets() -> None:
    with pytest.raises(SchemaError, match=r"'pan-19' is neither a preset \(mex-a3t-2019\) nor"):
        load_schema("pan-19")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[traits\n", "cannot be read as TOML"),
        (b"\xff\xfe", "cannot be read as TOML"),
        (b'gender = ["a", "b"]\n', r"no \[traits\] table"),
        (b'traits = ["gender"]\n', "must map each trait"),
        (b'[traits]\ngender = "a"\n', "'gender' must be a list of strings"),
    ],
)
def test_a_file_without_a_schema_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "schema.toml"
    file.write_bytes(content)
    with pytest.raises(SchemaError, match=message) as refusal:
        load_schema(str(file))
    assert isinstance(refusal.value, InputError)
