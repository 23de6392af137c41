"""Measure seconds per epoch by network, with decoding and from the cache, and the paper's job.

    python benchmarks/training.py --photos FOLDER

The paper trained 100 epochs of 3,500 users in batches of 13, in five hours on two GTX 1080 Ti. On a
GPU the job is run in full; on a CPU it is extrapolated from an epoch of fewer users.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import click
import numpy as np
import polars as pl
import torch
from dump import get_photos, write_users
from report import report

COMMAND = (sys.executable, "-m", "tweetprofile", "train")

PAPER_USERS, PAPER_EPOCHS = 3_500, 100


@click.command()
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="A folder of JPEGs; by default, images are drawn.",
)
@click.option(
    "--users", default=260, show_default=True, help="The number of users, of 11 images each."
)
@click.option(
    "--epochs", default=4, show_default=True, help="Epochs to measure, after one to warm up."
)
@click.option("--models", default="deepset,model1,model2", show_default=True)
@click.option("--frame-size", default=112, show_default=True)
@click.option("--devices", default="auto", show_default=True)
def main(
    photos: Path | None, users: int, epochs: int, models: str, frame_size: int, devices: str
) -> None:
    """Measure epochs."""
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = write_labelled(folder, get_photos(photos), users)
        options = ["--frame-size", str(frame_size), "--devices", devices, "--val-fraction", "0"]
        for model in models.split(","):
            recipe = "default" if model.startswith("deepset") else "paper"
            chosen = [*options, "--model", model, "--recipe", recipe]
            cold = run(folder, manifest, [*chosen, "--epochs", "1", "--cache", f"{folder}/{model}"])
            chosen += ["--cache", f"{folder}/{model}", "--epochs", str(epochs + 1)]
            run(folder, manifest, chosen)
            seconds = median(epoch_seconds(folder)[1:])
            results[model] = {"recipe": recipe, "first_run": cold, "epoch": seconds}
            results[model]["paper_job"] = paper_job(folder, manifest, chosen, users, seconds)
    show(results, users, {"users": users, "frame_size": frame_size, "devices": devices})


def write_labelled(folder: Path, photos: list[bytes], users: int) -> Path:
    """Write a manifest of users with random labels, which do not affect the time."""
    manifest = write_users(folder, photos, users)
    generator = np.random.default_rng(0)
    labels = {
        "gender": generator.choice(["female", "male"], users),
        "location": generator.choice(list("abcdef"), users),
        "occupation": generator.choice(list("abcdefgh"), users),
    }
    frame = pl.read_parquet(manifest)
    frame.with_columns(**{name: pl.Series(each) for name, each in labels.items()}).write_parquet(
        manifest
    )
    return manifest


def run(folder: Path, manifest: Path, options: Sequence[str]) -> float:
    """Return the seconds of a complete command."""
    environment = os.environ | {"XDG_DATA_HOME": str(folder / "data")}
    command = [*COMMAND, str(manifest), "-o", str(folder / "run"), "--overwrite", "-q", *options]
    began = time.monotonic()
    subprocess.run(command, check=True, env=environment)
    return time.monotonic() - began


def epoch_seconds(folder: Path) -> list[float]:
    """Return the seconds of each epoch of the last run."""
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["seconds"] for line in lines]


def paper_job(
    folder: Path, manifest: Path, options: Sequence[str], users: int, seconds: float
) -> float:
    """Return the seconds of the paper's job: run on a GPU, or else extrapolated."""
    if not torch.cuda.is_available():
        return seconds * PAPER_USERS / users * PAPER_EPOCHS
    frame = pl.read_parquet(manifest)
    job = pl.concat([frame] * -(-PAPER_USERS // users)).head(PAPER_USERS)
    job.with_columns(user_id=pl.int_range(pl.len())).write_parquet(folder / "paper.parquet")
    return run(folder, folder / "paper.parquet", [*options, "--epochs", str(PAPER_EPOCHS)])


def show(
    results: Mapping[str, Mapping[str, object]], users: int, settings: Mapping[str, object]
) -> None:
    """Print a row per network."""
    rows = [
        (
            model,
            str(each["recipe"]),
            f"{each['first_run']:.1f}",
            f"{each['epoch']:.2f}",
            f"{users / float(str(each['epoch'])):.0f}",
            f"{float(str(each['paper_job'])) / 60:.1f}",
        )
        for model, each in results.items()
    ]
    how = "run" if torch.cuda.is_available() else "from an epoch"
    columns = (
        "network",
        "recipe",
        "first run, s",
        "epoch, s",
        "users/s",
        f"paper's job ({how}), min",
    )
    report(f"Training on {users} users", columns, rows, {**settings, "networks": results})


if __name__ == "__main__":
    main()
