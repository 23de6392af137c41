"""Measure the peak memory of all processes of `tweetprofile predict`, as users grow tenfold.

    python benchmarks/memory.py --photos FOLDER

The proportional set sizes of the processes are added up, so that shared pages count once.
"""

import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

import click
from commands import predict_command
from dump import get_photos, write_users
from models import make_model
from report import report

_EVERY = 0.05
"""Seconds between measurements."""


@click.command()
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="A folder of JPEGs; by default, images are drawn.",
)
@click.option(
    "--users",
    default=120,
    show_default=True,
    help="The number of users; ten times as many are measured as well.",
)
@click.option("--devices", default="cpu;cpu,cpu", show_default=True, help="Separated by ';'.")
@click.option("--rounds", default=3, show_default=True)
def main(photos: Path | None, users: int, devices: str, rounds: int) -> None:
    """Measure peak memory."""
    encoded = get_photos(photos)
    peaks: dict[str, dict[int, list[int]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_model(folder, encoded)
        for _ in range(rounds):
            for workers in devices.split(";"):
                for size in (users, 10 * users):
                    manifest = write_users(folder, encoded, size)
                    options = ("--devices", workers)
                    command = predict_command(manifest, model, folder / "out", *options)
                    peaks.setdefault(workers, {}).setdefault(size, []).append(peak(command))
    show(peaks, {"users": users, "photos": bool(photos)})


def peak(command: Sequence[str]) -> int:
    """Return the peak memory of a command and all its descendants, in bytes."""
    highest = 0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            highest = max(highest, sum(map(proportional_set_size, tree(process.pid))))
            time.sleep(_EVERY)
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)} ended with {process.returncode}")
    return highest


def tree(process: int) -> list[int]:
    """Return the ids of a process and its descendants."""
    members = [process]
    for member in members:
        with suppress(OSError):
            for task in Path(f"/proc/{member}/task").iterdir():
                members += map(int, (task / "children").read_text().split())
    return members


def proportional_set_size(process: int) -> int:
    """Return the proportional set size of a process in bytes; 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def show(peaks: dict[str, dict[int, list[int]]], settings: dict[str, object]) -> None:
    """Print medians, and the ratio of the larger manifest to the smaller."""
    rows, ratios = [], {}
    for workers, sizes in peaks.items():
        few, many = (median(each) for each in sizes.values())
        ratios[workers] = many / few
        rows.append((workers, f"{few / 1e6:.0f}", f"{many / 1e6:.0f}", f"{ratios[workers]:.3f}"))
    small, large = next(iter(peaks.values()))
    report(
        "peak memory in MB, all processes together (medians)",
        ("--devices", f"{small} users", f"{large} users", "ratio"),
        rows,
        {"settings": settings, "bytes": peaks, "ratios": ratios},
    )


if __name__ == "__main__":
    main()
