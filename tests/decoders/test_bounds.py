"""The bytes of an image show what decoding it costs, and ordinary images stay within bounds."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.attack.hostile_images import jpeg_of_scans
from tweetprofile.decoders.bounds import (
    MAX_READS,
    MAX_SCAN_PIXELS,
    MAX_SIDE,
    CountedFile,
    fits,
    why_excessive,
)
from tweetprofile.decoders.jpeg_headers import read_jpeg_header
from tweetprofile.errors import ImageError, Reason
from tweetprofile.job import MAX_PIXELS

Encode = Callable[..., bytes]

SCAN = bytes.fromhex("ffda 0008 01 01 00 01 3f 00")


def excess(data: bytes) -> Reason | None:
    return why_excessive(data, MAX_PIXELS)


def test_good_images_and_photographs_are_within_bounds(
    good_images: dict[str, bytes], real_photos: list[Path]
) -> None:
    assert {kind for kind, image in good_images.items() if excess(image)} == set()
    assert not any(excess(photo.read_bytes()) for photo in real_photos)


def test_a_progressive_jpeg_of_the_largest_size_is_within_bounds(encode: Encode) -> None:
    side = int(MAX_PIXELS**0.5)
    jpeg = encode(Image.new("L", (side, side)), "JPEG", progressive=True)
    assert excess(jpeg) is None


def test_the_product_of_scans_and_pixels_is_bounded(encode: Encode) -> None:
    jpeg = encode(Image.new("L", (2000, 1000)), "JPEG", progressive=True)
    header = read_jpeg_header(jpeg)
    assert header is not None
    allowed = MAX_SCAN_PIXELS // 2_000_000 - header.count_scans(jpeg)
    assert excess(jpeg[:-2] + SCAN * allowed + jpeg[-2:]) is None
    assert excess(jpeg[:-2] + SCAN * (allowed + 1) + jpeg[-2:]) is Reason.TOO_SLOW


def test_bytes_that_look_like_scans_in_a_sequential_jpeg_do_not_count(encode: Encode) -> None:
    thumbnail = encode(Image.new("RGB", (8, 8)), "JPEG", progressive=True)
    jpeg = encode(Image.new("RGB", (2000, 2000)), "JPEG", comment=thumbnail + SCAN * 1000)
    assert excess(jpeg) is None


def test_a_large_jpeg_is_too_large_before_it_is_too_slow() -> None:
    assert why_excessive(jpeg_of_scans(0.01), 1_000_000) is Reason.TOO_LARGE


def test_the_sides_of_an_image_are_bounded() -> None:
    assert fits(MAX_SIDE, 1, MAX_PIXELS)
    assert not fits(MAX_SIDE + 1, 1, MAX_PIXELS)
    assert not fits(1, MAX_SIDE + 1, MAX_PIXELS)
    assert not fits(MAX_SIDE, MAX_SIDE, MAX_PIXELS)


@pytest.mark.parametrize("kind", ["jpeg", "progressive jpeg", "png", "webp", "gif"])
def test_an_image_cut_anywhere_is_checked_without_an_exception(
    good_images: dict[str, bytes], encode: Encode, kind: str
) -> None:
    images = [good_images[kind], encode(Image.new("RGB", (20, 20)), "TIFF")]
    for image in images:
        for end in range(0, min(1000, len(image))):
            excess(image[:end])
            excess(image[:end] + b"\xff" * 20)


def test_the_header_of_an_ordinary_jpeg_takes_microseconds(real_photos: list[Path]) -> None:
    photos = [photo.read_bytes() for photo in real_photos]
    rounds = []
    for _ in range(20):
        began = time.perf_counter()
        for photo in photos:
            excess(photo)
        rounds.append((time.perf_counter() - began) / len(photos))
    assert min(rounds) < 50e-6  # measured: 7 on an idle machine


def test_a_file_can_be_read_in_a_bounded_number_of_pieces() -> None:
    file = CountedFile(bytes(MAX_READS + 1))
    for _ in range(MAX_READS - 1):
        file.read(1)
    file.readline(1)
    with pytest.raises(ImageError) as caught:
        file.read(1)
    assert caught.value.reason is Reason.TOO_SLOW


def test_a_counted_file_reads_like_any_other(encode: Encode) -> None:
    png = encode(Image.new("RGB", (30, 20), "teal"), "PNG")
    with Image.open(CountedFile(png)) as counted, Image.open(io.BytesIO(png)) as plain:
        assert counted.tobytes() == plain.tobytes()
