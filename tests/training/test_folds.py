"""Cross-validation tests each user once, with a network that saw neither them nor their images."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.cli import main
from tweetprofile.errors import OptionError, OutputError
from tweetprofile.scoring.traits import TraitScore
from tweetprofile.scoring.uncertainty import wilson_interval
from tweetprofile.training.cache import FrameCache, Subset
from tweetprofile.training.card import CARD
from tweetprofile.training.folds import FOLDS, make_folds, read_folds, summarise, write_folds
from tweetprofile.training.holdout import hold_out
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.run import train_manifest
from tweetprofile.training.settings import TrainOptions
from tweetprofile.workers.profiles import Counts

QUICK = TrainOptions(
    schema="mex-a3t-2019", epochs=1, frame_size=16, batch_size=4, devices="cpu", val_fraction=0.2,
    folds=2,
)  # fmt: skip


@pytest.fixture
def sharers() -> Subset:
    """60 users who share many of their images."""
    random = np.random.default_rng(0)
    counts = random.integers(1, 6, 60)
    hashes = random.integers(0, 80, counts.sum()).astype(np.uint64)
    frames = np.zeros((len(hashes), 2, 2, 3), np.uint8)
    cache = FrameCache(
        path=Path(),
        items_M=frames,
        starts=np.cumsum([0, *counts])[:-1],
        counts=counts,
        hashes=hashes,
        digests=hashes,
        outcome=Counts(),
    )
    return Subset(cache, np.arange(60), random.integers(0, 2, (60, 1)))


def test_no_fold_tests_on_an_image_that_it_learns_from(sharers: Subset) -> None:
    tested = []
    for rest, test in make_folds(sharers, 5, seed=0):
        assert not np.intersect1d(rest.hashes, test.hashes).size
        assert not np.intersect1d(rest.users, test.users).size
        assert 10 <= len(test) <= 14
        tested += test.users.tolist()
    assert sorted(tested) == list(range(60))


def test_images_of_tested_users_stay_out_when_other_users_are_held_out(sharers: Subset) -> None:
    for rest, test in make_folds(sharers, 5, seed=0):
        learnt_from = hold_out(rest, 0.2, seed=0)
        assert learnt_from.images, "the held-out users share images with others"
        assert not np.intersect1d(learnt_from.train.hashes, test.hashes).size


def test_means_over_folds_are_weighted_by_users() -> None:
    folds = [
        {"gender": TraitScore(0.5, 0.4, 0.5, 10)},
        {"gender": TraitScore(0.8, 0.6, 0.5, 20)},
    ]
    summary = summarise(folds)["gender"]
    assert summary.accuracy == pytest.approx(0.7)
    assert summary.accuracy_spread == pytest.approx(np.std([0.5, 0.8], ddof=1))
    assert (summary.macro_f1, summary.users) == (0.5, 30)
    low, high = summary.interval
    assert (round(low, 2), round(high, 2)) == (0.52, 0.83)


def test_a_run_cross_validates_before_it_trains_the_model(dump: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    summary = train_manifest(dump / "train.parquet", run, QUICK)
    users = summary.users + summary.val_users
    for name, fold in summary.folds.items():
        assert fold.users <= users
        assert f"| {name} | {fold.users} | {fold.accuracy:.3f} |" in (run / CARD).read_text()
    assert len(json.loads((run / FOLDS).read_text())["folds"]) == 2
    assert not list(run.rglob("state.safetensors"))
    assert load_checkpoint(summary.checkpoint).training["folds"].keys() == summary.folds.keys()


class Impatient(TrainObserver):
    """Interrupts a run when its second fold begins."""

    def __init__(self, *, at: int = 2) -> None:
        self.at = at
        self.folds: list[int] = []

    def on_fold(self, number: int, folds: int) -> None:
        self.folds.append(number)
        if number == self.at:
            raise KeyboardInterrupt


def test_a_resumed_run_continues_after_the_finished_folds(dump: Path, tmp_path: Path) -> None:
    manifest, run = dump / "train.parquet", tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_manifest(manifest, run, QUICK, Impatient())
    with pytest.raises(OutputError, match="holds an unfinished run"):
        train_manifest(manifest, run, QUICK)
    with pytest.raises(OutputError, match="belongs to a run with other settings"):
        train_manifest(manifest, run, replace(QUICK, seed=1), resume=True)
    again = Impatient(at=0)
    resumed = train_manifest(manifest, run, QUICK, again, resume=True)
    assert again.folds == [2]
    whole = train_manifest(manifest, tmp_path / "whole", QUICK)
    assert resumed.folds == whole.folds
    finished = train_manifest(manifest, run, QUICK, Impatient(at=1), resume=True)
    assert finished.folds == resumed.folds


def test_folds_that_recorded_no_detail_are_continued_with_that_of_frames_and_no_other(
    tmp_path: Path,
) -> None:
    write_folds(tmp_path, {"seed": 0}, [{}])  # as version 0.1.0 wrote them
    assert read_folds(tmp_path, {"seed": 0, "detail": "frame"}) == [{}]
    with pytest.raises(OutputError, match="belongs to a run with other settings"):
        read_folds(tmp_path, {"seed": 0, "detail": "full"})


def test_overwriting_starts_again_with_the_first_fold(dump: Path, tmp_path: Path) -> None:
    manifest, run = dump / "train.parquet", tmp_path / "run"
    train_manifest(manifest, run, QUICK)
    observer = Impatient(at=0)
    train_manifest(manifest, run, replace(QUICK, seed=1), observer, overwrite=True)
    assert observer.folds == [1, 2]


@pytest.mark.parametrize("folds", [1, 101])
def test_a_number_of_folds_out_of_range_is_refused(folds: int) -> None:
    with pytest.raises(OptionError, match=f"`folds` is {folds}; it must be from 2 to 100"):
        TrainOptions(folds=folds)


@pytest.fixture
def remembered(tmp_path: Path, draw: Callable[..., Image.Image]) -> Path:
    """A dump whose labels can only be told by remembering the images, and new users.

    Each user has five of the 300 images of their class; new users have other images.
    """
    random = np.random.default_rng(0)
    for number in range(800):
        draw(16, 16, number).save(tmp_path / f"{number}.png")
    for name, users, first, images in (("train", 240, 0, 300), ("new", 120, 600, 100)):
        genders = [("female", "male")[user % 2] for user in range(users)]
        lists = [
            [
                f"{first + images * (user % 2) + each}.png"
                for each in random.choice(images, 5, False)
            ]
            for user in range(users)
        ]
        ids = [f"{name}-{user}" for user in range(users)]
        frame = pl.DataFrame({"user_id": ids, "images": lists, "gender": genders})
        frame.write_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


@pytest.mark.slow
def test_the_scores_of_a_training_hold_for_new_users(remembered: Path) -> None:
    """On held-out users and in folds alike; remembered images would make both far better."""
    run, report = remembered / "run", remembered / "report"
    options = TrainOptions(
        epochs=12, frame_size=16, frames=5, devices="cpu", val_fraction=0.2, folds=3
    )
    summary = train_manifest(remembered / "train.parquet", run, options)
    new = str(remembered / "new.parquet")
    command = ["evaluate", new, "--checkpoint", str(run), "-o", str(report), "--devices", "cpu"]
    assert main(command) == 0
    found = json.loads((report / "metrics.json").read_text())
    interval = found["traits"]["gender"]["intervals"]["accuracy"]
    held_out, folds = summary.best.scores["gender"], summary.folds["gender"]
    assert not found["trained_with"]["found"]
    for low, high in (wilson_interval(held_out.accuracy, held_out.users), folds.interval):
        assert low <= interval["high"]
        assert high >= interval["low"]
    assert folds.accuracy < 0.65, "only remembered images could tell the classes"
