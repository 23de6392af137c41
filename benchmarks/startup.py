"""Measure the time to the first answer: `--help`, and runs of a few users.

    python benchmarks/startup.py

`--help` is compared with importing click alone: no Click command can be faster than that.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median

import click
from commands import predict_command, seconds_of
from dump import get_photos, write_users
from models import make_model
from report import report

_IMPORT_CLICK = [sys.executable, "-c", "import click"]
_HELP = [str(Path(sys.executable).with_name("tweetprofile")), "--help"]


@click.command()
@click.option(
    "--photos",
    type=click.Path(path_type=Path),
    help="A folder of JPEGs; by default, images are drawn.",
)
@click.option("--rounds", default=15, show_default=True, help="Rounds of --help.")
@click.option("--runs", default=5, show_default=True, help="Runs per number of users.")
def main(photos: Path | None, rounds: int, runs: int) -> None:
    """Measure start-up."""
    pairs = [(seconds_of(_IMPORT_CLICK), seconds_of(_HELP)) for _ in range(rounds + 1)][1:]
    seconds = {
        "import click": [pair[0] for pair in pairs],
        "tweetprofile --help": [pair[1] for pair in pairs],
    }
    with tempfile.TemporaryDirectory() as name:
        folder, encoded = Path(name), get_photos(photos)
        model = make_model(folder, encoded)
        for users in (1, 10):
            command = predict_command(write_users(folder, encoded, users), model, folder / "out")
            seconds[f"predict, users: {users}"] = [seconds_of(command) for _ in range(runs)]
    ratio = median(help_ / click_ for click_, help_ in pairs)
    report(
        f"start-up in seconds; --help takes {ratio:.2f} times as long as importing click",
        ("", "median", "lowest", "highest"),
        [
            (name, f"{median(each):.3f}", f"{min(each):.3f}", f"{max(each):.3f}")
            for name, each in seconds.items()
        ],
        {"settings": {"photos": bool(photos)}, "seconds": seconds, "help_to_click": ratio},
    )


if __name__ == "__main__":
    main()
