"""Measure the milliseconds from the files of a group of users to their rows, by stage.

    python benchmarks/latency.py --photos FOLDER

A group is predicted by itself, as in a service: one `Predictor` uses all processors (or a GPU) and
nothing else runs. `predict` takes less time per user, as its worker threads overlap; this is the
time to wait for one answer.
"""

import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pyarrow.parquet as pq
from dump import get_photos, write_users
from models import ModelOptions, make_model
from report import report

from tweetprofile import Predictor, load_checkpoint
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import UserImages
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
"""Milliseconds of one group, by stage and in total."""


@click.command()
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="A folder of JPEGs; by default, images are drawn.",
)
@click.option("--model", type=click.Choice(list(PRESETS)), default="model1", show_default=True)
@click.option(
    "--groups", default=60, show_default=True, help="The number of groups to measure per size."
)
@click.option("--sizes", default="1,2,4,8,16,32,64", show_default=True, help="Users per group.")
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
    """Measure the time of one group of users by stage."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoded = get_photos(photos)
        manifest = write_users(folder, encoded, users=256)
        users = next(Manifest.open(manifest).shards(256)).users
        options = PredictorOptions(folder, device, decoder, precision)  # type: ignore[arg-type]
        predictor = Predictor(
            load_checkpoint(make_model(folder, encoded, ModelOptions(model))), options
        )
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
    """Measure one group, from its files to a Parquet file of its rows."""
    began = time.perf_counter()
    profiles = predictor(group)
    predicted = time.perf_counter()
    pq.write_table(profiles, out)
    ended = time.perf_counter()
    seconds = predictor.take_seconds() | {Stage.WRITE: ended - predicted}
    milliseconds = {stage.value: 1e3 * seconds.get(stage, 0.0) for stage in _STAGES}
    return milliseconds | {"total": 1e3 * (ended - began)}


def summarise(samples: list[Sample]) -> dict[str, dict[str, float]]:
    """Return percentiles by stage."""
    return {
        stage: {
            f"p{percentile}": float(np.percentile([each[stage] for each in samples], percentile))
            for percentile in _PERCENTILES
        }
        for stage in samples[0]
    }


def show(results: dict[int, dict[str, dict[str, float]]], settings: dict[str, object]) -> None:
    """Print percentiles of the total and the median per stage, with a row per group size."""
    stages = [stage.value for stage in _STAGES]
    report(
        "milliseconds per group of users; stages are medians",
        ("users", "p50", "p95", "p99", *stages, "ms per user"),
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
