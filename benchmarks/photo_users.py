"""Make up users of photographs that lie in a folder per subject, to train on and to test on.

    python benchmarks/photo_users.py PHOTOS FOLDER
    tweetprofile train FOLDER/train.parquet --image-root PHOTOS -o run
    tweetprofile predict FOLDER/test.parquet --image-root PHOTOS --checkpoint run -o out.parquet
    tweetprofile evaluate FOLDER/test.parquet out.parquet -o FOLDER/report

The subjects of a user's photographs depend on two traits: `gender` prefers one half of the
subjects, `occupation` a single one. No photograph of a test user is one of a training user, while
users of the same side share photographs. It also says how often the traits can be told from the
subjects alone, by a user's labels being the most probable ones: what a perfect eye could reach.
"""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import polars as pl
from numpy.typing import NDArray

_OF_GENDER, _OF_OCCUPATION = 0.25, 0.3
"""The shares of a user's photographs that the traits choose; the others have any subject."""

_TEST_SHARE = 0.3
_GENDERS = ("female", "male")


@click.command()
@click.argument("photos", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--users", default=600, show_default=True, help="Users to train on.")
@click.option("--test-users", default=300, show_default=True, help="Users to test on.")
@click.option("--images", default=11, show_default=True, help="Photographs per user.")
@click.option("--seed", default=0, show_default=True)
def main(photos: Path, folder: Path, users: int, test_users: int, images: int, seed: int) -> None:
    """Write FOLDER/train.parquet and FOLDER/test.parquet."""
    generator = np.random.default_rng(seed)
    subjects = sorted(each.name for each in photos.iterdir() if each.is_dir())
    sides: dict[str, list[list[str]]] = {"train": [], "test": []}
    for subject in subjects:
        names = sorted(f"{subject}/{each.name}" for each in (photos / subject).iterdir())
        generator.shuffle(names)
        first = round(_TEST_SHARE * len(names))
        sides["test"].append(names[:first])
        sides["train"].append(names[first:])
    chances = subject_chances(len(subjects))
    folder.mkdir(parents=True, exist_ok=True)
    for side, count in (("train", users), ("test", test_users)):
        labels = generator.integers(0, (len(_GENDERS), len(subjects)), (count, 2))
        drawn = np.stack(
            [generator.choice(len(subjects), images, p=chances[tuple(each)]) for each in labels]
        )
        rows = [[str(generator.choice(sides[side][subject])) for subject in row] for row in drawn]
        write(folder / f"{side}.parquet", rows, labels, subjects)
        told = best_labels(drawn, chances)
        right = (told == labels).mean(axis=0)
        click.echo(
            f"{side}: {count} users; by the subjects alone, gender {right[0]:.3f}, occupation "
            f"{right[1]:.3f}"
        )


def subject_chances(subjects: int) -> NDArray[np.float64]:
    """Return how probable each subject is by gender and occupation: (2, S, S)."""
    chances = np.full((2, subjects, subjects), (1 - _OF_GENDER - _OF_OCCUPATION) / subjects)
    half = subjects // 2
    chances[0, :, :half] += _OF_GENDER / half
    chances[1, :, half:] += _OF_GENDER / (subjects - half)
    chances[:, np.arange(subjects), np.arange(subjects)] += _OF_OCCUPATION
    return chances


def best_labels(drawn: NDArray[np.int64], chances: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the most probable gender and occupation of users by their subjects: (N, 2)."""
    logs = np.log(chances)[:, :, drawn].sum(axis=-1)  # (2, S, N)
    each = np.exp(logs - logs.max(axis=(0, 1)))
    return np.stack([each.sum(axis=1).argmax(axis=0), each.sum(axis=0).argmax(axis=0)], axis=1)


def write(
    path: Path, images: Sequence[Sequence[str]], labels: NDArray[np.int64], subjects: list[str]
) -> None:
    """Write a manifest."""
    rows = {
        "user_id": [f"{path.stem}-{number}" for number in range(len(images))],
        "images": images,
        "gender": [_GENDERS[each] for each in labels[:, 0]],
        "occupation": [subjects[each] for each in labels[:, 1]],
    }
    pl.DataFrame(rows).write_parquet(path)


if __name__ == "__main__":
    main()
