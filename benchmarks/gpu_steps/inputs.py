"""The inputs of all steps: drawn JPEGs, manifests of users who have them, untrained models."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from dump import make_model, read_photos, write_users
from PIL import Image

from gpu_steps.work import Finding, Outcome, Work

KINDS = ("baseline", "progressive")

MODELS = ("deepset", "model1")

_SIDE = 430
"""Pixels: the median side of the photographs behind the published results."""


def draw(work: Work) -> Outcome:
    """Draw the images, and write the manifests and models."""
    users = work.size(12_000, 24)
    embedded = work.size(3_000, 24)
    bytes_per_image = {}
    for kind in KINDS:
        photos = _draw_photos(work.size(256, 8), progressive=kind == "progressive")
        bytes_per_image[kind] = sum(map(len, photos)) / len(photos)
        write_users(work.inputs / kind, photos, users)
    for name in MODELS:
        folder = work.inputs / name
        folder.mkdir(exist_ok=True)
        make_model(folder, read_images(work, "baseline"), name)
    embed(by_path(work), embedded_in(work), embedded)
    findings = [
        Finding(f"bytes per {kind} JPEG", f"{size:,.0f}") for kind, size in bytes_per_image.items()
    ]
    figures = {"users": users, "embedded_users": embedded, "bytes_per_image": bytes_per_image}
    return Outcome(findings, figures)


def read_images(work: Work, kind: str) -> list[bytes]:
    """Return the JPEGs of one of `KINDS`."""
    return read_photos(work.inputs / kind / "images")


def by_path(work: Work) -> Path:
    """Return the manifest that names files."""
    return work.inputs / "baseline" / "manifest.parquet"


def embedded_in(work: Work) -> Path:
    """Return the manifest that holds the images."""
    return work.inputs / "embedded.parquet"


def model(work: Work, name: str = "deepset") -> Path:
    """Return one of `MODELS`."""
    return work.inputs / name / "model.safetensors"


def embed(manifest: Path, path: Path, users: int) -> None:
    """Write the first users of a manifest again, with the files that it names."""
    table = pq.read_table(manifest).slice(0, users)
    images = {
        name: (manifest.parent / name).read_bytes()
        for names in table["images"].to_pylist()
        for name in names
    }
    schema = pa.schema([("user_id", pa.string()), ("images", pa.list_(pa.binary()))])
    with pq.ParquetWriter(path, schema, compression="none") as file:
        for start in range(0, len(table), 256):
            rows = table.slice(start, 256)
            lists = [[images[name] for name in names] for names in rows["images"].to_pylist()]
            file.write_table(pa.table([rows["user_id"], pa.array(lists)], schema=schema))


def _draw_photos(count: int, *, progressive: bool) -> list[bytes]:
    """Return images of noise that have the size of photographs, encoded as Twitter does."""
    generator = np.random.default_rng(int(progressive))
    photos = []
    for _ in range(count):
        coarse = generator.integers(0, 256, (54, 54, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        image.save(file, "JPEG", quality=85, subsampling="4:2:0", progressive=progressive)
        photos.append(file.getvalue())
    return photos
