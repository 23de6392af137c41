"""Run commands as a user runs them, and time them from start to end."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex

import click

from tweetprofile.engines.process import ALLOCATOR

PEERS = Path(__file__).parent / "peers"

OURS = "tweetprofile"

_TUNED = "dataloader-tuned"

_PEER_COMMANDS: dict[str, tuple[str, ...]] = {
    "dataloader": ("dataloader.py",),
    _TUNED: ("dataloader.py", "--tuned"),
    "ray": ("ray_data.py",),
    "daft": ("daft_frames.py",),
}

CONTENDERS = (OURS, *_PEER_COMMANDS)

_TUNED_FOR_BACKBONES = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(4 << 30),
    "OMP_WAIT_POLICY": "passive",
}
"""Settings after PyTorch's tuning guide: glibc keeps freed memory, as the allocators do that the
guide names, and threads that wait for others leave their processor to those that decode."""

_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",  # Daft
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_TOKEN": token_hex(),  # or else Ray leaves one in the home folder
}
"""Settings that keep the peers from sending usage statistics or leaving files behind."""


def predict_command(manifest: Path, checkpoint: Path, out: Path, *options: str) -> list[str]:
    """Return a `tweetprofile predict` command, for the Python that runs the benchmark."""
    arguments = [str(manifest), "--checkpoint", str(checkpoint), "-o", str(out)]
    return [sys.executable, "-m", OURS, "predict", *arguments, "--overwrite", "--quiet", *options]


def command_of(
    contender: str, manifest: Path, checkpoint: Path, out: Path, *, backbone: bool = False
) -> list[str]:
    """Return the command by which one of `CONTENDERS` predicts the users of a manifest.

    Args:
        contender: The contender.
        manifest: The manifest.
        checkpoint: The model.
        out: The file or folder to write.
        backbone: Whether the model has a pretrained backbone.
    """
    if contender == OURS:
        return predict_command(manifest, checkpoint, out)
    script, *options = _PEER_COMMANDS[contender]
    arguments = [str(manifest), str(checkpoint), str(out)]
    command = [sys.executable, str(PEERS / script), *arguments, *options]
    if backbone and contender == _TUNED:
        return [
            "env",
            *(f"{name}={value}" for name, value in _TUNED_FOR_BACKBONES.items()),
            *command,
        ]
    return command


def start_as_worker() -> None:
    """Start this script again with the memory settings of workers, unless it has them.

    glibc reads them when a process starts.
    """
    if not os.environ.keys() >= ALLOCATOR.keys():
        os.execve(sys.executable, sys.orig_argv, ALLOCATOR | os.environ)


def seconds_of(command: Sequence[str]) -> float:
    """Return the wall seconds of a command, and show its output only if it fails.

    Raises:
        ClickException: The command fails.
    """
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile("w+") as output:
        environment = os.environ | _ENVIRONMENT | {"RAY_TMPDIR": scratch}
        began = time.perf_counter()
        code = subprocess.call(command, stdout=output, stderr=output, env=environment)
        seconds = time.perf_counter() - began
        if code:
            output.seek(0)
            raise click.ClickException(f"{' '.join(command)} ended with {code}:\n{output.read()}")
    return seconds
