"""What the benchmarks share: photographs, and users made from them.

A user with random photographs costs as much as a real one. All are the same in every run.
"""

import io
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Literal

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

Kind = Literal["progressive", "baseline", "png", "webp"]
"""How an image is encoded; the first two are JPEGs."""

_ENCODINGS: Mapping[Kind, tuple[str, Mapping[str, Any]]] = {
    "progressive": ("JPEG", {"quality": 85, "subsampling": "4:2:0", "progressive": True}),
    "baseline": ("JPEG", {"quality": 85, "subsampling": "4:2:0"}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"quality": 80}),
}
"""Pillow's format and options for each kind; JPEGs are encoded as Twitter does it."""

_SUFFIXES: Mapping[Kind, str] = {
    "progressive": ".jpg",
    "baseline": ".jpg",
    "png": ".png",
    "webp": ".webp",
}

_DRAWN = 64
_SIDE = 430
"""Pixels: the median side of the photographs behind the published results."""

_OCTAVES = ((256, 30), (64, 16), (16, 8), (4, 4))
"""The layers of noise of a large drawn photograph: the pixels between two values, and how far the
values spread. As in photographs, detail is weaker the finer it is."""

_CHROMA = 0.3
"""How far the colours of a large drawn photograph spread, as a share of its brightness."""

_ROWS_PER_GROUP = 256
"""Rows per row group of a manifest that holds its images."""


def read_photos(folder: Path) -> list[bytes]:
    """Return all JPEGs of a folder.

    Raises:
        ClickException: There are none.
    """
    photos = [path.read_bytes() for path in sorted(folder.glob("*.jp*g"))]
    if not photos:
        raise click.ClickException(f"{folder} contains no JPEGs")
    return photos


def draw_photos(count: int = _DRAWN, seed: int = 0, **encoding: Any) -> list[bytes]:
    """Return images of noise that have the size of photographs and compress like them.

    Args:
        count: The number of images.
        seed: The seed of the noise.
        encoding: How Pillow encodes the JPEGs; by default, with a quality of 90.
    """
    generator = np.random.default_rng(seed)
    options = encoding or {"quality": 90}
    return [_encode(Image.fromarray(_noise(generator)), options) for _ in range(count)]


def draw_large_photos(
    count: int, size: tuple[int, int] = (1200, 900), seed: int = 0
) -> list[Image.Image]:
    """Return images whose detail at each scale is that of photographs.

    As JPEGs of Twitter's quality they have 160 kB, as photographs of 1,200 pixels do, and the scans
    of a progressive one share these bytes in the same way. Simple noise has too much fine detail.
    """
    generator = np.random.default_rng(seed)
    return [_layered_noise(generator, size) for _ in range(count)]


def get_photos(folder: Path | None) -> list[bytes]:
    """Return the JPEGs of a folder, or drawn ones if there is none."""
    return read_photos(folder) if folder else draw_photos()


def encode(image: Image.Image, kind: Kind) -> bytes:
    """Return an image as an encoded one of the given kind."""
    name, options = _ENCODINGS[kind]
    return _encode(image, options, name)


def recode(data: bytes, kind: Kind) -> bytes:
    """Return an encoded image as it is if it has the given kind, and else encoded anew."""
    if kind_of(data) == kind:
        return data
    with Image.open(io.BytesIO(data)) as image:
        return encode(image.convert("RGB"), kind)


def kind_of(data: bytes) -> Kind:
    """Return the kind of an encoded image."""
    with Image.open(io.BytesIO(data)) as image:
        if image.format == "JPEG":
            return "progressive" if image.info.get("progressive") else "baseline"
        kinds: dict[str | None, Kind] = {"PNG": "png", "WEBP": "webp"}
        return kinds[image.format]


def describe(images: Sequence[bytes]) -> dict[str, object]:
    """Return what a result has to say of its images: how many of which kind, and their size."""
    return {
        "kinds": dict(Counter(map(kind_of, images)).most_common()),
        "median_megapixels": round(median_megapixels(images), 2),
        "median_kilobytes": round(median(map(len, images)) / 1000),
    }


def median_megapixels(images: Sequence[bytes]) -> float:
    """Return the median size of encoded images, in megapixels."""
    return median(map(_megapixels, images))


def _megapixels(data: bytes) -> float:
    with Image.open(io.BytesIO(data)) as image:
        return image.width * image.height / 1e6


def write_users(folder: Path, photos: list[bytes], users: int, images: int = 11) -> Path:
    """Write a manifest of users, each with some of the images at random.

    All images are used before any is used again, so that a dump has the same shares of each kind as
    the images. They are written to `folder`/images, unless they are there already.

    Args:
        folder: The folder to write to.
        photos: The images.
        users: The number of users.
        images: The number of images per user.

    Returns:
        The manifest, `folder`/manifest.parquet.
    """
    names = _write_photos(folder, photos)
    drawn = _shuffled(names, users * images)
    lists = [drawn[start : start + images] for start in range(0, len(drawn), images)]
    ids = [f"user-{number:06}" for number in range(users)]
    path = folder / "manifest.parquet"
    pq.write_table(pa.table({"user_id": ids, "images": lists}), path)
    return path


def embed_images(manifest: Path, path: Path, users: int | None = None) -> Path:
    """Write a manifest again, with the files that it names in it.

    Args:
        manifest: The manifest.
        path: The file to write.
        users: The number of users, from the first one; None for all.

    Returns:
        `path`.
    """
    table = pq.read_table(manifest).slice(0, users)
    images = {
        name: (manifest.parent / name).read_bytes()
        for names in table["images"].to_pylist()
        for name in names
    }
    schema = pa.schema([("user_id", pa.string()), ("images", pa.list_(pa.binary()))])
    with pq.ParquetWriter(path, schema, compression="none") as file:
        for start in range(0, len(table), _ROWS_PER_GROUP):
            rows = table.slice(start, _ROWS_PER_GROUP)
            lists = [[images[name] for name in names] for names in rows["images"].to_pylist()]
            file.write_table(pa.table([rows["user_id"], pa.array(lists)], schema=schema))
    return path


def _write_photos(folder: Path, photos: list[bytes]) -> list[str]:
    """Write the images; return the names of their files, relative to the folder."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    names = [
        f"images/{number:04}{_SUFFIXES[kind_of(photo)]}" for number, photo in enumerate(photos)
    ]
    for name, photo in zip(names, photos, strict=True):
        path = folder / name
        if not path.exists():
            path.write_bytes(photo)
    return names


def _shuffled(names: Sequence[str], count: int) -> list[str]:
    """Return `count` names: all of them in a random order, then all in another one, and so on.

    A name comes again only after three quarters of all others. An image that several users of a
    batch have would otherwise be embedded once for all of them, which spares little in real dumps.
    """
    chance = random.Random(0)
    order = chance.sample(names, len(names))
    quarter = -(-len(order) // 4)
    parts = [order[start : start + quarter] for start in range(0, len(order), quarter)]
    rounds = -(-count // len(names))
    shuffled = (chance.sample(part, len(part)) for _ in range(rounds) for part in parts)
    return [name for part in shuffled for name in part][:count]


def _layered_noise(generator: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    planes = [_layered_plane(generator, size, strength) for strength in (1, _CHROMA, _CHROMA)]
    return Image.merge("YCbCr", planes).convert("RGB")


def _layered_plane(
    generator: np.random.Generator, size: tuple[int, int], strength: float
) -> Image.Image:
    """Return the sum of all layers of noise around a middle brightness."""
    width, height = size
    plane = np.full((height, width), 128, np.float32)
    for cell, spread in _OCTAVES:
        values = generator.normal(0, 2 * spread * strength, (height // cell + 2, width // cell + 2))
        layer = Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
        plane += np.asarray(layer)
    return Image.fromarray(plane.clip(0, 255).astype(np.uint8))


def _noise(generator: np.random.Generator) -> NDArray[np.uint8]:
    coarse = generator.integers(0, 256, (54, 54, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))


def _encode(image: Image.Image, options: Mapping[str, Any], name: str = "JPEG") -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()
