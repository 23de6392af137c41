"""Make an artificial dump of Twitter users: their images, and manifests for training and testing.

Each user has a gender, a location and an occupation chosen at random, and posts drawings whose
kinds depend on these traits (see scenes.py; the links are arbitrary and say nothing about people).
As in a real dump, some users have too few images, too many or none, and some images are damaged.
The same seed gives the same bytes, whatever the number of workers.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from brushes import Size
from PIL import Image
from scenes import GENDERS, LOCATIONS, NEUTRAL, OCCUPATIONS, Scene, draw_scene

USUAL_IMAGES = 11
NULL_SHARE = 0.02
OWN_KIND = 0.9
DAMAGE_EVERY = 31
TRAITS = {"gender": GENDERS, "location": LOCATIONS, "occupation": OCCUPATIONS}
# The trait that decides each of the usual eleven images, before they are shuffled.
DRIVERS = ("location",) * 3 + ("occupation",) * 4 + ("gender",) * 3 + ("none",)
DAMAGES = {
    "cut jpeg": "jpg",
    "html page": "jpg",
    "empty": "jpg",
    "missing": "jpg",
    "cut png": "png",
}
FORMATS = {"jpg": 0.84, "png": 0.08, "webp": 0.08}
ERROR_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>Not found</body></html>\n"
)


@dataclass(frozen=True)
class Post:
    """One image of a user: its path, its kind, its damage if any, and the seeds of its look."""

    path: str
    kind: str
    damage: str | None
    seeds: tuple[int, int, int]


@dataclass(frozen=True)
class User:
    """A user, with traits and posts."""

    user_id: str
    traits: dict[str, str | None]
    posts: tuple[Post, ...]


def oddities(count: int) -> dict[int, str]:
    """Spread the odd users evenly over a set: few images, none, all damaged, or many."""
    odd = ["short", "none", "ruined", "long"] + ["short"] * (count // 30)
    odd = (odd + ["long"] * (count // 200))[:count]
    return {(2 * number + 1) * count // (2 * len(odd)): name for number, name in enumerate(odd)}


def deal(rng: np.random.Generator, values: Iterable[str], count: int) -> list[str]:
    """Assign values to users at random, each to the same number of users."""
    names = list(values)
    return [names[number % len(names)] for number in rng.permutation(count)]


def count_images(rng: np.random.Generator, oddity: str | None) -> int:
    """Choose the number of images of a user."""
    if oddity == "short":
        return int(rng.integers(1, USUAL_IMAGES))
    if oddity == "long":
        return int(rng.integers(USUAL_IMAGES + 1, 31))
    return 0 if oddity == "none" else USUAL_IMAGES


def choose_kinds(rng: np.random.Generator, traits: dict[str, str], count: int) -> list[str]:
    """Choose what each image of a user shows; most images depend on one trait of the user."""
    drivers = rng.permutation(np.resize(DRIVERS, max(count, USUAL_IMAGES)))[:count]
    return [_choose_kind(rng, traits, str(driver)) for driver in drivers]


def _choose_kind(rng: np.random.Generator, traits: dict[str, str], driver: str) -> str:
    if driver == "none":
        return str(rng.choice(list(NEUTRAL)))
    group: dict[str, Scene] = TRAITS[driver]
    own = traits[driver]
    if rng.random() < OWN_KIND:
        return group[own].__name__
    return group[str(rng.choice([name for name in group if name != own]))].__name__


def choose_damage(index: int, number: int, oddity: str | None) -> str | None:
    """Choose the damage of an image: at regular intervals, so that small dumps have some too."""
    kinds = list(DAMAGES)
    if oddity == "ruined":
        return kinds[number % len(kinds)]
    damaged, rest = divmod(index * USUAL_IMAGES + number, DAMAGE_EVERY)
    return kinds[damaged % len(kinds)] if rest == DAMAGE_EVERY // 2 else None


def make_user(seed: int, index: int, traits: dict[str, str], oddity: str | None) -> User:
    """Choose what one user posts, and the path of each image."""
    rng = np.random.default_rng([seed, index])
    user_id = f"user-{index:05d}"
    posts = []
    for number, kind in enumerate(choose_kinds(rng, traits, count_images(rng, oddity))):
        damage = choose_damage(index, number, oddity)
        usual = str(rng.choice(list(FORMATS), p=list(FORMATS.values())))
        ending = DAMAGES[damage] if damage else usual
        path = f"images/{user_id}/{number:02d}.{ending}"
        posts.append(Post(path, kind, damage, (seed, index, number)))
    return User(user_id, dict(traits), tuple(posts))


def make_users(seed: int, first: int, count: int) -> list[User]:
    """Make the users of one set, with numbers from `first` on."""
    rng = np.random.default_rng([seed, first, count])
    columns = {trait: deal(rng, group, count) for trait, group in TRAITS.items()}
    odd = oddities(count)
    return [
        make_user(
            seed, first + number, {name: columns[name][number] for name in TRAITS}, odd.get(number)
        )
        for number in range(count)
    ]


def hide_traits(seed: int, users: Sequence[User]) -> None:
    """Remove a few labels, at least one per trait."""
    rng = np.random.default_rng([seed, len(users)])
    for trait in TRAITS:
        hidden = max(1, round(NULL_SHARE * len(users)))
        for number in rng.choice(len(users), hidden, replace=False):
            users[number].traits[trait] = None


def choose_size(rng: np.random.Generator) -> Size:
    """Choose the size of an image: sides of 400 to 1,200 pixels, portrait or landscape."""
    long = int(rng.triangular(440, 480, 1200))
    short = max(400, int(long / rng.choice([1.0, 1.25, 4 / 3, 3 / 2, 16 / 9])))
    return (short, long) if rng.random() < 0.35 else (long, short)


def encode(image: Image.Image, ending: str, rng: np.random.Generator) -> bytes:
    """Encode an image in the format of its ending."""
    quality, buffer = int(rng.integers(70, 96)), io.BytesIO()
    if ending == "png":
        mode = str(rng.choice(["RGB", "RGBA", "L"], p=[0.7, 0.2, 0.1]))
        image.convert(mode).save(buffer, "PNG", compress_level=1)
    elif ending == "webp":
        image.save(buffer, "WEBP", quality=quality, method=0)
    else:
        image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def post_bytes(post: Post) -> bytes | None:
    """Draw and encode one image, and damage it if it should be; None means no file."""
    if post.damage == "missing":
        return None
    if post.damage == "empty":
        return b""
    if post.damage == "html page":
        return ERROR_PAGE
    rng = np.random.default_rng(post.seeds)
    ending = post.path.rpartition(".")[2]
    image = draw_scene(post.kind, rng, choose_size(rng), photograph=ending != "png")
    content = encode(image, ending, rng)
    return content[: int(len(content) * rng.uniform(0.3, 0.6))] if post.damage else content


def write_images(task: tuple[Path, User]) -> int:
    """Write the images of one user; return the number of files."""
    out, user = task
    files = 0
    for post in user.posts:
        content = post_bytes(post)
        if content is not None:
            path = out / post.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            files += 1
    return files


def write_all(out: Path, users: Sequence[User], workers: int) -> int:
    """Write the images of all users in several processes; return the number of files."""
    tasks = [(out, user) for user in users]
    if workers == 1:
        return sum(map(write_images, tasks))
    with get_context("spawn").Pool(workers) as pool:
        return sum(pool.imap_unordered(write_images, tasks, chunksize=2))


def write_manifest(path: Path, users: Sequence[User]) -> None:
    """Write the rows of one set as Parquet."""
    columns = {
        "user_id": pa.array([user.user_id for user in users], pa.string()),
        "images": pa.array(
            [[post.path for post in user.posts] for user in users], pa.list_(pa.string())
        ),
    }
    for trait in TRAITS:
        columns[trait] = pa.array([user.traits[trait] for user in users], pa.string())
    # Reports on these users say that they were made up, because the manifest does.
    metadata = {"artificial": "drawn by examples/make_dump.py of tweetprofile"}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)


@click.command(help="Make an artificial dump of users in OUT, with train and test manifests.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--train-users", type=click.IntRange(1), default=240, show_default=True)
@click.option("--test-users", type=click.IntRange(1), default=60, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=2019, show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="The number of processes; one per processor by default.",
)
def main(out: Path, train_users: int, test_users: int, seed: int, workers: int | None) -> None:
    """Make the dump, write the manifests, and print what was written."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        click.echo(f"{out} exists and is not empty; choose a new folder.", err=True)
        sys.exit(2)
    train = make_users(seed, 0, train_users)
    test = make_users(seed, train_users, test_users)
    hide_traits(seed, train)
    out.mkdir(parents=True, exist_ok=True)
    files = write_all(out, [*train, *test], workers or os.cpu_count() or 1)
    write_manifest(out / "train.parquet", train)
    write_manifest(out / "test.parquet", test)
    click.echo(
        f"Wrote {files} images of {len(train)} training and {len(test)} test users, "
        f"train.parquet and test.parquet to {out}"
    )


if __name__ == "__main__":
    main()
