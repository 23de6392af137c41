"""The images of a dump: photographs as they are, progressive ones, or what Twitter users post.

Twitter long served progressive JPEGs of up to 1,200 pixels a side; since 2019 many originals pass
through, so that baseline JPEGs, PNGs and WebPs are among them.
"""

import io
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from dump import Kind, draw_large_photos, encode, get_photos, median_megapixels, read_photos, recode
from PIL import Image
from screenshots import draw_screenshots

SHARES: Mapping[Kind, int] = {"progressive": 70, "baseline": 15, "png": 10, "webp": 5}
"""The number of images of each kind among the 100 of a mixed dump."""

DUMPS = ("photos", "progressive", "mixed")
"""What a dump may consist of: the photographs as they are, the same ones as progressive JPEGs, or
the kinds of `SHARES`."""

dump_option = click.option(
    "--dump",
    type=click.Choice(DUMPS),
    default="photos",
    show_default=True,
    help="The photographs as they are, as progressive JPEGs, or 70% of them so, with 15% baseline "
    "JPEGs, 10% PNG screenshots and 5% WebP.",
)

_DRAWN = 24
"""Photographs that are drawn if there are none to read."""

_MANY_MEGAPIXELS = 0.5
"""Images above this size take so long that fewer users are enough."""


def get_images(dump: str, folder: Path | None) -> list[bytes]:
    """Return the encoded images of one of `DUMPS`.

    Args:
        dump: What the images are.
        folder: The folder of JPEGs to make them from. Without one, photographs are drawn: of 1,200
            pixels for `progressive` and `mixed`.
    """
    if dump == "photos":
        return get_photos(folder)
    photos = read_photos(folder) if folder else _draw()
    return mix(photos) if dump == "mixed" else [recode(photo, "progressive") for photo in photos]


def mix(photos: Sequence[bytes], seed: int = 0) -> list[bytes]:
    """Return 100 images with exactly the shares of `SHARES`, in a random order.

    The photographs become JPEGs and WebPs by turns; those that have the wanted kind stay as they
    are. They are also the pictures inside the screenshots. None is scaled.
    """
    kinds = [kind for kind, count in SHARES.items() for _ in range(count)]
    random.Random(seed).shuffle(kinds)
    screenshots = iter(draw_screenshots([_open(photo) for photo in photos], SHARES["png"]))
    images = []
    for number, kind in enumerate(kinds):
        if kind == "png":
            images.append(encode(next(screenshots), kind))
        else:
            images.append(recode(photos[number % len(photos)], kind))
    return images


def usual_users(images: Sequence[bytes]) -> int:
    """Return how many users a measurement needs to take some ten seconds or more."""
    return 700 if median_megapixels(images) > _MANY_MEGAPIXELS else 1300


def _draw() -> list[bytes]:
    return [encode(photo, "progressive") for photo in draw_large_photos(_DRAWN)]


def _open(photo: bytes) -> Image.Image:
    with Image.open(io.BytesIO(photo)) as image:
        return image.convert("RGB")
