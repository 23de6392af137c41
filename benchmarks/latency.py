"""What one group of users costs from its files to its rows, in milliseconds, stage by stage.

    python benchmarks/latency.py --photos FOLDER

A group is predicted by itself, as a service would: one `Predictor` with all processors (or a GPU),
nothing else going on. `predict` is faster by the user, since its lanes overlap; this is how long
one has to wait.
"""

import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pyarrow.parquet as pq
from dump import get_photos, make_model, write_users
from report import report

from tweetprofile import Predictor, load_checkpoint
from tweetprofile.data.manifests.manifest import Manifest, UserImages
from tweetprofile.job import DecoderName, PredictorOptions
from tweetprofile.networks import PRESETS
from tweetprofile.stages import Stage

_STAGES = (
    Stage.READ,
    Stage.SCREEN,
    Stage.DECODE,
    Stage.STACK,
    Stage.FORWARD,
    Stage.PROFILE,
    Stage.WRITE,
)
_PERCENTILES = (50, 95, 99)
_WARM_UP = 3

Sample = dict[str, float]
"""Milliseconds of one group, by stage, and in total."""


@click.command()
@click.option("--photos", type=click.Path(path_type=Path), help="Folder of JPEGs; else drawn.")
@click.option("--model", type=click.Choice(list(PRESETS)), default="model1", show_default=True)
@click.option("--groups", default=60, show_default=True, help="Measured for each group size.")
@click.option("--sizes", default="1,2,4,8,16,32,64", show_default=True, help="Users a group.")
@click.option("--device", default="auto", show_default=True)
@click.option("--decoder", type=click.Choice(["auto", "pillow", "dali"]), default="auto")
@click.option("--precision", default="auto", show_default=True)
def main(
    photos: Path | None,
    model: str,
    groups: int,
    sizes: str,
    device: str,
    decoder: DecoderName,
    precision: str,
) -> None:
    """Measure what one group of users costs, stage by stage."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoded = get_photos(photos)
        manifest = write_users(folder, encoded, users=256)
        users = next(Manifest.open(manifest).shards(256)).users
        options = PredictorOptions(folder, device, decoder, precision)  # type: ignore[arg-type]
        predictor = Predictor(load_checkpoint(make_model(folder, encoded, model)), options)
        results = {
            size: summarise(measure(predictor, users, size, groups, folder / "rows.parquet"))
            for size in map(int, sizes.split(","))
        }
        facts = predictor.facts
    settings = {"groups": groups, "photos": bool(photos), "device": facts.device}
    settings |= {"model": model, "decoder": facts.decoder, "precision": facts.precision}
    show(results, settings | {"batch_size": facts.batch_size})


def measure(
    predictor: Predictor, users: list[UserImages], size: int, groups: int, out: Path
) -> list[Sample]:
    """Predict and write groups one after the other; the first few do not count."""
    samples = []
    for number in range(groups + _WARM_UP):
        start = number * size
        group = [users[(start + position) % len(users)] for position in range(size)]
        samples.append(measure_group(predictor, group, out))
    return samples[_WARM_UP:]


def measure_group(predictor: Predictor, group: list[UserImages], out: Path) -> Sample:
    """One group, from its files to a Parquet file of its rows."""
    began = time.perf_counter()
    profiles = predictor(group)
    predicted = time.perf_counter()
    pq.write_table(profiles, out)
    ended = time.perf_counter()
    seconds = predictor.take_seconds() | {Stage.WRITE: ended - predicted}
    milliseconds = {stage.value: 1e3 * seconds.get(stage, 0.0) for stage in _STAGES}
    return milliseconds | {"total": 1e3 * (ended - began)}


def summarise(samples: list[Sample]) -> dict[str, dict[str, float]]:
    """Percentiles by stage."""
    return {
        stage: {
            f"p{percentile}": float(np.percentile([each[stage] for each in samples], percentile))
            for percentile in _PERCENTILES
        }
        for stage in samples[0]
    }


def show(results: dict[int, dict[str, dict[str, float]]], settings: dict[str, object]) -> None:
    """Print the total's percentiles and each stage's median, a row a group size."""
    stages = [stage.value for stage in _STAGES]
    report(
        "milliseconds a group of users; stages are medians",
        ("users", "p50", "p95", "p99", *stages, "ms a user"),
        [
            (
                str(size),
                *(f"{milliseconds:.1f}" for milliseconds in result["total"].values()),
                *(f"{result[stage]['p50']:.2f}" for stage in stages),
                f"{result['total']['p50'] / size:.1f}",
            )
            for size, result in results.items()
        ],
        {"settings": settings, "milliseconds": results},
    )


if __name__ == "__main__":
    main()
