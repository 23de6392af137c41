"""Measure how well a network learns a labelled manifest, over several seeds.

    python benchmarks/accuracy.py TRAIN TEST --model deepset --seeds 3 --options "--frame-size 48"

Each seed trains on TRAIN with the commands that people use, which hold out a part of it, and
predicts TEST once. No choice may have been made by looking at TEST.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

import click
import numpy as np
import polars as pl
import torch
from report import report
from torch.nn.functional import cross_entropy

from tweetprofile.training.calibration import calibrate

COMMAND = (sys.executable, "-m", "tweetprofile")


@click.command()
@click.argument("train")
@click.argument("test")
@click.option("--model", default="deepset", show_default=True)
@click.option("--seeds", default=3, show_default=True)
@click.option("--options", default="", help="Options for train, as one text.")
@click.option("--predict-options", default="", help="Options for predict, as one text.")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="A folder to keep runs and predictions in."
)
def main(
    train: str,
    test: str,
    model: str,
    seeds: int,
    options: str,
    predict_options: str,
    keep: Path | None,
) -> None:
    """Train and test once per seed."""
    truth = pl.read_parquet(test)
    traits = [name for name in truth.columns if name not in ("user_id", "images", "image")]
    with tempfile.TemporaryDirectory() as name:
        folder = keep or Path(name)
        runs = []
        for seed in range(seeds):
            run = folder / f"{model}-{seed}"
            settings = ["--model", model, "--seed", str(seed), *options.split()]
            seconds = train_and_predict(train, test, run, settings, predict_options.split())
            runs.append(score(pl.read_parquet(run / "out.parquet"), truth, traits, seconds))
    majority = {trait: share_of_majority(truth[trait]) for trait in traits}
    show(model, runs, traits, majority, {"options": options, "predict": predict_options})


def train_and_predict(
    train: str, test: str, run: Path, settings: Sequence[str], predicting: Sequence[str]
) -> float:
    """Train a model, predict with it, and return the seconds that training took."""
    # The model must not become the default checkpoint.
    environment = os.environ | {"XDG_DATA_HOME": str(run / "data")}
    began = time.monotonic()
    command = [*COMMAND, "train", train, "-o", str(run), "--overwrite", *settings]
    subprocess.run(command, check=True, env=environment)
    seconds = time.monotonic() - began
    command = [*COMMAND, "predict", test, "-o", str(run / "out.parquet"), "--overwrite"]
    command += ["--checkpoint", str(run / "model.safetensors"), *predicting]
    subprocess.run(command, check=True, env=environment)
    return seconds


def score(
    profiles: pl.DataFrame, truth: pl.DataFrame, traits: Sequence[str], seconds: float
) -> dict[str, object]:
    """Return the accuracy per trait, over all users and by number of frames."""
    right = {
        trait: (profiles[trait].cast(pl.String) == truth[trait]).fill_null(False).to_numpy()
        for trait in traits
    }
    frames = profiles["frames_used"].to_numpy()
    bands = {"3-4": (3, 4), "5-7": (5, 7), "8-10": (8, 10), "11+": (11, 10**9)}
    by_frames = {
        band: {
            trait: float(each[(frames >= low) & (frames <= high)].mean())
            for trait, each in right.items()
        }
        for band, (low, high) in bands.items()
        if ((frames >= low) & (frames <= high)).any()
    }
    accuracy = {trait: float(np.mean(each)) for trait, each in right.items()}
    losses = {
        trait: lowest_loss(profiles[f"{trait}_probabilities"], truth[trait]) for trait in traits
    }
    return {"seconds": seconds, "accuracy": accuracy, "loss": losses, "by_frames": by_frames}


def lowest_loss(probabilities: pl.Series, labels: pl.Series) -> float:
    """Return the cross-entropy at the best temperature, of users with both a profile and a label.

    It distinguishes recipes that accuracy does not, and says nothing about their calibration.
    """
    classes = probabilities.struct.fields
    known = probabilities.struct.field(classes[0]).is_not_null() & labels.is_in(classes)
    shares = torch.tensor(probabilities.filter(known).struct.unnest().to_numpy()).double()
    logits = shares.clamp(min=1e-9).log()
    targets = torch.tensor([classes.index(label) for label in labels.filter(known)])
    temperature = calibrate(logits, targets).temperature
    return float(cross_entropy(logits / temperature, targets))


def share_of_majority(labels: pl.Series) -> float:
    """Return the accuracy of always predicting the most frequent class."""
    return float(labels.value_counts()["count"].to_numpy().max() / len(labels))


def show(
    model: str,
    runs: Sequence[Mapping[str, object]],
    traits: Sequence[str],
    majority: Mapping[str, float],
    settings: Mapping[str, str],
) -> None:
    """Print the mean and the standard deviation over the seeds."""
    rows = []
    for trait in traits:
        each = [run["accuracy"][trait] for run in runs]  # type: ignore[index]
        spread = f"{stdev(each):.3f}" if len(each) > 1 else "-"
        seeds = " ".join(f"{value:.3f}" for value in each)
        loss = mean(run["loss"][trait] for run in runs)  # type: ignore[index]
        majority_of = f"{majority[trait]:.3f}"
        rows.append((trait, f"{mean(each):.3f}", spread, seeds, majority_of, f"{loss:.3f}"))
    title = f"{model}: accuracy on test users, {len(runs)} seeds"
    columns = ("trait", "mean", "spread", "each", "majority", "loss")
    report(title, columns, rows, {"model": model, **settings, "runs": list(runs)})


if __name__ == "__main__":
    main()
