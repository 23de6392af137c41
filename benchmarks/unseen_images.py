"""Split a manifest to compare recipes on: users to learn from, and users with unseen images.

    python benchmarks/unseen_images.py TRAIN FOLDER
    python benchmarks/accuracy.py FOLDER/train.parquet FOLDER/test.parquet --seeds 1

Users who share images with nearly everyone cannot be held out without removing most images of the
others. So images are held out instead: a share of all images is removed from the lists of all
users, and artificial test users are made from them, one per user, each with images of users who
have the same labels. As these are not real users, they show which recipe is better, but not how
good it is.
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
@click.option("--share", default=0.15, show_default=True, help="The share of images to hold out.")
@click.option("--seed", default=11, show_default=True)
def main(train: str, folder: Path, share: float, seed: int) -> None:
    """Write FOLDER/train.parquet and FOLDER/test.parquet."""
    users = pl.read_parquet(train)
    traits = [name for name in users.columns if name not in ("user_id", "images")]
    generator = np.random.default_rng(seed)
    held_out = choose_images(users["images"].to_list(), share, generator)
    folder.mkdir(parents=True, exist_ok=True)
    train_users = without(users, held_out)
    train_users.write_parquet(folder / "train.parquet")
    test_users = make_up(users, traits, held_out, generator)
    test_users.write_parquet(folder / "test.parquet")
    click.echo(
        f"{len(held_out)} images held out; {len(train_users)} users to train on, "
        f"{len(test_users)} to test on"
    )


def choose_images(
    lists: Sequence[Sequence[str]], share: float, generator: np.random.Generator
) -> set[str]:
    """Choose a share of all images at random."""
    images = sorted({image for each in lists for image in each})
    return set(generator.choice(images, int(share * len(images)), replace=False).tolist())


def without(users: pl.DataFrame, held_out: set[str]) -> pl.DataFrame:
    """Return the users who have other images, with those images only."""
    others = ~pl.element().is_in(list(held_out))
    kept = users.with_columns(pl.col("images").list.eval(pl.element().filter(others)))
    return kept.filter(pl.col("images").list.len() > 0)


def make_up(
    users: pl.DataFrame, traits: Sequence[str], held_out: set[str], generator: np.random.Generator
) -> pl.DataFrame:
    """Make a test user per user, with the same labels and, if possible, as many images."""
    labels: list[Labels] = users.select(traits).rows()
    lists = users["images"].to_list()
    pools = pool_images(labels, lists, held_out)
    rows = [
        (generator.choice(pools[key], min(len(each), len(pools[key])), replace=False).tolist(), key)
        for key, each in zip(labels, lists, strict=True)
        if pools[key]
    ]
    named = [(f"made-up-{number}", images, *key) for number, (images, key) in enumerate(rows)]
    schema = users.select("user_id", "images", *traits).schema
    return pl.DataFrame(named, schema=schema | {"user_id": pl.String}, orient="row")


def pool_images(
    labels: Sequence[Labels], lists: Sequence[Sequence[str]], held_out: set[str]
) -> Mapping[Labels, list[str]]:
    """Return the held-out images of the users with each combination of labels."""
    pools: dict[Labels, dict[str, None]] = {key: {} for key in labels}
    for key, each in zip(labels, lists, strict=True):
        pools[key] |= dict.fromkeys(image for image in each if image in held_out)
    return {key: list(pool) for key, pool in pools.items()}


if __name__ == "__main__":
    main()
