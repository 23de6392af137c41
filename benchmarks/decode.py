"""Measure images per second by decoder and image size, against what the libraries allow at best.

    python benchmarks/decode.py --photos FOLDER

Encoded images in memory become frames. The decoders of `predict` are compared with Pillow as one
uses it in a script (a full decode and its own resize), and with libjpeg-turbo alone, without a
resize: no decoder that returns every pixel can be faster than that.
"""

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter

import click
import numpy as np
import simplejpeg
import torch
from dump import get_photos
from PIL import Image
from report import report

from tweetprofile.decoders import DecodeOptions, make_decoder
from tweetprofile.job import usable_processors
from tweetprofile.workers.devices import resolve_device

_SIZES = {"as they are": None, "800 x 600": (800, 600), "2048 x 1536": (2048, 1536)}
_BATCH = 88
"""Images decoded at a time: those of 8 users."""

Decode = Callable[[Sequence[bytes]], object]


@click.command()
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="A folder of JPEGs; by default, images are drawn.",
)
@click.option("--images", default=440, show_default=True, help="Images to decode per measurement.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--device", default="auto", show_default=True)
def main(photos: Path | None, images: int, rounds: int, device: str) -> None:
    """Measure decoders side by side."""
    torch.set_num_threads(1)
    originals = get_photos(photos)
    decoders = make_decoders(device)
    rates: dict[str, dict[str, list[float]]] = {}
    for name, size in _SIZES.items():
        encoded = [resized(photo, size) for photo in originals[:_BATCH]]
        rates[name] = {decoder: [] for decoder in decoders}
        for _ in range(rounds):
            for decoder, decode in decoders.items():
                rates[name][decoder].append(measure(decode, encoded, images))
    show(rates, {"images": images, "photos": bool(photos), "device": device})


def make_decoders(device: str) -> dict[str, Decode]:
    """Return everything that is compared, each with one thread per processor."""
    options = DecodeOptions(112, 112, threads=usable_processors())
    pool = ThreadPoolExecutor(options.threads)
    target = resolve_device(device)
    return {
        "Pillow, as in a script": lambda images: list(pool.map(by_pillow, images)),
        "decoder pillow": make_decoder("pillow", options, torch.device("cpu")).decode,
        f"decoder dali, {target.type}": make_decoder("dali", options, target).decode,
        "libjpeg-turbo alone": lambda images: list(pool.map(simplejpeg.decode_jpeg, images)),
    }


def by_pillow(image: bytes) -> object:
    """Decode and resize as a script does."""
    with Image.open(io.BytesIO(image)) as opened:
        return np.asarray(opened.convert("RGB").resize((112, 112), Image.Resampling.BILINEAR))


def measure(decode: Decode, encoded: Sequence[bytes], images: int) -> float:
    """Return images per second."""
    decode(encoded)
    began = perf_counter()
    for _ in range(max(1, images // len(encoded))):
        decode(encoded)
    return max(1, images // len(encoded)) * len(encoded) / (perf_counter() - began)


def resized(photo: bytes, size: tuple[int, int] | None) -> bytes:
    """Return the photograph at the given size, as a JPEG of quality 85."""
    if size is None:
        return photo
    file = io.BytesIO()
    Image.open(io.BytesIO(photo)).convert("RGB").resize(size).save(file, "JPEG", quality=85)
    return file.getvalue()


def show(rates: dict[str, dict[str, list[float]]], settings: dict[str, object]) -> None:
    """Print medians, with a row per decoder and a column per size."""
    report(
        "images per second, to 112 x 112, on all processors (medians)",
        ("decoder", *rates),
        [
            (decoder, *(f"{median(each[decoder]):,.0f}" for each in rates.values()))
            for decoder in next(iter(rates.values()))
        ],
        {"settings": settings, "images_per_second": rates},
    )


if __name__ == "__main__":
    main()
