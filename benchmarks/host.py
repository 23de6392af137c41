"""Measure how many images per second the host can feed to a GPU that costs nothing.

    python benchmarks/host.py --photos FOLDER

One real worker process, with the worker threads and batches of a GPU, does everything that a run
does except decoding and the network, whose results are constants: it reads the manifest and the
images, screens them, hands them to DALI, stacks frames and makes rows. A GPU that is faster waits
for the host. The supervisor's own processor time per image says how many workers it can serve.
"""

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
from dump import embed_images, get_photos, write_users
from free_job import FreeJob
from report import report

from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import MAX_IMAGES
from tweetprofile.engines.local import EngineOptions, LocalEngine
from tweetprofile.engines.shards import ShardSource
from tweetprofile.job import VOLUME_FRAMES, PredictorFacts, PredictorOptions
from tweetprofile.networks import build_network, network_spec
from tweetprofile.traits import PRESETS
from tweetprofile.volumes.spec import VolumeSpec

_SIDE = 16
"""Pixels: the smallest frame, so that copying frames costs nothing either, as on a GPU."""

_BATCH_SIZE = 64
"""Users per forward pass, as on a GPU."""


@dataclass(frozen=True, slots=True)
class Round:
    """One pass over the manifest.

    Attributes:
        images_per_second: The images that the worker has processed, by the wall clock.
        supervisor_us: The processor time of the supervisor per image, in microseconds.
    """

    images_per_second: float
    supervisor_us: float


@click.command()
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="A folder of JPEGs; by default, images are drawn.",
)
@click.option("--users", default=1024, show_default=True, help="Users in the manifest.")
@click.option("--rounds", default=7, show_default=True, help="Passes over the manifest.")
@click.option("--threads", default=3, show_default=True, help="Worker threads, as on a GPU.")
def main(photos: Path | None, users: int, rounds: int, threads: int) -> None:
    """Measure the host's images per second, by path and embedded."""
    results: dict[str, list[Round]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoded = get_photos(photos)
        checkpoint = _save_model(folder / "model.safetensors")
        by_path = write_users(folder, encoded, users, VOLUME_FRAMES)
        embedded = embed_images(by_path, folder / "embedded.parquet")
        for manifest in (by_path, embedded):
            kind = "path" if manifest == by_path else "embedded"
            results[kind] = measure(manifest, checkpoint, rounds, threads)
    settings: dict[str, object] = {"users": users, "rounds": rounds, "threads": threads}
    size = sum(map(len, encoded)) // len(encoded)
    show(results, settings | {"photos": bool(photos), "bytes_per_image": size})


def measure(manifest: Path, checkpoint: Path, rounds: int, threads: int) -> list[Round]:
    """Pass over a manifest several times; the first pass does not count."""
    opened = Manifest.open(manifest)
    options = PredictorOptions(manifest.parent, decoder="dali", batch_size=_BATCH_SIZE)
    users = opened.count_users()
    source = ShardSource(opened, users, users, (), MAX_IMAGES)
    job = FreeJob(checkpoint, options=options, rows=source.content_rows)
    engine_options = EngineOptions("cpu", worker_threads=threads)
    with LocalEngine(job, engine_options) as engine:
        passes = [measure_pass(source, engine) for _ in range(rounds + 1)]
    return passes[1:]


def measure_pass(source: ShardSource, engine: LocalEngine[PredictorFacts]) -> Round:
    """Predict every user of a manifest once."""
    began, spent = time.perf_counter(), time.process_time()
    images = sum(
        sum(rows["images_given"].to_pylist()) for _, rows in engine.run_shards(source, [0])
    )
    seconds, busy = time.perf_counter() - began, time.process_time() - spent
    return Round(images / seconds, 1e6 * busy / images)


def show(results: dict[str, list[Round]], settings: dict[str, object]) -> None:
    """Print the medians, with the lowest and highest rates."""
    rows = []
    for kind, passes in results.items():
        rates = [each.images_per_second for each in passes]
        supervisor = statistics.median(each.supervisor_us for each in passes)
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        rows.append((kind, f"{statistics.median(rates):,.0f}", spread, f"{supervisor:.1f}"))
    report(
        "one worker, with decoding and network free",
        ("images", "images/s", "lowest to highest", "supervisor, us per image"),
        rows,
        {
            "settings": settings,
            "images_per_second": {
                kind: [each.images_per_second for each in passes]
                for kind, passes in results.items()
            },
            "supervisor_us": {
                kind: [each.supervisor_us for each in passes] for kind, passes in results.items()
            },
        },
    )


def _save_model(path: Path) -> Path:
    """Save a small model; its weights are never used."""
    spec = VolumeSpec(height=_SIDE, width=_SIDE)
    save_checkpoint(path, build_network(network_spec("deepset"), spec, PRESETS["mex-a3t-2019"]), {})
    return path


if __name__ == "__main__":
    main()
