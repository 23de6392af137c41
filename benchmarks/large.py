"""Measure users per second and memory with a million users in the manifest, against 10,000.

    python benchmarks/large.py --photos FOLDER

A run of the smaller manifest is finished. A run of the larger would take hours, so it is
interrupted after as many users. What is compared is the rate between the first and the last shard,
and the time until the first shard, which the manifest itself determines.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from commands import predict_command
from dump import get_photos
from memory import proportional_set_size, tree
from models import make_model
from report import report

_EVERY = 0.5
"""Seconds between measurements of memory."""

_IMAGES = 11
_SHARD = 256


@click.command()
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="A folder of JPEGs; by default, images are drawn.",
)
@click.option(
    "--users", default=10_000, show_default=True, help="The users to predict of each manifest."
)
@click.option(
    "--times",
    default=100,
    show_default=True,
    help="The ratio of the larger manifest to the smaller.",
)
@click.option("--rounds", default=1, show_default=True)
def main(photos: Path | None, users: int, times: int, rounds: int) -> None:
    """Measure both manifests in turn."""
    encoded = get_photos(photos)
    runs: dict[int, list[dict[str, float]]] = {users: [], users * times: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_model(folder, encoded)
        for number, photo in enumerate(encoded):
            (folder / f"{number}.jpg").write_bytes(photo)
        for size in runs:
            write_manifest(folder / f"{size}.parquet", size, len(encoded))
        for _ in range(rounds):
            for size, found in runs.items():
                found.append(measure(folder / f"{size}.parquet", model, folder / "out", users))
    show(runs, {"users": users, "times": times, "photos": bool(photos)})


def write_manifest(path: Path, users: int, photos: int) -> None:
    """Write a manifest of users with random paths of few photographs, in groups of 65,536 rows."""
    generator = np.random.default_rng(0)
    schema = pa.schema([("user_id", pa.string()), ("images", pa.list_(pa.string()))])
    with pq.ParquetWriter(path, schema) as file:
        for first in range(0, users, 1 << 16):
            rows = min(1 << 16, users - first)
            paths = [f"{number}.jpg" for number in generator.integers(0, photos, rows * _IMAGES)]
            offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * _IMAGES)
            lists = pa.ListArray.from_arrays(offsets, pa.array(paths))
            ids = pa.array([f"user-{first + row}" for row in range(rows)])
            file.write_table(pa.Table.from_arrays([ids, lists], schema=schema))


def measure(manifest: Path, model: Path, out: Path, users: int) -> dict[str, float]:
    """Predict a number of users; return seconds to the first shard, the rate, and memory."""
    command = predict_command(manifest, model, out, "--users-per-shard", str(_SHARD))
    began, highest = time.time(), 0
    found: list[os.stat_result] = []
    shards = out.with_name(f"{out.name}.partial") / "shards"
    with subprocess.Popen(command) as process:
        while process.poll() is None and len(parts(shards)) < users // _SHARD:
            highest = max(highest, sum(map(proportional_set_size, tree(process.pid))))
            found = parts(shards) or found
            time.sleep(_EVERY)
        process.send_signal(signal.SIGINT)
    if process.returncode not in (0, 130):
        raise click.ClickException(f"{' '.join(command)} ended with {process.returncode}")
    first, last = found[0].st_mtime, found[-1].st_mtime
    return {
        "first_shard_s": first - began,
        "users_per_s": (len(found) - 1) * _SHARD / (last - first),
        "peak_bytes": highest,
        "shard_bytes_a_user": sum(each.st_size for each in found) / (len(found) * _SHARD),
    }


def parts(shards: Path) -> list[os.stat_result]:
    """Return the finished shards, in the order in which they were written."""
    with suppress(FileNotFoundError):  # a finished run has merged them
        found = [path.stat() for path in shards.glob("part-*.parquet")]
        return sorted(found, key=lambda each: each.st_mtime)
    return []


def show(runs: dict[int, list[dict[str, float]]], settings: dict[str, object]) -> None:
    """Print a row per size of manifest."""
    rows = [
        (
            f"{size:,}",
            *(
                _median(found, key, unit)
                for key, unit in (("first_shard_s", 1), ("users_per_s", 1))
            ),
            _median(found, "peak_bytes", 1 << 20),
        )
        for size, found in runs.items()
    ]
    columns = ("users in the manifest", "s to the first shard", "users/s", "peak memory, MiB")
    report("A large manifest against a small one", columns, rows, {**settings, "runs": runs})


def _median(runs: Sequence[dict[str, float]], key: str, unit: float) -> str:
    return f"{np.median([run[key] for run in runs]) / unit:,.1f}"


if __name__ == "__main__":
    main()
