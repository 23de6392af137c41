"""Measure what damaged images cost: users per second with 0%, 5% and 30% of the images damaged.

    python benchmarks/damage.py --photos FOLDER

Every user has more images than a volume holds, so that each damaged image is replaced by another:
the network sees as many frames as on clean data, and the difference is the cost of damage. Workers
start once; the three dumps are then predicted in turn, round after round.
"""

import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median

import click
import pyarrow as pa
import pyarrow.parquet as pq
from dump import get_photos
from models import make_model
from report import report

from tweetprofile.engines.shards import ShardEngine
from tweetprofile.job import DecoderName, PredictorFacts
from tweetprofile.predicting.plan import PredictOptions, plan_prediction
from tweetprofile.predicting.run import run_plan

Damage = Callable[[bytes, random.Random], bytes]

_FRACTIONS = (0.0, 0.05, 0.3)

_DAMAGES: dict[str, Damage] = {
    "cut": lambda image, chance: image[: chance.randrange(1, len(image))],
    "an error page": lambda image, chance: b"<!DOCTYPE html><html>404 Not Found</html>",
    "empty": lambda image, chance: b"",
    "zeros": lambda image, chance: bytes(len(image)),
    "a bomb": lambda image, chance: _claim_more_pixels(image),
}
"""What dumps contain in place of images; none of it is usable."""


@click.command()
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="A folder of JPEGs; by default, images are drawn.",
)
@click.option("--users", default=240, show_default=True)
@click.option("--images", default=16, show_default=True, help="Images per user; a volume holds 11.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--decoder", type=click.Choice(["pillow", "dali"]), default="pillow")
@click.option("--devices", default="cpu", show_default=True)
def main(
    photos: Path | None, users: int, images: int, rounds: int, decoder: DecoderName, devices: str
) -> None:
    """Measure what damaged images cost."""
    encoded = get_photos(photos)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dumps = {part: write_dump(folder, encoded, users, images, part) for part in _FRACTIONS}
        options = PredictOptions(
            checkpoint=make_model(folder, encoded),
            devices=devices,
            decoder=decoder,
            overwrite=True,
        )
        with plan_prediction(dumps[0.0], folder / "out", options).engine() as engine:
            rates = measure(engine, dumps, folder / "out", options, rounds)
            settings = {"users": users, "images": images, "decoder": decoder, "devices": devices}
            show(rates, settings | {"photos": bool(photos), "batch_size": engine.facts.batch_size})


def measure(
    engine: ShardEngine[PredictorFacts],
    dumps: dict[float, Path],
    out: Path,
    options: PredictOptions,
    rounds: int,
) -> dict[float, list[float]]:
    """Return users per second for each dump and round, after one round that does not count."""
    rates: dict[float, list[float]] = {part: [] for part in dumps}
    for number in range(rounds + 1):
        for part, dump in dumps.items():
            plan = plan_prediction(dump, out, replace(options, limit=32 if not number else None))
            summary = run_plan(plan, engine)
            if number:
                rates[part].append(summary.counts.users / summary.seconds)
    assert not engine.deaths
    return rates


def show(rates: dict[float, list[float]], settings: Mapping[str, object]) -> None:
    """Print medians, and ratios to the clean dump of the same round."""
    clean = rates[0.0]
    ratios = {
        part: median(rate / base for rate, base in zip(each, clean, strict=True))
        for part, each in rates.items()
    }
    report(
        f"what damaged images cost ({settings['users']} users of {settings['images']} images)",
        ("damaged", "users/s (median)", "lowest", "highest", "against clean"),
        [
            (f"{part:.0%}", *map("{:.1f}".format, spread(each)), f"{ratios[part]:.3f}")
            for part, each in rates.items()
        ],
        {"settings": settings, "users_per_second": rates, "ratio_to_clean": ratios},
    )


def spread(rates: list[float]) -> tuple[float, float, float]:
    """Return the median, the lowest and the highest rate."""
    return median(rates), min(rates), max(rates)


def write_dump(folder: Path, photos: list[bytes], users: int, images: int, part: float) -> Path:
    """Write a manifest of embedded images, with a fraction `part` of them damaged."""
    chance = random.Random(0)
    lists = [
        [damaged(chance.choice(photos), part, chance) for _ in range(images)] for _ in range(users)
    ]
    path = folder / f"{part}.parquet"
    table = pa.table({"user_id": range(users), "images": pa.array(lists, pa.list_(pa.binary()))})
    pq.write_table(table, path, row_group_size=64)
    return path


def damaged(image: bytes, part: float, chance: random.Random) -> bytes:
    """Return the image, or with probability `part` what a dump may contain in its place."""
    if chance.random() >= part:
        return image
    return chance.choice(list(_DAMAGES.values()))(image, chance)


def _claim_more_pixels(jpeg: bytes) -> bytes:
    """Return the JPEG with a header that claims 400 megapixels."""
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        if (start := jpeg.find(marker)) > 0:
            size = (20_000).to_bytes(2, "big")
            return jpeg[: start + 5] + size + size + jpeg[start + 9 :]
    return b""


if __name__ == "__main__":
    main()
