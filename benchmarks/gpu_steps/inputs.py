"""The inputs of all steps: drawn JPEGs, manifests of users who have them, untrained models."""

from pathlib import Path
from typing import Any

from dump import draw_photos, embed_images, read_photos, write_users
from models import ModelOptions, make_model

from gpu_steps.work import Finding, Outcome, Work

KINDS = ("baseline", "progressive")

MODELS = ("deepset", "model1")

AS_TWITTER: dict[str, Any] = {"quality": 85, "subsampling": "4:2:0"}
"""How Twitter encodes JPEGs."""


def draw(work: Work) -> Outcome:
    """Draw the images, and write the manifests and models."""
    users = work.size(12_000, 24)
    embedded = work.size(3_000, 24)
    bytes_per_image = {}
    for kind in KINDS:
        progressive = kind == "progressive"
        photos = draw_photos(
            work.size(256, 8), seed=int(progressive), progressive=progressive, **AS_TWITTER
        )
        bytes_per_image[kind] = sum(map(len, photos)) / len(photos)
        write_users(work.inputs / kind, photos, users)
    for name in MODELS:
        folder = work.inputs / name
        folder.mkdir(exist_ok=True)
        make_model(folder, read_images(work, "baseline"), ModelOptions(name))
    embed_images(by_path(work), embedded_in(work), embedded)
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
