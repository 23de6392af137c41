"""The choice of a head: by cross-validation, among those that suit the traits."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import save_file

from tests.workers.backbones import TINY, make_backbone
from tweetprofile.errors import OptionError
from tweetprofile.training.head_choice import HeadChoice
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.run import train_manifest
from tweetprofile.training.settings import TrainOptions


class Notes(TrainObserver):
    """Records the notes of a training."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def on_note(self, sentence: str) -> None:
        self.notes.append(sentence)


def add_towns(dump: Path, tmp_path: Path) -> Path:
    """Return a manifest of users whose traits have 2 x 6 x 8 x 11 = 1,056 combinations."""
    users = pl.read_parquet(dump / "train.parquet")
    towns = [f"town {row % 11}" for row in range(len(users))]
    path = dump / f"{tmp_path.name}.parquet"
    users.with_columns(town=pl.Series(towns)).write_parquet(path)
    return path


@pytest.fixture
def options(tmp_path: Path) -> TrainOptions:
    """Return the options of a short training over the tiny backbone."""
    weights = tmp_path / "tiny.safetensors"
    save_file(dict(make_backbone().state), weights)
    return TrainOptions(
        backbone=TINY, weights=str(weights), epochs=2, members=1, frame_size=32, devices="cpu",
        cache=str(tmp_path / "cache"),
    )  # fmt: skip


def test_topics_are_refused_before_an_image_is_read_if_traits_have_too_many_combinations(
    medium_dump: Path, tmp_path: Path, options: TrainOptions
) -> None:
    with_towns = add_towns(medium_dump, tmp_path)
    with pytest.raises(OptionError, match=r"these traits have 1,056, more than 1,024"):
        train_manifest(with_towns, tmp_path / "run", replace(options, head="topics"))
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_heads_that_do_not_suit_the_traits_are_not_compared(
    large_dump: Path, tmp_path: Path, options: TrainOptions
) -> None:
    observer = Notes()
    train_manifest(add_towns(large_dump, tmp_path), tmp_path / "run", options, observer)
    (note,) = [each for each in observer.notes if each.startswith("the head is")]
    assert "topics 0." not in note
    assert note.endswith(
        "; 'topics' was not compared, since the traits have 1,056 combinations of classes, more "
        "than 1,024."
    )


def test_the_note_names_the_scores_of_all_heads() -> None:
    choice = HeadChoice("topics", {"sum": 0.751, "topics": 0.8})
    assert choice.note == (
        "the head is 'topics', the best in a cross-validation on the training users (mean "
        "macro-F1: sum 0.751, topics 0.800)."
    )
