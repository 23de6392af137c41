"""The header check decides which images DALI may see."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tweetprofile.decoders.screening import HeaderScreen

nvimgcodec = pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is for Linux")

MAX_PIXELS = 40_000_000
FOR_PILLOW = {"cmyk jpeg", "16-bit png", "padded png", "gif", "bmp"}
"""Good images that DALI cannot read, or reads incorrectly."""

ONLY_DECODING_TELLS = {"png of noise"}
"""Damaged images whose header shows no damage."""


@pytest.fixture(scope="module")
def screen() -> HeaderScreen:
    return HeaderScreen(MAX_PIXELS)


def test_complete_images_of_formats_that_dali_reads_pass(
    screen: HeaderScreen, good_images: dict[str, bytes]
) -> None:
    passing = {kind for kind, image in good_images.items() if screen.count_pixels(image)}
    assert passing == good_images.keys() - FOR_PILLOW


def test_damaged_images_do_not_pass(screen: HeaderScreen, damaged_images: dict[str, bytes]) -> None:
    passing = {kind for kind, image in damaged_images.items() if screen.count_pixels(image)}
    assert passing == ONLY_DECODING_TELLS


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_an_image_cut_anywhere_does_not_pass(
    screen: HeaderScreen, good_images: dict[str, bytes], kind: str
) -> None:
    image = good_images[kind]
    cuts = [*range(0, 700, 7), *range(700, len(image), len(image) // 50), len(image) - 1]
    assert screen.count_pixels(image)
    assert not any(screen.count_pixels(image[:cut]) for cut in cuts)


def test_arbitrary_bytes_are_screened_without_an_exception(
    screen: HeaderScreen, real_damaged: list[Path]
) -> None:
    for file in real_damaged:
        image = file.read_bytes()
        for start in (b"", image[:2], image[:20], image[: len(image) // 2]):
            screen.count_pixels(start + bytes(64))
        screen.count_pixels(image)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_max_pixels_is_the_largest_size_that_passes(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes], kind: str
) -> None:
    screen = HeaderScreen(max_pixels=100 * 80)
    assert screen.count_pixels(encode(draw(100, 80), kind))
    assert screen.count_pixels(encode(draw(80, 100), kind))
    assert not screen.count_pixels(encode(draw(101, 80), kind))


def test_a_jpeg_with_padding_after_its_end_passes(
    screen: HeaderScreen, good_images: dict[str, bytes]
) -> None:
    assert screen.count_pixels(good_images["jpeg"] + bytes(1000))


def test_a_view_of_an_image_is_screened_as_its_bytes(
    screen: HeaderScreen, good_images: dict[str, bytes], damaged_images: dict[str, bytes]
) -> None:
    padded = good_images["jpeg"][:2] + b"\xff\xfe\xff\xf0" + bytes(0xFFEE) + good_images["jpeg"][2:]
    images = [*good_images.values(), *damaged_images.values(), padded]
    pixels = [screen.count_pixels(image) for image in images]
    assert pixels[-1], "a header that is longer than usual"
    assert [screen.count_pixels(memoryview(image)) for image in images] == pixels
    writable = [memoryview(bytearray(image)) for image in images]
    assert [screen.count_pixels(image) for image in writable] == pixels
