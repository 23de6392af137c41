"""The JPEGs that tests write with any script of scans are right: every decoder agrees."""

import io
import warnings
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from tests.decoders.jpeg_coefficients import Pixels, Subsampling
from tests.decoders.jpeg_scripts import (
    BASELINE,
    PROGRESSIVE,
    STANDARD,
    STANDARD_GREY,
    THREE_SCANS,
    ScanSpec,
    grey,
)
from tests.decoders.jpeg_writer import JpegOptions, write_jpeg

Draw = Callable[..., Image.Image]


def decoded(jpeg: bytes) -> Pixels:
    """Decode with two decoders that must not complain: simplejpeg and Pillow."""
    pixels: Pixels = simplejpeg.decode_jpeg(jpeg, "RGB", strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Image.open(io.BytesIO(jpeg)) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), pixels)
    return pixels


def sharp(draw: Draw, width: int, height: int) -> Pixels:
    """Draw smooth colours with some noise, and a few sharp edges."""
    image = draw(width, height)
    image.paste("white", (width // 4, height // 3, width // 2, height // 2))
    image.paste("black", (width // 3, 0, width // 3 + 3, height))
    return np.asarray(image)


@pytest.mark.parametrize("subsampling", get_args(Subsampling))
@pytest.mark.parametrize(
    ("size", "restart_interval"),
    [((70, 60), 0), ((64, 48), 5), ((33, 17), 1), ((7, 70), 2), ((1, 1), 0)],
)
def test_every_script_writes_the_same_pixels(
    draw: Draw, size: tuple[int, int], restart_interval: int, subsampling: Subsampling
) -> None:
    picture = sharp(draw, *size)
    options = JpegOptions(90, subsampling, restart_interval)
    baseline = decoded(write_jpeg(picture, BASELINE, options))
    for name, script in {"three scans": THREE_SCANS, **PROGRESSIVE}.items():
        assert np.array_equal(decoded(write_jpeg(picture, script, options)), baseline), name


@pytest.mark.parametrize("restart_interval", [0, 3])
def test_every_script_writes_the_same_grey_pixels(draw: Draw, restart_interval: int) -> None:
    picture = sharp(draw, 90, 75)[..., 0]
    options = JpegOptions(restart_interval=restart_interval)
    baseline = decoded(write_jpeg(picture, grey(BASELINE), options))
    for name, script in PROGRESSIVE.items():
        assert np.array_equal(decoded(write_jpeg(picture, grey(script), options)), baseline), name


@pytest.mark.parametrize("quality", [1, 10, 50, 85, 95, 100])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_quality_and_size_are_those_of_pillow(
    draw: Draw, encode: Callable[..., bytes], quality: int, subsampling: int
) -> None:
    names: tuple[Subsampling, ...] = "4:4:4", "4:2:2", "4:2:0"
    picture = sharp(draw, 90, 75)
    own = write_jpeg(picture, STANDARD, JpegOptions(quality, names[subsampling]))
    theirs = encode(
        Image.fromarray(picture), "JPEG", quality=quality, subsampling=subsampling, progressive=True
    )
    with Image.open(io.BytesIO(own)) as ours, Image.open(io.BytesIO(theirs)) as others:
        assert getattr(ours, "quantization") == getattr(others, "quantization")  # noqa: B009
    losses = [np.abs(decoded(jpeg).astype(int) - picture).mean() for jpeg in (own, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert len(own) == pytest.approx(len(theirs), rel=0.05)


def test_the_standard_scripts_are_those_that_pillow_writes(
    draw: Draw, encode: Callable[..., bytes]
) -> None:
    picture = draw(90, 75)
    for image, script in ((picture, STANDARD), (picture.convert("L"), STANDARD_GREY)):
        theirs = encode(image, "JPEG", progressive=True)
        assert scan_headers(write_jpeg(np.asarray(image), script)) == scan_headers(theirs)


def test_long_runs_of_empty_blocks_are_written() -> None:
    """A run ends at 32,767 blocks."""
    black = np.zeros((40, 8 * 6600), np.uint8)
    script = ScanSpec((0,), 0, 0), ScanSpec((0,), 1, 63, 0, 1), ScanSpec((0,), 1, 63, 1)
    assert np.array_equal(decoded(write_jpeg(black, script))[..., 0], black)


def test_noise_of_the_highest_quality_has_the_largest_coefficients() -> None:
    noise = np.random.default_rng(0).choice([0, 255], (64, 64, 3)).astype(np.uint8)
    options = JpegOptions(quality=100, subsampling="4:4:4")
    baseline = decoded(write_jpeg(noise, BASELINE, options))
    assert np.abs(baseline.astype(int) - noise).mean() < 2
    for script in PROGRESSIVE.values():
        assert np.array_equal(decoded(write_jpeg(noise, script, options)), baseline)


def scan_headers(jpeg: bytes) -> list[bytes]:
    """Return components, spectral band and bits of every scan, without the names of tables."""
    headers = []
    start = jpeg.find(b"\xff\xda")
    while start >= 0:
        number = jpeg[start + 4]
        end = start + 5 + 2 * number
        headers.append(jpeg[start + 5 : end : 2] + jpeg[end : end + 3])
        start = jpeg.find(b"\xff\xda", end)
    return headers
