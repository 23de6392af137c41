"""Run folders as `train` leaves them, without the training."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.networks import build_network, network_spec
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import TraitScore
from tweetprofile.training.settings import TrainOptions, write_settings
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.volumes.spec import VolumeSpec

SCHEMA = TraitSchema((Trait("gender", ("female", "male")),))


def scores_of(macro_f1: Mapping[str, float]) -> dict[str, TraitScore]:
    """Return scores by trait; each accuracy is 0.1 above the macro-F1."""
    return {
        name: TraitScore(accuracy=each + 0.1, macro_f1=each, majority=0.5, users=40)
        for name, each in macro_f1.items()
    }


def finished_run(
    folder: Path, macro_f1: Mapping[str, float], seed: int = 0, **facts: object
) -> Path:
    """Write a finished run with scores by trait, and with facts in place of the usual ones."""
    folder.mkdir(parents=True)
    scores = {name: asdict(each) for name, each in scores_of(macro_f1).items()}
    fit = {"temperature": 1.5, "ece_before": 0.2, "ece_after": 0.05, "users": 40}
    training: dict[str, Any] = {
        "users": 1500,
        "val_users": 150,
        "epochs": 40,
        "kept_epochs": [7],
        "best": {"epoch": 7, "scores": scores},
        "calibration": dict.fromkeys(macro_f1, fit),
        "settings": {"manifest": "a digest", "seed": seed, "val_fraction": 0.1},
        "finished": f"2026-11-{10 + seed} 12:00 UTC",
        "manifest": "labelled.parquet",
        **facts,
    }
    volume = VolumeSpec(frames=3, height=16, width=16)
    network = build_network(network_spec("deepset"), volume, SCHEMA)
    save_checkpoint(folder / "model.safetensors", network, training)
    return folder


def unfinished_run(folder: Path, *macro_f1: float, folds: int | None = None) -> Path:
    """Write a run that was interrupted after some epochs, each with this score for gender."""
    folder.mkdir(parents=True)
    options = TrainOptions(epochs=40, folds=folds)
    write_settings(folder / "train.toml", "labelled.parquet", options.resolved)
    lines = [
        EpochMetrics(
            epoch=number,
            loss=2.0,
            val_loss=2.1,
            scores=scores_of({"gender": each}),
            mean_macro_f1=each,
            learning_rate=0.001,
            seconds=3.0,
        )
        for number, each in enumerate(macro_f1, 1)
    ]
    metrics = "".join(json.dumps(asdict(each)) + "\n" for each in lines)
    (folder / "metrics.jsonl").write_text(metrics)
    (folder / "state.safetensors").write_bytes(b"what the next epoch starts from")
    return folder
