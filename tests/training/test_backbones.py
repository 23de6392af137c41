"""Training over a pretrained backbone: embeddings computed once, heads, fine-tuning, whole ones."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from tests.workers.backbones import FAMILIES, TINY, make_backbone
from tweetprofile.checkpoints.backbone import Backbone
from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.errors import CheckpointError, OptionError, OutputError
from tweetprofile.networks import EmbeddingSetSpec
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import predict_manifest
from tweetprofile.scoring.epochs import METRICS, EpochMetrics
from tweetprofile.training.backbones import HEADS
from tweetprofile.training.card import CARD
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.run import train_manifest
from tweetprofile.training.settings import TrainOptions

SCRATCH = TrainOptions(
    backbone=TINY, epochs=1, frame_size=32, batch_size=8, devices="cpu", head="sum"
)

FIRST = next(iter(make_backbone().state))
"""The name of the first weight of the tiny backbone."""


class Recorder(TrainObserver):
    """Records the events it receives, and stops the training after an epoch if told to."""

    def __init__(self, stop_after: int = 0) -> None:
        self.epochs: list[EpochMetrics] = []
        self.notes: list[str] = []
        self.decoded = 0
        self.compared: list[tuple[int, int]] = []
        self._stop_after = stop_after

    def on_note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def on_decoded(self, users: int, total: int) -> None:
        self.decoded = users

    def on_compared(self, done: int, total: int) -> None:
        self.compared.append((done, total))

    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        self.epochs.append(metrics)
        if metrics.epoch == self._stop_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a file of weights for the tiny backbone."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(dict(make_backbone().state), path)
    return str(path)


def frozen(weights: str, tmp_path: Path, **options: object) -> TrainOptions:
    usual = {"weights": weights, "cache": str(tmp_path / "cache"), "epochs": 4, "members": 2}
    return replace(SCRATCH, **usual | options)  # type: ignore[arg-type]


def test_a_frozen_backbone_keeps_its_weights_and_heads_learn(
    dump: Path, tmp_path: Path, weights: str
) -> None:
    observer = Recorder()
    summary = train_manifest(
        dump / "train.parquet", tmp_path / "run", frozen(weights, tmp_path), observer
    )
    checkpoint = load_checkpoint(summary.checkpoint)

    assert isinstance(checkpoint.network_spec, EmbeddingSetSpec)
    assert checkpoint.members == 2
    backbone = Backbone.of(checkpoint)
    given = make_backbone()
    assert all(torch.equal(backbone.state[name], given.state[name]) for name in given.state)
    assert backbone.volume_spec.mean == given.volume_spec.mean
    assert observer.epochs[-1].loss < observer.epochs[0].loss or len(observer.epochs) < 3
    assert observer.decoded == len(pl.read_parquet(dump / "train.parquet"))
    record = checkpoint.training["weights"]
    assert record["source"] == "file tiny.safetensors"
    card = (tmp_path / "run" / CARD).read_text(encoding="utf-8")
    assert "tiny\\.safetensors" in card
    assert "stayed as they are" in card


def test_each_head_holds_out_other_users_and_all_are_scored(
    medium_dump: Path, tmp_path: Path, weights: str
) -> None:
    dump = medium_dump
    options = frozen(weights, tmp_path, members=None, val_fraction=0.25, epochs=16)
    observer = Recorder()
    summary = train_manifest(dump / "train.parquet", tmp_path / "run", options, observer)

    assert len(summary.kept_epochs) == 8
    assert summary.users == summary.val_users > 40
    assert summary.best.scores["gender"].users > 40, "all but those without a label"
    assert summary.calibration["gender"].users == summary.best.scores["gender"].users
    assert any("each of the 8 heads holds out a part" in note for note in observer.notes)
    card = (tmp_path / "run" / CARD).read_text(encoding="utf-8")
    assert "Each head held out a part of the users, from whom other heads learned" in card


@pytest.mark.slow
def test_embeddings_are_computed_once(dump: Path, tmp_path: Path, weights: str) -> None:
    options = frozen(weights, tmp_path)
    first, second = Recorder(), Recorder()
    train_manifest(dump / "train.parquet", tmp_path / "one", options, first)
    train_manifest(dump / "train.parquet", tmp_path / "two", options, second)

    assert first.decoded > 0
    assert second.decoded == 0
    assert [each.loss for each in second.epochs] == [each.loss for each in first.epochs]


@pytest.mark.slow
def test_embeddings_of_an_interrupted_run_are_used_again(
    dump: Path, tmp_path: Path, weights: str
) -> None:
    options = frozen(weights, tmp_path)

    class Impatient(Recorder):
        def on_decoded(self, users: int, total: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_manifest(dump / "train.parquet", tmp_path / "run", options, Impatient())
    known = list((tmp_path / "cache" / "embeddings").glob("*/*/*.embeddings"))
    assert known
    sizes = {path: path.stat().st_size for path in known}

    train_manifest(dump / "train.parquet", tmp_path / "run", options, resume=True)

    later = list((tmp_path / "cache" / "embeddings").glob("*/*/*.embeddings"))
    assert later == [], "a complete cache needs no single embeddings any more"
    assert all(sizes.values())


@pytest.mark.slow
def test_an_interrupted_training_of_heads_resumes_to_the_same_model(
    dump: Path, tmp_path: Path, weights: str
) -> None:
    options = frozen(weights, tmp_path)
    whole = train_manifest(dump / "train.parquet", tmp_path / "whole", options)
    with pytest.raises(KeyboardInterrupt):
        train_manifest(dump / "train.parquet", tmp_path / "run", options, Recorder(stop_after=3))
    resumed = train_manifest(dump / "train.parquet", tmp_path / "run", options, resume=True)

    wanted, found = (load_checkpoint(each.checkpoint) for each in (whole, resumed))
    assert found.state.keys() == wanted.state.keys()
    assert all(torch.equal(found.state[name], wanted.state[name]) for name in wanted.state)
    assert found.temperatures == wanted.temperatures


@pytest.mark.slow
def test_other_weights_do_not_resume_a_run(dump: Path, tmp_path: Path, weights: str) -> None:
    options = frozen(weights, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train_manifest(dump / "train.parquet", tmp_path / "run", options, Recorder(stop_after=1))
    other = dict(make_backbone().state)
    other[FIRST] = other[FIRST] * 2
    save_file(other, weights_file := tmp_path / "tiny.safetensors")
    with pytest.raises(OutputError, match="another backbone_digest"):
        train_manifest(
            dump / "train.parquet",
            tmp_path / "run",
            replace(options, weights=str(weights_file)),
            resume=True,
        )


@pytest.mark.slow
@pytest.mark.parametrize("head", list(HEADS))
def test_every_head_trains_and_predicts(
    dump: Path, tmp_path: Path, weights: str, head: str
) -> None:
    options = frozen(weights, tmp_path, head=head, members=1, epochs=1)
    summary = train_manifest(dump / "train.parquet", tmp_path / "run", options)
    predict_manifest(
        dump / "train.parquet",
        tmp_path / "profiles.parquet",
        PredictOptions(checkpoint=summary.checkpoint, devices="cpu"),
    )
    profiles = pl.read_parquet(tmp_path / "profiles.parquet")
    assert profiles["gender_confidence"].is_finite().all()


@pytest.mark.slow
def test_the_head_is_chosen_by_cross_validation(dump: Path, tmp_path: Path, weights: str) -> None:
    users = pl.read_parquet(dump / "train.parquet")
    copies = [users.with_columns(user_id=pl.col("user_id") + f"-{n}") for n in range(20)]
    many = pl.concat([users, *copies]).head(72)
    path = dump / f"many-{tmp_path.name}.parquet"
    many.write_parquet(path)
    observer = Recorder()
    options = frozen(weights, tmp_path, head="auto", epochs=2)
    train_manifest(path, tmp_path / "run", options, observer)
    (note,) = [each for each in observer.notes if each.startswith("the head is")]
    assert "sum " in note
    assert "clusters " in note
    assert "attention " in note
    assert "linear " in note
    trainings = 3 * len(HEADS)
    assert observer.compared == [(done, trainings) for done in range(trainings + 1)]


@pytest.mark.slow
def test_few_users_get_the_sum(dump: Path, tmp_path: Path, weights: str) -> None:
    observer = Recorder()
    options = frozen(weights, tmp_path, head="auto", epochs=2)
    train_manifest(dump / "train.parquet", tmp_path / "run", options, observer)
    assert "the head is 'sum': there are too few users to compare heads." in observer.notes


@pytest.mark.slow
def test_fine_tuning_changes_only_the_last_stages(
    dump: Path, tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EpochMetrics, "beats", lambda self, other: True)
    options = frozen(weights, tmp_path, members=None, fine_tune=True, epochs=2)
    observer = Recorder()
    summary = train_manifest(dump / "train.parquet", tmp_path / "run", options, observer)
    found, given = Backbone.of(load_checkpoint(summary.checkpoint)).state, make_backbone().state

    changed = [name for name in given if not torch.equal(found[name], given[name])]
    assert changed
    assert FIRST not in changed
    assert observer.epochs[-1].loss < 10
    assert not [name for name in changed if "running" in name]
    assert any("after fine-tuning" in note for note in observer.notes)


@pytest.mark.slow
def test_fine_tuning_that_does_not_pay_is_not_kept(
    dump: Path, tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EpochMetrics, "beats", lambda self, other: other is None)
    options = frozen(weights, tmp_path, fine_tune=True, members=None, epochs=1)
    observer = Recorder()
    summary = train_manifest(dump / "train.parquet", tmp_path / "run", options, observer)
    found, given = Backbone.of(load_checkpoint(summary.checkpoint)).state, make_backbone().state
    assert all(torch.equal(found[name], given[name]) for name in given)
    assert any("the backbone as it was is kept" in note for note in observer.notes)


def test_without_weights_the_whole_network_learns(dump: Path, tmp_path: Path) -> None:
    options = replace(SCRATCH, cache=str(tmp_path / "cache"))
    summary = train_manifest(dump / "train.parquet", tmp_path / "run", options)
    checkpoint = load_checkpoint(summary.checkpoint)
    assert checkpoint.training["learned"] == "all"
    assert "weights" not in checkpoint.training
    assert np.isfinite(json.loads((tmp_path / "run" / METRICS).read_text())["loss"])


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["cpu", "cpu,cpu"])
@pytest.mark.parametrize("name", FAMILIES)
def test_any_family_trains_predicts_and_resumes(
    dump: Path, tmp_path: Path, name: str, devices: str
) -> None:
    side = 224 if name.endswith("224") else 160 if "vit" in name else 32
    options = replace(
        SCRATCH, backbone=name, frame_size=side, frames=3, batch_size=4, epochs=2,
        cache=str(tmp_path / "cache"), devices=devices,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        train_manifest(dump / "train.parquet", tmp_path / "run", options, Recorder(stop_after=1))
    summary = train_manifest(dump / "train.parquet", tmp_path / "run", options, resume=True)
    out = tmp_path / "profiles.parquet"
    predict_manifest(
        dump / "test.parquet",
        out,
        PredictOptions(checkpoint=summary.checkpoint, devices=devices),
    )
    assert pl.read_parquet(out)["gender_confidence"].is_finite().any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "package"}, "`weights` is for a pretrained backbone"),
        ({"fine_tune": True}, "`fine_tune` is for a pretrained backbone"),
        ({"backbone": TINY, "freeze": True}, "`freeze` needs a backbone that has learned"),
        ({"backbone": TINY, "fine_tune": True}, "`fine_tune` needs a backbone that has learned"),
        (
            {"backbone": TINY, "weights": "w", "freeze": True, "fine_tune": True},
            "`freeze` and `fine_tune` exclude each other",
        ),
        ({"backbone": TINY, "model": "model1"}, "`model` is model1, which has no backbone"),
        ({"backbone": TINY, "recipe": "paper"}, "`recipe` is paper"),
        ({"backbone": TINY, "init": "x"}, "`init` fills a whole network"),
        ({"backbone": TINY, "norm": "batch"}, "`norm` is batch"),
        ({"backbone": TINY, "members": 2}, "`members` is 2"),
        (
            {"backbone": TINY, "weights": "w", "fine_tune": True, "folds": 3},
            "`folds` cross-validates heads",
        ),
        ({"backbone": TINY, "head": "max"}, "`head` is max; it must be one of"),
        ({"backbone": TINY, "embed_views": 3}, "`embed_views` is 3; it must be 1, 2 or 4"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        TrainOptions(**options)  # type: ignore[arg-type]


def test_an_unknown_backbone_is_refused_before_any_work(dump: Path, tmp_path: Path) -> None:
    options = replace(SCRATCH, backbone="timm/resnet19")
    with pytest.raises(OptionError, match=r"resnet19' is unknown.*resnet18"):
        train_manifest(dump / "train.parquet", tmp_path / "run", options)
    assert not (tmp_path / "run").exists()


def test_weights_that_are_missing_are_refused_before_any_work(dump: Path, tmp_path: Path) -> None:
    options = frozen(str(tmp_path / "none.safetensors"), tmp_path)
    with pytest.raises(CheckpointError, match=r"none\.safetensors"):
        train_manifest(dump / "train.parquet", tmp_path / "run", options)
    assert not (tmp_path / "run").exists()
