"""The model card gives the scores of the run, and what the model must not be used for."""

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


def test_the_card_gives_the_scores_of_the_run(manifest: Path, tmp_path: Path) -> None:
    summary = train_manifest(manifest, tmp_path / "run", QUICK)
    card = (tmp_path / "run" / CARD).read_text()
    assert card.startswith("# Model card: deepset, gender, location, occupation\n")
    for name, score in summary.best.scores.items():
        assert f"| {name} | {score.users} | {score.accuracy:.3f} | {score.majority:.3f} |" in card
    assert "Do not use it to decide anything about a person" in card
    assert f"{summary.users} users (recipe `default`). A further {summary.val_users} users" in card


def test_the_card_mentions_that_the_model_has_two_members_and_the_detail_of_its_frames(
    manifest: Path, tmp_path: Path
) -> None:
    options = replace(QUICK, epochs=2, members=2, detail="full")
    summary = train_manifest(manifest, tmp_path / "run", options)
    card = (tmp_path / "run" / CARD).read_text()
    assert "The network deepset (the mean of 2, trained one after the other) takes up to" in card
    assert "Images were decoded with the detail `full`." in card
    assert load_checkpoint(summary.checkpoint).volume_spec.detail == "full"


def test_without_held_out_users_the_card_says_that_nothing_was_measured(
    manifest: Path, tmp_path: Path
) -> None:
    train_manifest(manifest, tmp_path / "run", replace(QUICK, val_fraction=0.0))
    card = (tmp_path / "run" / CARD).read_text()
    assert "Not measured: no users were held out." in card
    assert "| accuracy |" not in card


def test_card_and_checkpoint_warn_of_flattered_scores(manifest: Path, tmp_path: Path) -> None:
    summary = train_manifest(manifest, tmp_path / "run", replace(QUICK, val=str(manifest)))
    card = (tmp_path / "run" / CARD).read_text()
    assert "their scores are flattered.**" in card
    for warning in load_checkpoint(summary.checkpoint).training["warnings"]:
        assert warning in card
