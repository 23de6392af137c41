"""Measure what dropping frames in training gains for users with few images.

    python benchmarks/fewer_images.py TRAIN TEST --frame-size 40 --epochs 150 --image-root FOLDER

The default network is trained with the default recipe, and with the same recipe without dropping
frames. Both models predict TEST with the list of every user cut to each number of images, so that
the users are the same at every length.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import click
import polars as pl
from report import report

from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import predict_manifest
from tweetprofile.training.recipes import RECIPES, Recipe
from tweetprofile.training.run import train_manifest
from tweetprofile.training.settings import TrainOptions


@click.command()
@click.argument("train")
@click.argument("test")
@click.option("--image-root", type=click.Path(path_type=Path), required=True)
@click.option("--frame-size", default=112, show_default=True)
@click.option("--epochs", default=60, show_default=True)
@click.option(
    "--images", default="3,4,6,8,11", show_default=True, help="The numbers of images per user."
)
@click.option(
    "--dropped", type=click.Path(path_type=Path), help="An existing model of the default recipe."
)
def main(
    train: str,
    test: str,
    image_root: Path,
    frame_size: int,
    epochs: int,
    images: str,
    dropped: Path | None,
) -> None:
    """Train with and without dropping frames, and predict users with fewer and fewer images."""
    options = TrainOptions(frame_size=frame_size, epochs=epochs, image_root=str(image_root))
    lengths = [int(length) for length in images.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # The models must not become the default checkpoint.
        os.environ["XDG_DATA_HOME"] = str(folder / "data")
        models = {
            "frames dropped": dropped or train_with_drop(train, folder / "dropped", options, 1.0),
            "all frames": train_with_drop(train, folder / "all", options, 0.0),
        }
        accuracy = {
            kind: [accuracy_at(length, test, model, image_root, folder) for length in lengths]
            for kind, model in models.items()
        }
    show(lengths, accuracy, {"frame_size": frame_size, "epochs": epochs})


def train_with_drop(train: str, run: Path, options: TrainOptions, drop: float) -> Path:
    """Train with a share `drop` of users showing fewer frames, and return the checkpoint."""
    recipes = cast(dict[str, Recipe], RECIPES)
    kept = recipes["default"]
    recipes["default"] = replace(kept, augment=replace(kept.augment, drop=drop))
    try:
        return train_manifest(train, run, options).checkpoint
    finally:
        recipes["default"] = kept


def accuracy_at(
    length: int, test: str, model: Path, image_root: Path, folder: Path
) -> dict[str, float]:
    """Return the accuracy per trait if users have at most `length` images."""
    truth = pl.read_parquet(test)
    cut, out = folder / "cut.parquet", folder / "out.parquet"
    truth.with_columns(pl.col("images").list.head(length)).write_parquet(cut)
    predict_manifest(
        cut, out, PredictOptions(checkpoint=model, image_root=image_root, overwrite=True)
    )
    profiles = pl.read_parquet(out)
    traits = [name for name in truth.columns if f"{name}_confidence" in profiles.columns]
    return {
        trait: float((profiles[trait].cast(pl.String) == truth[trait]).fill_null(False).mean())  # type: ignore[arg-type]
        for trait in traits
    }


def show(
    lengths: Sequence[int],
    accuracy: Mapping[str, Sequence[Mapping[str, float]]],
    settings: Mapping[str, object],
) -> None:
    """Print a row per number of images and kind of training."""
    traits = list(next(iter(accuracy.values()))[0])
    rows = [
        (f"{length}", kind, *(f"{figures[position][trait]:.3f}" for trait in traits))
        for position, length in enumerate(lengths)
        for kind, figures in accuracy.items()
    ]
    report(
        "Accuracy by number of images",
        ("images", "training", *traits),
        rows,
        {**settings, "lengths": list(lengths), "accuracy": accuracy},
    )


if __name__ == "__main__":
    main()
