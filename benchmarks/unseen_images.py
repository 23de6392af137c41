"""Two manifests of one, to choose recipes by: users to learn from, and users of images kept apart.

    python benchmarks/unseen_images.py TRAIN FOLDER
    python benchmarks/accuracy.py FOLDER/train.parquet FOLDER/test.parquet --seeds 1

Users who share images cannot be set aside whole without most of the images of those who stay.
Images are kept apart instead: a share of all images is taken out of every user's list, and test
users are made up of them, one for every user, each of images that users with the same labels
showed. They are no real users: what is told by them is which recipe is better, not how good it is.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np
import polars as pl

Labels = tuple[str | None, ...]


@click.command()
@click.argument("train")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--share", default=0.15, show_default=True, help="Of the images, kept apart.")
@click.option("--seed", default=11, show_default=True)
def main(train: str, folder: Path, share: float, seed: int) -> None:
    """Write FOLDER/train.parquet and FOLDER/test.parquet."""
    users = pl.read_parquet(train)
    traits = [name for name in users.columns if name not in ("user_id", "images")]
    generator = np.random.default_rng(seed)
    apart = images_apart(users["images"].to_list(), share, generator)
    folder.mkdir(parents=True, exist_ok=True)
    learning = without(users, apart)
    learning.write_parquet(folder / "train.parquet")
    testing = made_up(users, traits, apart, generator)
    testing.write_parquet(folder / "test.parquet")
    click.echo(f"{len(apart)} images apart; {len(learning)} users to learn, {len(testing)} to test")


def images_apart(
    lists: Sequence[Sequence[str]], share: float, generator: np.random.Generator
) -> set[str]:
    """That share of all images, at random."""
    images = sorted({image for each in lists for image in each})
    return set(generator.choice(images, int(share * len(images)), replace=False).tolist())


def without(users: pl.DataFrame, apart: set[str]) -> pl.DataFrame:
    """The users who show other images, too, and those images."""
    others = ~pl.element().is_in(list(apart))
    kept = users.with_columns(pl.col("images").list.eval(pl.element().filter(others)))
    return kept.filter(pl.col("images").list.len() > 0)


def made_up(
    users: pl.DataFrame, traits: Sequence[str], apart: set[str], generator: np.random.Generator
) -> pl.DataFrame:
    """For every user one with the same labels and, where there are enough, as many images."""
    labels: list[Labels] = users.select(traits).rows()
    lists = users["images"].to_list()
    pools = pooled(labels, lists, apart)
    rows = [
        (generator.choice(pools[key], min(len(each), len(pools[key])), replace=False).tolist(), key)
        for key, each in zip(labels, lists, strict=True)
        if pools[key]
    ]
    named = [(f"made-up-{number}", images, *key) for number, (images, key) in enumerate(rows)]
    schema = users.select("user_id", "images", *traits).schema
    return pl.DataFrame(named, schema=schema | {"user_id": pl.String}, orient="row")


def pooled(
    labels: Sequence[Labels], lists: Sequence[Sequence[str]], apart: set[str]
) -> Mapping[Labels, list[str]]:
    """The images kept apart of the users with each combination of labels."""
    pools: dict[Labels, dict[str, None]] = {key: {} for key in labels}
    for key, each in zip(labels, lists, strict=True):
        pools[key] |= dict.fromkeys(image for image in each if image in apart)
    return {key: list(pool) for key, pool in pools.items()}


if __name__ == "__main__":
    main()
