"""Measure images per second by decoder and image size, against what the libraries allow at best.

    python benchmarks/decode.py --photos FOLDER

Encoded images in memory become frames. The decoders of `predict` are compared with Pillow as one
uses it in a script (a full decode and its own resize), and with libjpeg-turbo alone, without a
resize: no decoder that returns every pixel can be faster than that.

A second table is of progressive photographs of 1,200 pixels, to frames of several sizes. Each
decoder decodes them in full and as far as a frame shows (`DecodeOptions.detail`), and the grey
levels by which the frames of the two differ are the price of the difference in speed.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import get_args

import click
import numpy as np
import simplejpeg
import torch
from dump import describe, encode, get_photos
from PIL import Image
from report import report, show_table
from workloads import get_images

from tweetprofile.decoders import DecodeOptions, FrameDecoder, make_decoder
from tweetprofile.job import DecoderName, Detail, usable_processors
from tweetprofile.workers.devices import resolve_device

_SIZES = {"as they are": None, "800 x 600": (800, 600), "2048 x 1536": (2048, 1536)}
_BATCH = 88
"""Images decoded at a time: those of 8 users."""

_SIDES = (64, 112, 224)
"""The sides of the frames that large photographs become."""

_LARGE_DECODERS: tuple[DecoderName, ...] = ("pillow", "dali")

_LARGE_SIDE = 1200
"""The longer side of large photographs, in pixels."""

Decode = Callable[[Sequence[bytes]], object]


@dataclass(frozen=True, slots=True)
class Large:
    """What one decoder makes of large progressive photographs, for frames of one size.

    Attributes:
        rates: Images per second in each round, by detail.
        mean_difference: The grey levels by which frames differ between the details, as a mean.
        worst_difference: The same for the image that differs most.
    """

    rates: Mapping[Detail, Sequence[float]]
    mean_difference: float
    worst_difference: float


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
    progressive = large_photos(photos)
    large = {
        decoder: {
            side: measure_large(decoder, device, side, progressive, images, rounds)
            for side in _SIDES
        }
        for decoder in _LARGE_DECODERS
    }
    show_large(large)
    settings = {"images": images, "photos": bool(photos), "device": device}
    show(rates, large, settings | {"large": describe(progressive)})


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
    with Image.open(io.BytesIO(photo)) as image:
        return encode(image.convert("RGB").resize(size), "baseline")


def large_photos(folder: Path | None) -> list[bytes]:
    """Return one batch of progressive photographs whose longer side has 1,200 pixels."""
    return [_scaled(photo) for photo in get_images("progressive", folder)[:_BATCH]]


def _scaled(photo: bytes) -> bytes:
    with Image.open(io.BytesIO(photo)) as image:
        scale = _LARGE_SIDE / max(image.size)
        if scale == 1:
            return photo
        size = round(image.width * scale), round(image.height * scale)
        return encode(image.convert("RGB").resize(size), "progressive")


def measure_large(
    name: DecoderName, device: str, side: int, encoded: list[bytes], images: int, rounds: int
) -> Large:
    """Measure one decoder with frames of one size, in full and as far as a frame shows."""
    target = resolve_device(device) if name == "dali" else torch.device("cpu")
    threads = usable_processors()
    decoders: dict[Detail, FrameDecoder] = {
        detail: make_decoder(
            name, DecodeOptions(side, side, threads=threads, detail=detail), target
        )
        for detail in get_args(Detail)
    }
    rates: dict[Detail, list[float]] = {detail: [] for detail in decoders}
    for _ in range(rounds):
        for detail, decoder in decoders.items():
            rates[detail].append(measure(decoder.decode, encoded, images))
    full, frame = (decoder.decode(encoded).frames_FHWC.cpu() for decoder in decoders.values())
    differences = (full.float() - frame.float()).abs().mean(dim=(1, 2, 3)).tolist()
    return Large(rates, mean(differences), max(differences))


def show_large(large: Mapping[DecoderName, Mapping[int, Large]]) -> None:
    """Print the table of large progressive photographs, with a row per decoder and detail."""
    show_table(
        "progressive photographs of 1,200 pixels: images per second by side of the frame, and by "
        "how many grey levels the two details differ (mean, worst image)",
        ("decoder", "detail", *map(str, _SIDES), *(f"differ at {side}" for side in _SIDES)),
        [
            (
                decoder,
                detail,
                *(f"{median(each.rates[detail]):,.0f}" for each in by_side.values()),
                *(
                    f"{each.mean_difference:.2f}, {each.worst_difference:.2f}"
                    for each in by_side.values()
                ),
            )
            for decoder, by_side in large.items()
            for detail in get_args(Detail)
        ],
    )


def show(
    rates: dict[str, dict[str, list[float]]],
    large: Mapping[DecoderName, Mapping[int, Large]],
    settings: dict[str, object],
) -> None:
    """Print medians, with a row per decoder and a column per size."""
    report(
        "images per second, to 112 x 112, on all processors (medians)",
        ("decoder", *rates),
        [
            (decoder, *(f"{median(each[decoder]):,.0f}" for each in rates.values()))
            for decoder in next(iter(rates.values()))
        ],
        {
            "settings": settings,
            "images_per_second": rates,
            "large_progressive": {
                decoder: {side: asdict(each) for side, each in by_side.items()}
                for decoder, by_side in large.items()
            },
        },
    )


if __name__ == "__main__":
    main()
