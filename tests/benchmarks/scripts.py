"""Run a benchmark as a script, and read what it prints for machines."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script: str, **options: object) -> dict[str, Any]:
    """Run a benchmark for one round; return its results."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [sys.executable, str(BENCHMARKS / script), "--rounds=1", *arguments]
    printed = subprocess.check_output(command, text=True)
    results: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return results


def write_photos(folder: Path, photos: list[bytes]) -> Path:
    """Write photographs to a folder; return it."""
    for number, photo in enumerate(photos):
        (folder / f"{number}.jpg").write_bytes(photo)
    return folder
