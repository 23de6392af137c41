"""Whole commands, run as a user runs them, and timed from start to end."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex

import click

PEERS = Path(__file__).parent / "peers"

OURS = "tweetprofile"

_PEER_COMMANDS: dict[str, tuple[str, ...]] = {
    "dataloader": ("dataloader.py",),
    "dataloader-tuned": ("dataloader.py", "--tuned"),
    "ray": ("ray_data.py",),
    "daft": ("daft_frames.py",),
}

CONTENDERS = (OURS, *_PEER_COMMANDS)

_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",  # Daft
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_TOKEN": token_hex(),  # else Ray leaves one in the home folder
}
"""That no peer calls home, or leaves anything there."""


def predict_command(manifest: Path, checkpoint: Path, out: Path, *options: str) -> list[str]:
    """`tweetprofile predict`, by the Python that runs the benchmark."""
    places = [str(manifest), "--checkpoint", str(checkpoint), "-o", str(out)]
    return [sys.executable, "-m", OURS, "predict", *places, "--overwrite", "--quiet", *options]


def command_of(contender: str, manifest: Path, checkpoint: Path, out: Path) -> list[str]:
    """What predicts the manifest's users, for each of `CONTENDERS`."""
    if contender == OURS:
        return predict_command(manifest, checkpoint, out)
    script, *options = _PEER_COMMANDS[contender]
    places = [str(manifest), str(checkpoint), str(out)]
    return [sys.executable, str(PEERS / script), *places, *options]


def seconds_of(command: Sequence[str]) -> float:
    """Wall seconds of a command; what it prints is shown only where it fails.

    Raises:
        ClickException: it failed.
    """
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile("w+") as said:
        environment = os.environ | _ENVIRONMENT | {"RAY_TMPDIR": scratch}
        began = time.perf_counter()
        code = subprocess.call(command, stdout=said, stderr=said, env=environment)
        seconds = time.perf_counter() - began
        if code:
            said.seek(0)
            raise click.ClickException(f"{' '.join(command)} ended with {code}:\n{said.read()}")
    return seconds
