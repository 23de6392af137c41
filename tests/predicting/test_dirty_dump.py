"""Damaged images that broke other people's libraries cost their users nothing but themselves."""

import csv
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

MAX_PIXELS = 40_000_000
GIGABYTE = 1024 * 1024  # in the kilobytes of /proc


@pytest.fixture(scope="module")
def manifest(
    real_photos: list[Path], real_damaged: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """One user per damaged image, who also has ten photographs."""
    path = tmp_path_factory.mktemp("dirty") / "manifest.parquet"
    data = real_photos[0].parents[1]
    photos = [str(photo.relative_to(data)) for photo in real_photos]
    images = [
        [
            *(photos[(10 * user + photo) % len(photos)] for photo in range(10)),
            f"damaged/{file.name}",
        ]
        for user, file in enumerate(real_damaged)
    ]
    pl.DataFrame({"user_id": [file.name for file in real_damaged], "images": images}).write_parquet(
        path
    )
    return path


def is_usable_alone(row: dict[str, str], file: Path) -> bool:
    """Return whether the image is within the limits, and Pillow or DALI can read it alone."""
    nvimgcodec = pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is for Linux")
    if row["pillow"] == "ok":
        return int(row["width"]) * int(row["height"]) <= MAX_PIXELS
    if row["dali_cpu"] == "ok":
        header = nvimgcodec.CodeStream(file.read_bytes())
        return bool(header.width * header.height <= MAX_PIXELS)
    return False


def peak_kilobytes(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process; return the peak memory of it and its children together."""
    peak = 0
    while process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            everyone = [str(process.pid), *children.read_text().split()]
            peak = max(peak, sum(map(high_water_mark, everyone)))
        except (FileNotFoundError, ProcessLookupError):
            pass  # one of them has just ended
        time.sleep(0.05)
    return peak


def high_water_mark(process: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def predict(manifest: Path, out: Path, model: Path, *options: object) -> tuple[int, pl.DataFrame]:
    """Return the peak memory of the command, in kilobytes, and the profiles."""
    command = ["predict", manifest, "-o", out, "--checkpoint", model, "--devices", "cpu", *options]
    process = subprocess.Popen([sys.executable, "-m", "tweetprofile", *map(str, command), "-q"])
    peak = peak_kilobytes(process)
    assert process.returncode == 0
    return peak, pl.read_parquet(out)


@pytest.mark.slow
def test_every_readable_image_is_used_and_every_other_one_named_with_any_decoder(
    manifest: Path, real_damaged: list[Path], model: Path, tmp_path: Path
) -> None:
    outcomes = []
    for decoder in ("pillow", "dali"):
        options: list[object] = ["--decoder", decoder, "--batch-size", 16]  # 176 images at once
        options += ["--image-root", real_damaged[0].parents[1]]
        peak, profiles = predict(manifest, tmp_path / decoder, model, *options)
        assert peak < 3 * GIGABYTE
        assert profiles["user_id"].to_list() == [file.name for file in real_damaged]
        assert profiles["gender"].null_count() == 0
        assert "crashed" not in profiles["status"].to_list()
        outcomes.append(profiles.select("frames_used", "images_failed", "status", "image_errors"))
    assert outcomes[0].equals(outcomes[1])
    with (real_damaged[0].parent / "index.csv").open() as index:
        rows = {row["file"]: row for row in csv.DictReader(index)}
    usable = [is_usable_alone(rows[file.name], file) for file in real_damaged]
    assert 0 < sum(usable) < len(usable)
    assert outcomes[0]["frames_used"].to_list() == [10 + used for used in usable]
    named = [[error["image"] for error in errors] for errors in outcomes[0]["image_errors"]]
    assert named == [
        [] if used else [f"damaged/{file.name}"]
        for used, file in zip(usable, real_damaged, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["pillow", "dali"])
def test_images_just_below_the_size_limit_do_not_fill_the_memory(
    encode: Callable[..., bytes], model: Path, tmp_path: Path, decoder: str
) -> None:
    side = 6300  # 39.7 megapixels, 119 MB decoded; evenly coloured, so the file is small
    white = Image.new("RGB", (side, side), "white")
    images = [
        encode(white, "PNG"),
        encode(white, "JPEG", progressive=True),
        encode(white.convert("L"), "JPEG"),
        encode(white.convert("1"), "PNG"),
        encode(white.convert("CMYK"), "JPEG"),
    ]
    users = [[images[image % len(images)] for image in range(11)] for _ in range(2)]
    lists = pl.Series(users, dtype=pl.List(pl.Binary))
    manifest = tmp_path / "manifest.parquet"
    pl.DataFrame({"user_id": range(2), "images": lists}).write_parquet(manifest)
    peak, profiles = predict(manifest, tmp_path / "out", model, "--decoder", decoder)
    assert peak < 3 * GIGABYTE
    assert profiles["frames_used"].to_list() == [11] * 2
