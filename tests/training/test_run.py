"""Training learns, keeps the best epoch, and reports its result."""

import json
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.checkpoints.choice import default_checkpoint
from tweetprofile.errors import ManifestError, OptionError, OutputError, TrainingError
from tweetprofile.job import Detail
from tweetprofile.networks import Norm
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import predict_manifest
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.training import settings
from tweetprofile.training.augment import AugmentOptions
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.recipes import recipe_for
from tweetprofile.training.run import train_manifest
from tweetprofile.training.settings import TrainOptions
from tweetprofile.training.state import STATE

TRAITS = ("gender", "location", "occupation")

QUICK = TrainOptions(
    model="model1",
    schema="mex-a3t-2019",
    epochs=2,
    frame_size=16,
    batch_size=4,
    devices="cpu",
    decoder="pillow",
)


class Recorder(TrainObserver):
    """Records the events it receives."""

    def __init__(self) -> None:
        self.epochs: list[EpochMetrics] = []
        self.notes: list[str] = []
        self.decoded = (0, 0)
        self.batches: list[tuple[int, int, int]] = []

    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        self.epochs.append(metrics)

    def on_note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def on_decoded(self, users: int, total: int) -> None:
        self.decoded = users, total

    def on_batch(self, epoch: int, done: int, batches: int) -> None:
        self.batches.append((epoch, done, batches))


def test_a_run_leaves_model_metrics_and_settings_and_reports_its_progress(
    dump: Path, tmp_path: Path
) -> None:
    observer = Recorder()
    summary = train_manifest(dump / "train.parquet", tmp_path / "run", QUICK, observer)
    checkpoint = load_checkpoint(summary.checkpoint)
    assert checkpoint.schema.names == ("gender", "location", "occupation")
    assert checkpoint.volume_spec == QUICK.volume_spec
    assert checkpoint.training["best"]["epoch"] == summary.best.epoch

    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [asdict(metrics) for metrics in observer.epochs]

    settings = tomllib.loads((tmp_path / "run" / "train.toml").read_text())
    assert settings.pop("manifest") == str(dump / "train.parquet")
    assert TrainOptions(**settings) == replace(QUICK.resolved, use="images")
    total = pl.read_parquet(dump / "train.parquet").height
    assert observer.decoded == (total, total)
    assert summary.users + summary.val_users + summary.left_out == total
    batches = summary.users // 4
    assert observer.batches == [
        (epoch, done, batches) for epoch in (1, 2) for done in range(batches + 1)
    ]


def test_two_members_are_trained_in_turn_and_predict_together(dump: Path, tmp_path: Path) -> None:
    options = replace(QUICK, model="deepset", epochs=6, members=2)
    summary = train_manifest(dump / "train.parquet", tmp_path / "run", options)
    checkpoint = load_checkpoint(summary.checkpoint)
    first, second = summary.kept_epochs
    assert first in (1, 2, 3)
    assert second in (4, 5, 6)
    assert checkpoint.members == 2
    assert checkpoint.training["kept_epochs"] == [first, second]
    assert summary.best.epoch == second
    epochs = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    # The scores are those of both members together, not of the second alone.
    assert summary.best.val_loss != pytest.approx(epochs[second - 1]["val_loss"], rel=1e-6)


def test_a_training_does_not_change_the_default_checkpoint(
    dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    train_manifest(dump / "train.parquet", tmp_path / "run", QUICK)
    assert not default_checkpoint().exists()


@pytest.mark.parametrize(
    ("model", "norm"),
    [
        pytest.param("deepset", "batch", marks=pytest.mark.slow),
        pytest.param("model1", "batch", marks=pytest.mark.slow),
        ("model1", "none"),
        pytest.param("model2", "batch", marks=pytest.mark.slow),
        pytest.param("model2", "none", marks=pytest.mark.slow),
    ],
)
def test_a_network_can_memorise_a_few_users(
    dump: Path, tmp_path: Path, model: str, norm: Norm, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = replace(
        recipe_for("default", model), augment=AugmentOptions.none(), label_smoothing=0.0
    )
    monkeypatch.setattr(settings, "recipe_for", lambda name, model, learned, **heads: plain)
    options = replace(
        QUICK,
        model=model,
        norm=norm,
        val_fraction=0.0,
        frame_size=32,
        epochs=60,
        batch_size=12,
        learning_rate=2e-3,
    )
    observer = Recorder()
    train_manifest(dump / "train.parquet", tmp_path / "run", options, observer)
    assert observer.epochs[-1].loss < 0.5 * observer.epochs[0].loss


def test_the_same_seed_gives_the_same_weights(dump: Path, tmp_path: Path) -> None:
    runs = [tmp_path / "one", tmp_path / "two"]
    states = [
        load_checkpoint(train_manifest(dump / "train.parquet", run, QUICK).checkpoint).state
        for run in runs
    ]
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor)


def test_users_without_some_labels_train_the_other_traits(dump: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(dump / "train.parquet")
    half = frame.height // 2
    genders = [*frame["gender"].to_list()[:half], *[None] * (frame.height - half)]
    manifest = dump / "half.parquet"
    frame.with_columns(gender=pl.Series(genders)).write_parquet(manifest)
    observer = Recorder()
    train_manifest(manifest, tmp_path / "run", QUICK, observer)
    assert all(np.isfinite(metrics.loss) for metrics in observer.epochs)


def test_val_names_the_held_out_users(dump: Path, tmp_path: Path) -> None:
    options = replace(QUICK, val=str(dump / "test.parquet"))
    summary = train_manifest(dump / "train.parquet", tmp_path / "run", options)
    usable = pl.read_parquet(dump / "test.parquet").height - 2  # no image, and only a damaged one
    assert summary.val_users == usable
    assert summary.users + summary.left_out == pl.read_parquet(dump / "train.parquet").height


def test_notes_on_labels_of_held_out_users_are_reported(dump: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(dump / "test.parquet")
    genders = ["n/a", *frame["gender"].to_list()[1:]]
    frame.with_columns(gender=pl.Series(genders)).write_parquet(dump / "val.parquet")
    observer = Recorder()
    options = replace(QUICK, epochs=1, val=str(dump / "val.parquet"))
    train_manifest(dump / "train.parquet", tmp_path / "run", options, observer)
    (note,) = observer.notes
    assert note.startswith("held-out users: gender: 1 user without a label")


def test_labels_of_held_out_users_must_be_classes_of_the_schema(dump: Path, tmp_path: Path) -> None:
    foreign = dump / "foreign.parquet"
    frame = pl.read_parquet(dump / "test.parquet")
    frame.with_columns(gender=pl.lit("robot")).write_parquet(foreign)
    with pytest.raises(ManifestError, match=r"foreign.parquet: row 0, column 'gender': 'robot'"):
        train_manifest(dump / "train.parquet", tmp_path / "run", replace(QUICK, val=str(foreign)))


def test_a_loss_that_is_not_finite_ends_training_with_a_fix(dump: Path, tmp_path: Path) -> None:
    wild = replace(QUICK, norm="none", learning_rate=1e30, epochs=5)
    with pytest.raises(
        TrainingError,
        match=r"epoch 1: the loss became .* a `learning_rate` lower than 1e",
    ):
        train_manifest(dump / "train.parquet", tmp_path / "run", wild)
    assert not (tmp_path / "run" / STATE).exists()


def test_a_manifest_whose_images_are_all_unusable_is_refused(dump: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(TrainingError, match="no user with a label and a usable image"):
        train_manifest(
            dump / "train.parquet", tmp_path / "run", replace(QUICK, image_root=str(elsewhere))
        )


def test_a_run_folder_that_is_a_file_is_refused(dump: Path, tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(OutputError, match="run is a file; give a folder"):
        train_manifest(dump / "train.parquet", tmp_path / "run", QUICK)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"patience": 0},
        {"members": 0},
        {"members": 65},
        {"batch_size": 0},
        {"val_fraction": 1.0},
        {"learning_rate": 0.0},
        {"weight_decay": -1.0},
        {"minutes": 0.0},
        {"seed": -1},
        {"recipe": "secret"},
    ],
)
def test_an_option_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        replace(QUICK, **wrong)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def trained(large_dump: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default network after a training as short as the one of the demo."""
    run = tmp_path_factory.mktemp("trained") / "run"
    options = TrainOptions(epochs=60, frame_size=32, val_fraction=0.0, devices="cpu")
    return train_manifest(large_dump / "train.parquet", run, options).checkpoint


@pytest.mark.slow
def test_a_short_training_clearly_beats_the_majority_baseline_on_test_users(
    large_dump: Path, trained: Path, tmp_path: Path
) -> None:
    chosen = PredictOptions(checkpoint=trained, devices="cpu")
    predict_manifest(large_dump / "test.parquet", tmp_path / "out", chosen)
    truth = pl.read_parquet(large_dump / "test.parquet")
    guesses = pl.read_parquet(tmp_path / "out")
    for trait in TRAITS:
        right = guesses[trait].cast(pl.String).eq_missing(truth[trait]).to_numpy()
        majority = truth[trait].value_counts()["count"].to_numpy().max() / truth.height
        assert right.mean() > majority + 0.15


@pytest.mark.slow
def test_dali_and_pillow_lead_to_the_same_classes_except_for_ties(
    large_dump: Path, trained: Path, tmp_path: Path
) -> None:
    pytest.importorskip("nvidia.dali", reason="DALI is for Linux")
    frames = []
    for decoder in ("pillow", "dali"):
        chosen = PredictOptions(checkpoint=trained, devices="cpu", decoder=decoder)
        for users in ("train", "test"):
            out = tmp_path / f"{users}-{decoder}.parquet"
            predict_manifest(large_dump / f"{users}.parquet", out, chosen)
        files = [tmp_path / f"{users}-{decoder}.parquet" for users in ("train", "test")]
        frames.append(pl.read_parquet(files))
    same = np.stack([frames[0][trait].eq_missing(frames[1][trait]) for trait in TRAITS])
    assert same.mean() >= 0.99
    for trait, agrees in zip(TRAITS, same, strict=True):
        probabilities = frames[0][f"{trait}_probabilities"].struct.unnest().fill_null(0).to_numpy()
        second, first = np.sort(probabilities, axis=1)[:, -2:].T
        assert (first - second)[~agrees].max(initial=0.0) < 0.05


@pytest.mark.slow
def test_what_a_frame_can_show_leads_to_the_same_classes_as_all_of_an_image(
    large_dump: Path, trained: Path, tmp_path: Path
) -> None:
    users = pl.read_parquet([large_dump / "train.parquet", large_dump / "test.parquet"])
    for image in sorted(set(users["images"].explode().drop_nulls())):
        # Large for frames of 32 pixels, as photographs of 1,200 pixels are for frames of 112.
        try:
            with Image.open(large_dump / image) as opened:
                large = opened.convert("RGB").resize((400, 300))
        except OSError:
            continue
        (tmp_path / image).parent.mkdir(parents=True, exist_ok=True)
        large.save(tmp_path / image, "JPEG", progressive=True, quality=85)
    users.write_parquet(tmp_path / "users.parquet")
    frames = []
    for detail in get_args(Detail):
        out = tmp_path / f"{detail}.parquet"
        chosen = PredictOptions(checkpoint=trained, devices="cpu", detail=detail)
        predict_manifest(tmp_path / "users.parquet", out, chosen)
        frames.append(pl.read_parquet(out))
    same = np.stack([frames[0][trait].eq_missing(frames[1][trait]) for trait in TRAITS])
    assert same.mean() >= 0.99
