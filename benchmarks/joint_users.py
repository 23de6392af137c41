"""Users with images and texts for `joint.py`: joined, embedded and counted once, and folds of them.

Shapes: N users of a part, T traits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import polars as pl

from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.texts.spec import TextSpec
from tweetprofile.training.cache import Subset
from tweetprofile.training.embeddings import embedding_source
from tweetprofile.training.folder import FolderOptions
from tweetprofile.training.folds import make_folds
from tweetprofile.training.observer import TrainObserver
from tweetprofile.training.plan import TrainingPlan, plan_training
from tweetprofile.training.settings import TrainOptions
from tweetprofile.training.texts.counts import TextCounts, open_counts
from tweetprofile.training.users import load_users


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """All users, with everything that does not depend on the fold.

    Attributes:
        plan: The training that `train` would do with them.
        everyone: The users with the embeddings of their images.
        counts: The counts of their texts.
    """

    plan: TrainingPlan
    everyone: Subset
    counts: TextCounts


@dataclass(frozen=True, slots=True)
class Fold:
    """A fold.

    Attributes:
        number: Its number, from 1.
        train: The users to learn from.
        test: The others, who share no image and no author with them.
    """

    number: int
    train: Subset
    test: Subset


def join_users(images: Path, texts: Path, path: Path, seed: int) -> None:
    """Give each user the texts of an author of the same gender, and of one variety per location.

    An author gives texts to one user at most, so that folds of users are folds of authors. Users
    for whom no author is left are left out.

    Args:
        images: The manifest of users with images, and the labels `gender` and `location`.
        texts: The manifest of authors with texts, and the labels `gender` and `variety`.
        path: The manifest to write.
        seed: The seed of the random choice of authors.
    """
    users, authors = pl.read_parquet(images), pl.read_parquet(texts)
    locations = sorted(users["location"].unique())
    varieties = sorted(authors["variety"].unique())
    if len(varieties) < len(locations):
        raise click.ClickException(
            f"{texts} has {len(varieties)} varieties, too few to stand for {len(locations)} "
            "locations; give a corpus with more."
        )
    place = ["gender", "location"]
    stands_for = dict(zip(varieties, locations, strict=False))
    turn = pl.int_range(pl.len()).over(place).alias("turn")
    authors = (
        authors.sample(fraction=1, shuffle=True, seed=seed)
        .with_columns(pl.col("variety").replace_strict(stands_for, default=None).alias("location"))
        .with_columns(turn)
        .select("texts", "turn", *place)
    )
    joined = users.with_columns(turn).join(
        authors, on=[*place, "turn"], how="inner", maintain_order="left"
    )
    if len(joined) < len(users):
        print(f"{len(users) - len(joined):,} users are left out: there are too few authors")
    joined.drop("turn").write_parquet(path)


def load(joined: Path, folder: Path, image_root: Path, head: str) -> Users:
    """Embed every image and count every text, unless the folder has both already."""
    options = TrainOptions(
        backbone="efficientnet-lite0",
        weights="package",
        head=head,  # type: ignore[arg-type]  # `train` checks it
        image_root=str(image_root),
        cache=str(folder / "cache"),
    )
    plan = plan_training(joined, folder / "run", options, FolderOptions(overwrite=True))
    assert plan.loaded is not None
    with embedding_source(plan.loaded.backbone, options.embed_views, plan.cache) as source:
        everyone = load_users(plan, _Progress(), source).everyone
    counts = open_counts(plan.manifest, TextSpec(), TextLimits(), plan.cache)
    return Users(plan=plan, everyone=everyone, counts=counts)


class _Progress(TrainObserver):
    """Prints how many users have been embedded."""

    def on_decoded(self, users: int, total: int) -> None:
        print(f"{users:,} of {total:,} users embedded", end="\r" if users < total else "\n")


def folds_of(users: Users, folds: int, seed: int) -> Iterator[Fold]:
    """Divide the users into folds that share no images."""
    for number, (train, test) in enumerate(make_folds(users.everyone, folds, seed), 1):
        assert not np.isin(train.users, test.users).any()
        yield Fold(number, train, test)
