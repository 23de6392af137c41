"""Measure users per second of `tweetprofile predict`, and of what people would write instead.

    pip install '.[benchmarks]'
    python benchmarks/throughput.py --photos FOLDER [--dump mixed] [--backbone efficientnet-lite0]

Complete commands run in turn, round after round, on the same manifest and weights, at two sizes.
The difference between the sizes gives the rate; the rest of the smaller one is start-up. Ratios are
taken within a round. All rows, ours included, are then compared with those of `tweetprofile predict
--precision fp32`, which separates the effects of decoding and resizing from that of bf16. Each
round also measures what decoding and the network allow (`bound.py`).
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import click
import numpy as np
import polars as pl
from commands import CONTENDERS, OURS, command_of, predict_command, seconds_of
from dump import describe, write_users
from models import ModelOptions, make_model, model_options
from report import report
from workloads import dump_option, get_images, usual_users

from tweetprofile import load_checkpoint

_BOUND = Path(__file__).with_name("bound.py")

_USERS_WITH_BACKBONE = 300
"""The usual number of users of the larger manifest: a backbone takes many times as long."""

_MOST_USERS_OF_BOUND = 200

_EXACT = "tweetprofile in fp32"
"""The run that all rows are compared with; it is not timed."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of one contender in one round.

    Attributes:
        small: The seconds of the command for the smaller manifest.
        large: The seconds of the command for the larger manifest.
        rate: Users per second, without start-up.
        startup: The seconds of start-up.
        counted: The seconds for a given number of users, start-up included.
    """

    small: float
    large: float
    rate: float
    startup: float
    counted: float


@dataclass(frozen=True, slots=True)
class Arena:
    """What all contenders get: two manifests, a model, and a folder for their output."""

    folder: Path
    manifests: tuple[Path, Path]
    sizes: tuple[int, int]
    counted: int
    checkpoint: Path
    backbone: bool

    def out(self, contender: str) -> Path:
        """Return the output of a contender; Ray makes it a folder."""
        return self.folder / f"{contender}-profiles"

    def time(self, contender: str) -> Timing:
        """Run a contender on both manifests."""
        small, large = (
            seconds_of(self._command(contender, manifest)) for manifest in self.manifests
        )
        few, many = self.sizes
        rate = (many - few) / (large - small)
        startup = small - few / rate
        return Timing(small, large, rate, startup, counted=startup + self.counted / rate)

    def _command(self, contender: str, manifest: Path) -> list[str]:
        out = self.out(contender)
        return command_of(contender, manifest, self.checkpoint, out, backbone=self.backbone)

    def predict_exactly(self) -> None:
        """Predict the users of the larger manifest in fp32."""
        paths = self.manifests[1], self.checkpoint, self.out(_EXACT)
        seconds_of(predict_command(*paths, "--precision", "fp32"))


@click.command()
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="A folder of JPEGs; by default, images are drawn.",
)
@dump_option
@model_options
@click.option(
    "--small", default=100, show_default=True, help="The number of users of the smaller manifest."
)
@click.option(
    "--large",
    type=int,
    show_default="1300, 700 if images are large, or 300 with a backbone",
    help="The number of users of the larger manifest.",
)
@click.option(
    "--counted",
    default=700,
    show_default=True,
    help="The number of users to give total seconds for.",
)
@click.option("--peers", default=",".join(CONTENDERS[1:]), show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(
    photos: Path | None,
    dump: str,
    model: str,
    backbone: str | None,
    frame_size: int | None,
    small: int,
    large: int | None,
    counted: int,
    peers: str,
    rounds: int,
) -> None:
    """Measure tweetprofile and its peers side by side."""
    contenders = [OURS, *peers.split(",")]
    if unknown := set(contenders).difference(CONTENDERS):
        raise click.BadParameter(f"{', '.join(unknown)}; choose from {', '.join(CONTENDERS[1:])}")
    options = ModelOptions(model, backbone, frame_size)
    timings: dict[str, list[Timing]] = {contender: [] for contender in contenders}
    bounds: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        encoded = get_images(dump, photos)
        sizes = small, large or (_USERS_WITH_BACKBONE if backbone else usual_users(encoded))
        arena = make_arena(Path(name), encoded, options, sizes, counted)
        for _ in range(rounds):
            bounds.append(measure_bound(photos, dump, options, sizes[1]))
            for contender in contenders:
                timings[contender].append(arena.time(contender))
        arena.predict_exactly()
        agreement = {contender: compare(arena, contender) for contender in contenders}
    settings: dict[str, object] = {
        "small": small,
        "large": sizes[1],
        "counted": counted,
        "photos": bool(photos),
        "dump": dump,
        "images": describe(encoded),
        **asdict(options),
    }
    settings |= {name: version(name) for name in ("ray", "daft") if name in contenders}
    show(timings, bounds, agreement, settings)


def make_arena(
    folder: Path, encoded: list[bytes], options: ModelOptions, sizes: tuple[int, int], counted: int
) -> Arena:
    """Write both manifests, whose users share the images, and the model."""
    manifests = []
    for users in sizes:
        subfolder = folder / str(users)
        subfolder.mkdir()
        manifests.append(write_users(subfolder, encoded, users))
    checkpoint = make_model(folder, encoded, options)
    return Arena(
        folder,
        (manifests[0], manifests[1]),
        sizes,
        counted=counted,
        checkpoint=checkpoint,
        backbone=options.backbone is not None,
    )


def measure_bound(photos: Path | None, dump: str, options: ModelOptions, users: int) -> float:
    """Return the users per second that decoding and the network allow, by `bound.py`."""
    arguments = ["--dump", dump, *options.arguments, *([f"--photos={photos}"] if photos else [])]
    arguments += ["--rounds", "1", "--users", str(min(users, _MOST_USERS_OF_BOUND))]
    command = [sys.executable, str(_BOUND), *arguments]
    printed = subprocess.check_output(command, text=True)
    rates = json.loads(printed.splitlines()[-1])["users_per_second"]
    return float(rates["both, one after the other"][0])


def compare(arena: Arena, contender: str) -> dict[str, float]:
    """Compare a contender's probabilities with ours in fp32, for the larger manifest."""
    traits = load_checkpoint(arena.checkpoint).schema.names
    exact, theirs = read_profiles(arena.out(_EXACT)), read_profiles(arena.out(contender))
    if not exact["user_id"].equals(theirs["user_id"]):
        raise click.ClickException(f"{contender} did not predict the users of the manifest")
    same = [exact[trait].cast(pl.String) == theirs[trait].cast(pl.String) for trait in traits]
    differences = [np.abs(_matrix(exact, trait) - _matrix(theirs, trait)) for trait in traits]
    return {
        "mean difference": float(np.concatenate(differences, axis=None).mean()),
        "largest difference": max(float(each.max()) for each in differences),
        "same classes": float(np.mean(np.all([each.to_numpy() for each in same], axis=0))),
    }


def read_profiles(out: Path) -> pl.DataFrame:
    """Return what a contender wrote, a file or a folder of files, sorted by user."""
    return pl.read_parquet(out / "*.parquet" if out.is_dir() else out).sort("user_id")


def _matrix(profiles: pl.DataFrame, trait: str) -> np.ndarray:
    """Return (users, classes) probabilities, from our structs or from the lists of peers."""
    column = profiles[f"{trait}_probabilities"]
    if column.dtype == pl.List:
        return np.array(column.to_list())
    return column.struct.unnest().to_numpy()


def show(
    timings: dict[str, list[Timing]],
    bounds: list[float],
    agreement: dict[str, dict[str, float]],
    settings: Mapping[str, object],
) -> None:
    """Print medians, and how many times as fast we are within the same round."""
    ours = timings[OURS]
    faster = {
        peer: [our.rate / their.rate for our, their in zip(ours, each, strict=True)]
        for peer, each in timings.items()
    }
    of_bound = [our.rate / bound for our, bound in zip(ours, bounds, strict=True)]
    report(
        f"{OURS} reaches {median(of_bound):.0%} of the bound, {median(bounds):.1f} users/s",
        (
            "",
            "users/s",
            "lowest",
            "highest",
            f"{OURS} is faster by a factor of",
            "start-up s",
            f"s for {settings['counted']} users",
            "same classes",
            "mean difference",
            "largest difference",
        ),
        [_row(name, each, faster[name], agreement[name]) for name, each in timings.items()],
        {
            "settings": settings,
            "timings": {name: [asdict(one) for one in each] for name, each in timings.items()},
            "faster_by": {name: median(each) for name, each in faster.items()},
            "bounds": bounds,
            "share_of_bound": median(of_bound),
            "agreement": agreement,
        },
    )


def _row(
    name: str, timings: list[Timing], faster: list[float], agreement: dict[str, float]
) -> tuple[str, ...]:
    rates = [timing.rate for timing in timings]
    return (
        name,
        *(f"{rate:.1f}" for rate in (median(rates), min(rates), max(rates))),
        f"{median(faster):.2f}",
        f"{median(timing.startup for timing in timings):.1f}",
        f"{median(timing.counted for timing in timings):.1f}",
        f"{agreement['same classes']:.1%}",
        f"{agreement['mean difference']:.4f}",
        f"{agreement['largest difference']:.4f}",
    )


if __name__ == "__main__":
    main()
