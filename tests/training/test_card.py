"""The model card says what a run came to, and what the model must not be used for."""

from dataclasses import replace
from pathlib import Path

import pytest

from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.training.card import CARD
from tweetprofile.training.run import train_manifest
from tweetprofile.training.settings import TrainOptions

QUICK = TrainOptions(
    schema="mex-a3t-2019", epochs=1, frame_size=16, batch_size=4, devices="cpu", val_fraction=0.25
)


@pytest.fixture
def manifest(dump: Path) -> Path:
    return dump / "train.parquet"


def test_a_card_stands_beside_the_checkpoint_with_its_own_figures(
    manifest: Path, tmp_path: Path
) -> None:
    summary = train_manifest(manifest, tmp_path / "run", QUICK)
    card = (tmp_path / "run" / CARD).read_text()
    assert card.startswith("# Model card: deepset, gender, location, occupation\n")
    for name, score in summary.best.scores.items():
        assert f"| {name} | {score.users} | {score.accuracy:.3f} | {score.majority:.3f} |" in card
    assert "Not for deciding anything about a person" in card
    assert f"{summary.users} users (recipe `default`), {summary.val_users} more set aside" in card


def test_the_card_of_two_networks_says_so(manifest: Path, tmp_path: Path) -> None:
    train_manifest(manifest, tmp_path / "run", replace(QUICK, epochs=2, members=2))
    card = (tmp_path / "run" / CARD).read_text()
    assert "The network deepset (the mean of 2, trained one after the other) takes up to" in card


def test_without_users_set_aside_the_card_says_that_nothing_was_measured(
    manifest: Path, tmp_path: Path
) -> None:
    train_manifest(manifest, tmp_path / "run", replace(QUICK, val_fraction=0.0))
    card = (tmp_path / "run" / CARD).read_text()
    assert "Not measured: no user was set aside." in card
    assert "| accuracy |" not in card


def test_flattered_figures_are_called_so_in_card_and_checkpoint(
    manifest: Path, tmp_path: Path
) -> None:
    summary = train_manifest(manifest, tmp_path / "run", replace(QUICK, val=str(manifest)))
    card = (tmp_path / "run" / CARD).read_text()
    assert "scores on them are flattered.**" in card
    for warning in load_checkpoint(summary.checkpoint).training["warnings"]:
        assert warning in card
