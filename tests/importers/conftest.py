"""Fixtures that make small dumps, and read what an import has listed."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Draw = Callable[..., Image.Image]


@pytest.fixture
def put_image(draw: Draw) -> Callable[[Path], Path]:
    """Return `put_image(path)`: it writes a small JPEG, whatever the ending of the name."""

    def put(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(24, 16, len(path.name)).save(path, "JPEG")
        return path

    return put


@pytest.fixture(scope="session")
def write_lines() -> Callable[..., Path]:
    """Return `write_lines(path, *records)`: it writes JSON lines, and text as it is."""

    def write(path: Path, *records: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (each if isinstance(each, str) else json.dumps(each) for each in records)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


@pytest.fixture(scope="session")
def listed() -> Callable[[Path], list[tuple[str, str, int | None]]]:
    """Return `listed(manifest)`: it reads the list of its import as reason, file name and line."""

    def read(manifest: Path) -> list[tuple[str, str, int | None]]:
        path = manifest.with_name(f"{manifest.name}.skipped.csv")
        if not path.exists():
            return []
        with path.open(newline="") as rows:
            return [
                (row["reason"], Path(row["file"]).name, int(row["line"]) if row["line"] else None)
                for row in csv.DictReader(rows)
            ]

    return read
