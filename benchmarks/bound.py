"""Measure decoding alone and the network alone, each on all processors.

    python benchmarks/bound.py --photos FOLDER [--dump mixed] [--backbone efficientnet-lite0]

A run that did nothing else would take the seconds of both for each user: that is the bound that
`throughput.py` compares `predict` with. Both are measured as `predict` runs them: one thread per
processor, each of which computes on that processor alone. A backbone embeds frames that are in
memory, in full groups of the size that `predict` uses.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import click
import torch
from commands import start_as_worker
from dump import describe, write_users
from models import ModelOptions, make_model, model_options
from report import report
from workloads import dump_option, get_images

from tweetprofile import load_checkpoint
from tweetprofile.checkpoints.backbone import Backbone
from tweetprofile.checkpoints.checkpoint import Checkpoint
from tweetprofile.data.images.reader import ImageReader
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import UserImages
from tweetprofile.decoders import DecodeOptions, make_decoder
from tweetprofile.job import usable_processors
from tweetprofile.networks import EmbeddingSetSpec, for_inference
from tweetprofile.workers.devices import resolve_precision
from tweetprofile.workers.embedding import group_size
from tweetprofile.workers.frames import FrameLoader

_USERS_PER_PASS = 4
"""The batch size of `predict` on a CPU."""

_USERS_PER_GROUP = 16
"""The users that a thread works on at a time; their 176 images fill groups of 16 frames."""

_CPU = torch.device("cpu")

Work = Callable[[Sequence[UserImages]], object]


@click.command()
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="A folder of JPEGs; by default, images are drawn.",
)
@dump_option
@model_options
@click.option("--users", default=200, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(
    photos: Path | None,
    dump: str,
    model: str,
    backbone: str | None,
    frame_size: int | None,
    users: int,
    rounds: int,
) -> None:
    """Measure decoding alone and the network alone."""
    options = ModelOptions(model, backbone, frame_size)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoded = get_images(dump, photos)
        manifest = write_users(folder, encoded, users)
        everyone = next(Manifest.open(manifest).shards(users)).users
        checkpoint = load_checkpoint(make_model(folder, encoded, options))
        works = {
            "read and decode": lambda: loading(checkpoint, folder),
            "network": lambda: computing(checkpoint),
        }
        rates: dict[str, list[float]] = {work: [] for work in works}
        for _ in range(rounds):
            for work, make in works.items():
                rates[work].append(measure(make, everyone))
    bounds = [1 / sum(1 / rate for rate in pair) for pair in zip(*rates.values(), strict=True)]
    settings: dict[str, object] = {
        "users": users,
        "photos": bool(photos),
        "dump": dump,
        "images": describe(encoded),
        **asdict(options),
    }
    show(rates | {"both, one after the other": bounds}, settings)


def measure(make: Callable[[], Work], users: Sequence[UserImages]) -> float:
    """Return users per second with one thread per processor, each with its own work function.

    All threads work on as many users, in groups of 16, so that none ends early: there are about as
    many users as are given.
    """
    processors = usable_processors()
    count = max(1, round(len(users) / (_USERS_PER_GROUP * processors))) * processors
    everyone = cycle(users)
    groups = [list(islice(everyone, _USERS_PER_GROUP)) for _ in range(count)]
    workers = [make() for _ in range(processors)]
    for worker in workers:
        worker(groups[0])

    def work(number: int) -> None:
        for group in groups[number::processors]:
            workers[number](group)

    with ThreadPoolExecutor(processors) as pool:
        began = time.perf_counter()
        list(pool.map(work, range(processors)))
        return count * _USERS_PER_GROUP / (time.perf_counter() - began)


def loading(checkpoint: Checkpoint, folder: Path) -> Work:
    """Return a function that reads and decodes users' images."""
    spec = checkpoint.volume_spec
    decoder = make_decoder("auto", DecodeOptions(spec.height, spec.width, threads=1), _CPU)
    return FrameLoader(ImageReader(folder), decoder, spec.frame_size()).load


def computing(checkpoint: Checkpoint) -> Work:
    """Return a function that runs the network of a checkpoint."""
    over_embeddings = isinstance(checkpoint.network_spec, EmbeddingSetSpec)
    return embedding(checkpoint) if over_embeddings else forwarding(checkpoint)


def forwarding(checkpoint: Checkpoint) -> Work:
    """Return a function that runs the network on noise; the content makes no difference."""
    spec = checkpoint.volume_spec
    dtype = resolve_precision("auto", _CPU)
    network = for_inference(checkpoint.network, _CPU, dtype)
    volumes = torch.randint(0, 256, (_USERS_PER_PASS, *spec.shape, 3), dtype=torch.uint8)

    @torch.inference_mode()
    def forward(users: Sequence[UserImages]) -> None:
        for _ in range(0, len(users), _USERS_PER_PASS):
            network(spec.normalise(volumes, dtype))

    return forward


def embedding(checkpoint: Checkpoint) -> Work:
    """Return a function that runs the backbone on noise; a head takes no time worth measuring."""
    spec, dtype = checkpoint.volume_spec, resolve_precision("auto", _CPU)
    network = Backbone.of(checkpoint).network
    network.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    frames = group_size(_CPU, spec)
    sizes = frames, 1, spec.height, spec.width, 3
    group = torch.randint(0, 256, sizes, dtype=torch.uint8)

    @torch.inference_mode()
    def embed(users: Sequence[UserImages]) -> None:
        for _ in range(0, len(users) * spec.frames, frames):
            network(spec.normalise(group, dtype)[:, :, 0])

    return embed


def show(rates: dict[str, list[float]], settings: dict[str, object]) -> None:
    """Print the medians of the rounds."""
    report(
        "what decoding and the network allow, users per second",
        ("alone on all processors", "users/s (median)", "lowest", "highest"),
        [
            (name, f"{median(each):.1f}", f"{min(each):.1f}", f"{max(each):.1f}")
            for name, each in rates.items()
        ],
        {"settings": settings, "users_per_second": rates},
    )


if __name__ == "__main__":
    start_as_worker()
    main()
