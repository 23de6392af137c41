"""`keep_vocabulary` writes the words that speak for each class, and no words of single users."""

import csv
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from tests.text_users import labelled_texts
from tweetprofile.checkpoints.choice import MODEL_FILE
from tweetprofile.errors import OptionError, OutputError
from tweetprofile.training.folder import VOCABULARY
from tweetprofile.training.run import train_manifest
from tweetprofile.training.settings import TrainOptions


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    manifest = labelled_texts(folder / "users.parquet", 60)
    users = pl.read_parquet(manifest)
    # The first four women are the only users of a word.
    secret = [
        [*texts, "mi calle es zxqvjk"] if row < 8 and row % 2 == 0 else texts
        for row, texts in enumerate(users["texts"].to_list())
    ]
    users.with_columns(pl.Series("texts", secret)).write_parquet(manifest)
    train_manifest(manifest, folder / "run", options(folder, keep_vocabulary=True))
    return folder / "run"


def options(folder: Path, **changes: bool) -> TrainOptions:
    return TrainOptions(cache=str(folder / "cache"), devices="cpu", **changes)  # type: ignore[arg-type]


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / VOCABULARY).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_telling_words_lead_their_classes(run: Path) -> None:
    rows = [row for row in rows_of(run) if row["kind"] == "word"]
    first = {row["class"]: row["ngram"] for row in reversed(rows)}
    assert first == {"female": "lira", "male": "tambor"}
    assert all(float(row["weight"]) > 0 and int(row["users"]) >= 5 for row in rows)
    kinds = {row["kind"] for row in rows_of(run)}
    assert kinds == {"word", "2 words", "3 to 5 characters"}


def test_at_most_a_hundred_of_a_kind_are_written_per_class(run: Path) -> None:
    per_class = Counter((row["class"], row["kind"]) for row in rows_of(run))
    assert max(per_class.values()) == 100  # there are more runs of characters than that


def test_words_of_few_users_are_left_out_and_the_model_has_none(run: Path) -> None:
    assert not [row for row in rows_of(run) if "zxq" in row["ngram"]]
    assert b"lira" not in (run / MODEL_FILE).read_bytes()


def test_a_later_run_replaces_the_vocabulary_and_never_a_foreign_file(
    run: Path, tmp_path: Path
) -> None:
    manifest = run.parent / "users.parquet"
    other = tmp_path / "run"
    other.mkdir()
    (other / VOCABULARY).write_text("my,own,table\n")
    with pytest.raises(OutputError, match=r"vocabulary\.csv"):
        train_manifest(manifest, other, options(run.parent, keep_vocabulary=True))
    assert (other / VOCABULARY).read_text() == "my,own,table\n"
    (other / VOCABULARY).write_bytes((run / VOCABULARY).read_bytes())
    train_manifest(manifest, other, options(run.parent), overwrite=True)
    assert not (other / VOCABULARY).exists()


def test_models_of_images_have_no_vocabulary(tmp_path: Path) -> None:
    rows = {"user_id": ["a", "b"], "images": [["a.jpg"], ["b.jpg"]], "gender": ["female", "male"]}
    pl.DataFrame(rows).write_parquet(tmp_path / "users.parquet")
    wanted = TrainOptions(keep_vocabulary=True, devices="cpu")
    with pytest.raises(OptionError, match="`keep_vocabulary` is for models that read texts"):
        train_manifest(tmp_path / "users.parquet", tmp_path / "run", wanted)
