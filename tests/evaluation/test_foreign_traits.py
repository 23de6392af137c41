"""Which columns of foreign predictions are traits."""

from pathlib import Path

import polars as pl

from tests.evaluation.rewriting import TRAITS, by_our_flat_csv, by_polars, by_polars_as_csv
from tweetprofile.evaluation.evaluate import evaluate_predictions
from tweetprofile.evaluation.predictions import Predictions


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
