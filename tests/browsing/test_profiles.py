"""Profiles of any origin are shown: what they say is read, and what they must not say is not."""

import gzip
import json
import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.browsing.conftest import ALL, SCHEMA, write_profiles
from tests.browsing.tables import add_evidence, users_of
from tweetprofile.browsing.options import BrowseOptions
from tweetprofile.browsing.profile_rows import read_profile_rows
from tweetprofile.browsing.run import browse_profiles
from tweetprofile.data.files.provenance import METADATA_KEY, read_description
from tweetprofile.errors import (
    OptionError,
    PredictionsError,
)
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.workers.profiles import UserOutcome


def test_a_status_that_predict_does_not_write_is_not_shown(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    _, manifest = texts()
    ids = [f"user-{user:02}" for user in range(ALL)]
    columns = {"user_id": ids, "gender": ["female", "male"] * (ALL // 2)}
    odd = pl.DataFrame({**columns, "status": ["my name is Ada", "partial"] * (ALL // 2)})
    odd.write_parquet(tmp_path / "odd.parquet")
    options = BrowseOptions(anonymous=True)
    browse_profiles(tmp_path / "odd.parquet", manifest, tmp_path / "page", options)
    assert users_of(tmp_path / "page")["statuses"] == ["no_images", "partial"]


def test_profiles_of_a_manifest_whose_other_columns_vary_within_users(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts()
    long = pl.read_parquet(manifest).explode("texts").rename({"texts": "text"})
    long.with_columns(lang=pl.Series(["en", "es"] * ALL)).write_parquet(manifest)
    assert browse_profiles(profiles, manifest, tmp_path / "page").users == ALL
    pl.read_parquet(profiles).select("user_id", "gender").write_csv(tmp_path / "p.csv")
    assert browse_profiles(tmp_path / "p.csv", manifest, tmp_path / "other").users == ALL


def test_all_traits_of_another_program_are_shown_with_labels_or_without(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    ages, half = ["old", "young"], ALL // 2
    for number, labels in enumerate(({"lang": ["en"] * ALL}, {"gender": ["f", "m"] * half})):
        profiles, manifest = texts(**labels)
        columns = {
            "user_id": [f"user-{user:02}" for user in range(ALL)],
            "gender": ["f", "m"] * half,
        }
        pl.DataFrame({**columns, "age": ages * half}).write_parquet(profiles)
        browse_profiles(profiles, manifest, tmp_path / f"page-{number}")
        assert users_of(tmp_path / f"page-{number}")["traits"] == [
            ["gender", ["f", "m"]], ["age", ages],
        ]  # fmt: skip


def test_predictions_of_another_program_are_shown_without_probabilities(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    _, manifest = texts(gender=["female", "male", "other", None] * (ALL // 4))
    rows = "".join(f"user-{user:02},female\n" for user in range(ALL))
    (tmp_path / "other.csv").write_text(f"user_id,gender\n{rows}")
    browse_profiles(tmp_path / "other.csv", manifest, tmp_path / "page")
    found = users_of(tmp_path / "page")
    assert found["traits"] == [["gender", ["female", "male", "other"]]]
    assert found["truth"][0][:4] == [0, 1, 2, -1]
    assert found["confidence"] == [None]
    with pytest.raises(OptionError, match="`mistakes` needs probabilities"):
        options = BrowseOptions(mistakes=3)
        browse_profiles(tmp_path / "other.csv", manifest, tmp_path / "other", options)


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz"])
def test_csv_of_any_ending_is_shown_and_what_it_cannot_say_is_named(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path, ending: str
) -> None:
    profiles, manifest = texts()
    table = pl.read_parquet(profiles).select("user_id", "gender", "status", evidence=pl.lit("0: x"))
    with (gzip.open if ending.endswith("gz") else open)(tmp_path / f"p.{ending}", "wb") as file:
        file.write(table.write_csv(separator="\t" if ending == "tsv" else ",").encode())
    summary = browse_profiles(tmp_path / f"p.{ending}", manifest, tmp_path / "page")
    assert summary.notes == (
        "The profiles are CSV, so their columns status, evidence are not used: status and evidence "
        "are read from Parquet only.",
    )


def test_users_keep_their_evidence_wherever_their_profiles_are(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, _ = texts()
    add_evidence(profiles, SCHEMA, texts=[2] * ALL)
    rows = np.array([33, 2, 39, 0])
    read = read_profile_rows(Predictions.read(profiles), rows)
    bases = pq.read_table(profiles)["evidence_base"].to_pylist()
    for place, row in zip(read.rows, rows, strict=True):
        assert place.evidence is not None
        assert place.evidence.base == (bases[row]["gender"], bases[row]["place"])


def test_the_evidence_of_all_users_is_never_in_memory_at_once(tmp_path: Path) -> None:
    users, random = 160, np.random.default_rng(0)
    odds = {
        each.name: random.dirichlet(np.ones(len(each.classes)), users).astype(np.float32)
        for each in SCHEMA
    }
    outcomes = [UserOutcome(f"{user}", 1, 1, ()) for user in range(users)]
    write_profiles(tmp_path / "p.parquet", outcomes, odds)
    add_evidence(tmp_path / "p.parquet", SCHEMA, texts=[100] * users)
    predictions = Predictions.read(tmp_path / "p.parquet")
    tracemalloc.start()
    read_profile_rows(predictions, np.arange(users))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4_000_000


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("evidence", pa.array([["a"]] * ALL)),
        ("evidence", pa.array([[{"index": 1, "contributions": "much"}]] * ALL)),
        ("evidence", pa.array([[{"index": math.inf, "contributions": {"gender": 1.0}}]] * ALL)),
        ("text_evidence", pa.array([7] * ALL)),
        ("profile_evidence", pa.array([["name"]] * ALL)),
        ("profile_evidence", pa.array([[{"name": "much"}]] * ALL)),
        ("evidence_base", pa.array(["low"] * ALL)),
        ("image_errors", pa.array([[3]] * ALL)),
    ],
)
def test_a_damaged_column_is_one_sentence(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path, column: str, values: pa.Array
) -> None:
    profiles, manifest = texts()
    add_evidence(profiles, SCHEMA, texts=[2] * ALL)
    table, facts = pq.read_table(profiles), read_description(profiles)
    if column in table.column_names:
        table = table.drop_columns([column])
    table = table.append_column(column, values)
    metadata = {METADATA_KEY: json.dumps(facts)}
    pq.write_table(table.replace_schema_metadata(metadata), profiles)
    with pytest.raises(PredictionsError, match="has a damaged column of outcomes or evidence"):
        browse_profiles(profiles, manifest, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_columns_that_are_missing_are_no_error(
    texts: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    profiles, manifest = texts()
    table, facts = pq.read_table(profiles), read_description(profiles)
    table = table.drop_columns(["status", "image_errors", "images_given"])
    metadata = {METADATA_KEY: json.dumps(facts)}
    pq.write_table(table.replace_schema_metadata(metadata), profiles)
    assert browse_profiles(profiles, manifest, tmp_path / "page").users == ALL
