"""Print the results of a benchmark: a table for people, and a last line of JSON for machines."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from tweetprofile.version import __version__

_PACKAGES = ("torch", "pillow", "nvidia-dali-cuda130", "pyarrow", "numpy")


def machine() -> dict[str, Any]:
    """Return hardware, versions and date, without which a figure means nothing."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "gpus": [torch.cuda.get_device_name(gpu) for gpu in range(torch.cuda.device_count())],
        "python": platform.python_version(),
        "tweetprofile": __version__,
        "packages": {name: version(name) for name in _PACKAGES},
    }


def report(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], results: Mapping[str, Any]
) -> None:
    """Print the table, then the machine and the results as one line of JSON."""
    show_table(title, columns, rows)
    print(json.dumps({"machine": machine(), **results}))


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, for a benchmark that has more than the one that it reports."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
