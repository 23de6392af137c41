"""libjpeg-turbo gives the same pixels as Pillow, or leaves the image to Pillow."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.decoders.turbojpeg import Pixels, decode_jpeg


def by_pillow(jpeg: bytes, side: int) -> Pixels:
    """Decode with Pillow at the smallest scale that is no smaller than `side`."""
    with Image.open(io.BytesIO(jpeg)) as image:
        image.draft(None, (side, side))
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("side", [10_000, 300, 150, 75])
@pytest.mark.parametrize("size", [(700, 500), (701, 503), (1237, 300), (9, 2000), (1, 1)])
@pytest.mark.parametrize(
    "options",
    [{"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}, {"progressive": True}],
    ids=str,
)
def test_every_pixel_is_the_same_as_with_pillow(
    draw: Callable[..., Image.Image],
    encode: Callable[..., bytes],
    size: tuple[int, int],
    side: int,
    options: dict[str, int],
) -> None:
    for image in (draw(*size), draw(*size).convert("L")):
        jpeg = encode(image, "JPEG", **options)
        expected = by_pillow(jpeg, side)
        height, width, _ = expected.shape
        pixels = decode_jpeg(jpeg, width, height)
        assert pixels is not None
        assert np.array_equal(pixels, expected)


def test_every_pixel_of_real_photos_is_the_same_as_with_pillow(
    real_photos: list[Path],
) -> None:
    for photo in real_photos[:40]:
        jpeg = photo.read_bytes()
        expected = by_pillow(jpeg, 10_000)
        height, width, _ = expected.shape
        assert np.array_equal(decode_jpeg(jpeg, width, height), expected)  # type: ignore[arg-type]


def test_an_image_that_the_library_complains_about_is_left_to_pillow(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes]
) -> None:
    jpeg = encode(draw(90, 70), "JPEG")
    for damaged in (b"", b"not a JPEG", jpeg[:-400], jpeg[:700] + bytes(200) + jpeg[900:]):
        assert decode_jpeg(damaged, 90, 70) is None


def test_a_header_that_two_parsers_read_differently_is_left_to_pillow(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes]
) -> None:
    assert decode_jpeg(encode(draw(90, 70), "JPEG"), 91, 70) is None


def test_the_decoder_uses_libjpeg_turbo_for_grey_and_rgb_jpegs(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    decode = simplejpeg.decode_jpeg

    def recording(data: bytes, *arguments: object, **sizes: int) -> Pixels:
        taken.append(sizes["min_width"])
        pixels: Pixels = decode(data, *arguments, **sizes)
        return pixels

    monkeypatch.setattr(simplejpeg, "decode_jpeg", recording)
    turned = Image.Exif()
    turned[0x0112] = 6
    images = [
        encode(draw(60, 50), "JPEG"),
        encode(draw(61, 50), "JPEG", exif=turned),
        encode(draw(62, 50).convert("CMYK"), "JPEG"),
        encode(draw(63, 50), "PNG"),
        encode(draw(64, 50).convert("L"), "JPEG"),
    ]
    decoded = PillowDecoder(DecodeOptions(24, 40, threads=1)).decode(images)
    assert decoded.failures == (None,) * 5
    assert taken == [60, 61, 64]
