"""Held-out users are scored as new users would be: no image of theirs is learnt from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.checkpoints.fingerprints import read_training_fingerprint
from tweetprofile.data.images.digests import user_digest
from tweetprofile.errors import TrainingError
from tweetprofile.training.cache import FrameCache, Subset
from tweetprofile.training.card import CARD
from tweetprofile.training.holdout import hold_out, warn_of_few_users
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.run import train_manifest
from tweetprofile.training.settings import TrainOptions
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.workers.profiles import Counts

SCHEMA = TraitSchema((Trait("gender", ("female", "male")),))


def users_of(images: list[list[int]]) -> Subset:
    """Return users with images of these hashes, half of them of each class."""
    counts = np.array(list(map(len, images)))
    hashes = np.array([image for each in images for image in each], np.uint64)
    frames = np.zeros((len(hashes), 2, 2, 3), np.uint8)
    starts = np.cumsum([0, *counts])[:-1]
    cache = FrameCache(
        path=Path(),
        items_M=frames,
        starts=starts,
        counts=counts,
        hashes=hashes,
        digests=hashes,
        outcome=Counts(),
    )
    labels = np.arange(len(images))[:, None] % 2
    return Subset(cache, np.arange(len(images)), labels)


def test_no_image_of_held_out_users_is_learnt_from() -> None:
    random = np.random.default_rng(0)
    users = users_of([random.choice(300, 10, replace=False).tolist() for _ in range(100)])
    parts = hold_out(users, 0.1, seed=0)
    assert len(parts.val) == 10
    assert not np.intersect1d(parts.train.hashes, parts.val.hashes).size
    assert len(parts.val.hashes) == 100, "held-out users keep all of their images"
    assert 0 < parts.images <= 88


def test_users_without_an_image_of_their_own_are_left_out() -> None:
    users = users_of([[1], [1], [2, 3], [4, 5], [6], [7], [8], [9], [10], [11]])
    seeds = [hold_out(users, 0.2, seed) for seed in range(20)]
    split = [parts for parts in seeds if len(np.intersect1d(parts.val.users, [0, 1])) == 1]
    assert split
    for parts in split:
        assert (parts.images, parts.affected, parts.dropped) == (1, 1, 1)
        assert len(parts.train) + len(parts.val) == 9
        assert parts.note is not None
        assert "1 of these users has no other images and is left out" in parts.note


def test_users_who_share_no_image_are_divided_without_a_note() -> None:
    parts = hold_out(users_of([[number] for number in range(20)]), 0.1, seed=0)
    assert (parts.note, len(parts.train), len(parts.val)) == (None, 18, 2)


def test_users_who_all_have_the_same_image_cannot_be_held_out() -> None:
    with pytest.raises(TrainingError, match="every image of the training users"):
        hold_out(users_of([[7]] * 20), 0.1, seed=0)


def test_a_warning_of_few_held_out_users_says_how_many_it_takes() -> None:
    parts = hold_out(users_of([[number] for number in range(60)]), 0.1, seed=0)
    (warning,) = warn_of_few_users(SCHEMA, 60, parts.val, 0.1)
    assert "few held-out users have a label (gender 6)" in warning
    assert "about 300 users in all; there are 60. Pass `folds=5`" in warning
    many = hold_out(users_of([[number] for number in range(300)]), 0.1, seed=0)
    assert warn_of_few_users(SCHEMA, 300, many.val, 0.1) == []


class Told(TrainObserver):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def on_note(self, sentence: str) -> None:
        self.notes.append(sentence)


def test_a_run_reports_shared_images_and_records_the_users_it_was_trained_on(
    dump: Path, tmp_path: Path
) -> None:
    manifest = dump / "train.parquet"
    frame = pl.read_parquet(manifest)
    shared = frame["images"].list.first().drop_nulls()[0]
    frame = frame.with_columns(pl.col("images").list.concat(pl.lit(shared)))
    frame.write_parquet(manifest)
    told = Told()
    options = TrainOptions(
        schema="mex-a3t-2019", epochs=1, frame_size=16, batch_size=4, devices="cpu",
        val_fraction=0.25,
    )  # fmt: skip
    summary = train_manifest(manifest, tmp_path / "run", replace(options), told)
    advice, note = told.notes
    assert "`backbone=" in advice
    assert "users have 1 image in common with held-out users" in note
    assert note in (tmp_path / "run" / CARD).read_text()
    training = load_checkpoint(summary.checkpoint).training
    trained_on = read_training_fingerprint(training["seen"], "it")
    ids = np.array([user_digest(each) for each in frame["user_id"]], np.uint64)
    assert trained_on.users.overlap(ids).seen == summary.users + summary.val_users
    assert (training["run"], training["manifest"]) == ("run", "train.parquet")
