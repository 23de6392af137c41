"""Schemas, TOML files, epochs and profiles of any content are used, or refused in one sentence."""

import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tweetprofile.cli import main
from tweetprofile.data.files.provenance import METADATA_KEY
from tweetprofile.data.labels.reading import find_schema
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import OptionError, PredictionsError, SchemaError
from tweetprofile.evaluation.evaluate import evaluate_predictions
from tweetprofile.evaluation.report import read_epochs
from tweetprofile.traits import Trait, TraitSchema, load_schema

AB = ["a", "b"]


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ({f"t{number}": AB for number in range(100_000)}, "can have at most 1,000 traits"),
        (
            {"t": [str(number) for number in range(100_000)]},
            "100,000 classes, but can have at most 1,000",
        ),
        ({"t" * 300: AB}, "more than 100 bytes; rename it"),
        ({"t": ["a", "x" * 300]}, "300 characters, more than 256; shorten it"),
        ({"t": ["a", "\ud800"]}, "which is not UTF-8; rename it"),
    ],
)
def test_a_schema_beyond_the_limits_is_refused_at_once(schema: Any, sentence: str) -> None:
    began = time.process_time()
    with pytest.raises(SchemaError, match=sentence) as refusal:
        TraitSchema.from_dict(schema)
    assert time.process_time() - began < 1
    assert len(str(refusal.value)) < 300


def test_the_largest_schema_is_built_quickly() -> None:
    began = time.process_time()
    classes = tuple(str(number) for number in range(1_000))
    TraitSchema(tuple(Trait(f"t{number}", classes) for number in range(1_000)))
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "content",
    ["a." * 32_000 + "a = 1", "a = " + "[" * 60_000, "a = " + "1" * 60_000, "x" * (1 << 20),
     "[traits]\ngender = 5", "[traits.a.b]\nc = 1", "a = " + "{a=" * 20_000],
)  # fmt: skip
def test_toml_of_any_content_is_refused_at_once(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "schema.toml"
    file.write_text(content)
    began = time.process_time()
    with pytest.raises(SchemaError) as refusal:
        load_schema(str(file))
    assert time.process_time() - began < 2
    assert "\n" not in str(refusal.value)
    assert main(["train", "m.parquet", "-o", str(tmp_path / "run"), "--config", str(file)]) == 2
    assert "fault of tweetprofile" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    ['["epoch", "loss", "scores"]', '{"epoch": "x", "loss": 1, "scores": {}}', "[" * 100_000, "5",
     '{"epoch": 1, "loss": null, "scores": {}}', '{"epoch": 1, "loss": 1, "scores": {"a": 1}}',
     '{"epoch": 1, "loss": 1, "val_loss": [], "scores": {}}', "1" * 10_000],
)  # fmt: skip
def test_epochs_of_other_types_are_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(line + "\n")
    with pytest.raises(OptionError, match=r"metrics\.jsonl cannot be read"):
        read_epochs(tmp_path)


def put_manifest(path: Path, **labels: list[str]) -> Path:
    count = len(next(iter(labels.values())))
    images = pa.array([[]] * count, pa.list_(pa.string()))
    pq.write_table(
        pa.table({"user_id": [str(n) for n in range(count)], "images": images} | labels), path
    )
    return path


def put_profiles(path: Path, facts: Any, **columns: Any) -> Path:
    sure = pa.array([{"a": 1.0, "b": 0.0}], pa.struct([("a", pa.float32()), ("b", pa.float32())]))
    usual = {"user_id": ["0"], "frames_used": [11], "place": ["a"], "place_probabilities": sure}
    table = pa.table(
        {name: value for name, value in (usual | columns).items() if value is not None}
    )
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: facts}), path)
    return path


FACTS = json.dumps({"schema": {"place": AB}})
NAN = pa.array([{"a": np.nan, "b": 0.0}], pa.struct([("a", pa.float32()), ("b", pa.float32())]))


@pytest.mark.parametrize(
    ("facts", "columns"),
    [
        ("[]", {}), ("5", {}), ("[" * 100_000, {}), ('{"schema": 5}', {}), ("{", {}), ("null", {}),
        (FACTS, {"frames_used": ["x"]}), (FACTS, {"frames_used": pa.array([None], pa.int32())}),
        (FACTS, {"user_id": [1.5]}), (FACTS, {"user_id": [None]}), (FACTS, {"place": [1]}),
        (FACTS, {"place_probabilities": [1.0]}), (FACTS, {"place_probabilities": NAN}),
        (FACTS, {"place_probabilities": None}), (FACTS, {"user_id": ["x" * 20_000]}),
        (FACTS, {"place_probabilities": [{"a": "x", "b": "y"}]}),
        (FACTS, {"user_id": pa.array([b"\xff"]).view(pa.string())}),
    ],
)  # fmt: skip
def test_profiles_of_other_types_are_refused(facts: str, columns: Any, tmp_path: Path) -> None:
    manifest = put_manifest(tmp_path / "m.parquet", place=["a"])
    with pytest.raises(PredictionsError) as refusal:
        evaluate_predictions(manifest, put_profiles(tmp_path / "out.parquet", facts, **columns))
    assert "\n" not in str(refusal.value)


def test_the_description_of_profiles_is_text_or_refused(tmp_path: Path) -> None:
    manifest = put_manifest(tmp_path / "m.parquet", place=["a"])
    facts = json.dumps(json.loads(FACTS) | {"network": [], "checkpoint_sha256": 5, "version": "1"})
    with pytest.raises(PredictionsError, match=r"description\.network is a list and must be text"):
        evaluate_predictions(manifest, put_profiles(tmp_path / "out.parquet", facts))


def test_profiles_that_claim_more_rows_than_their_bytes_can_hold_are_refused(
    tmp_path: Path,
) -> None:
    rows = 20_000_000
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array(["x"]))
    table = pa.table({"user_id": same, "place": pa.nulls(rows, pa.string())})
    table = table.replace_schema_metadata({METADATA_KEY: FACTS})
    pq.write_table(table, tmp_path / "out.parquet", compression="zstd")
    manifest = put_manifest(tmp_path / "m.parquet", place=["a"])
    with pytest.raises(PredictionsError, match=r"claims 20,000,000 rows in [0-9,]+ bytes"):
        evaluate_predictions(manifest, tmp_path / "out.parquet")


@pytest.mark.parametrize("rounds", [20, pytest.param(1_000, marks=pytest.mark.slow)])
def test_profiles_with_flipped_bits_are_evaluated_or_refused(rounds: int, tmp_path: Path) -> None:
    chance = random.Random(rounds)
    manifest = put_manifest(tmp_path / "m.parquet", place=["a"])
    whole = put_profiles(tmp_path / "out.parquet", FACTS).read_bytes()
    for _ in range(rounds):
        flipped = bytearray(whole)
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        (tmp_path / "out.parquet").write_bytes(flipped)
        try:
            evaluate_predictions(manifest, tmp_path / "out.parquet")
        except PredictionsError as error:
            assert "\n" not in str(error)


def test_a_column_with_long_class_names_is_left_out_with_the_reason(tmp_path: Path) -> None:
    manifest = put_manifest(
        tmp_path / "m.parquet", bio=["x" * 300, "y"] * 2, place=["a", "b", "a", "b"]
    )
    found = find_schema(Manifest.open(manifest), "labels")
    assert found.schema.names == ("place",)
    assert found.left_out == {
        "bio": "has a class that has 300 characters, more than 256; shorten it"
    }
