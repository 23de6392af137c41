"""Small dumps, made here in the layouts that crawlers and organisers leave."""

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
    """`put_image(path)`: a small JPEG there, whatever its name ends in."""

    def put(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(24, 16, len(path.name)).save(path, "JPEG")
        return path

    return put


@pytest.fixture(scope="session")
def write_lines() -> Callable[..., Path]:
    """`write_lines(path, *records)`: JSON lines; text stands as it is."""

    def write(path: Path, *records: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (each if isinstance(each, str) else json.dumps(each) for each in records)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


@pytest.fixture(scope="session")
def listed() -> Callable[[Path], list[tuple[str, str, int | None]]]:
    """`listed(manifest)`: what its import has listed: reason, name of the file, and line."""

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
