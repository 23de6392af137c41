"""The reference decoder: the frame of every image, or the reason why it has none."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.errors import Reason

Pixels = NDArray[np.uint8]
WIDE = DecodeOptions(height=24, width=40, threads=1)
USUAL = DecodeOptions(height=112, width=112, threads=2)


def frame(image: bytes, options: DecodeOptions = WIDE) -> Pixels:
    decoded = PillowDecoder(options).decode([image])
    assert decoded.failures == (None,)
    assert decoded.frames_FHWC.shape == (1, options.height, options.width, 3)
    assert decoded.frames_FHWC.dtype == torch.uint8
    pixels: Pixels = decoded.frames_FHWC[0].numpy()
    return pixels


def failure(image: bytes, options: DecodeOptions = WIDE) -> Reason | None:
    decoded = PillowDecoder(options).decode([image])
    assert len(decoded.frames_FHWC) == (decoded.failures[0] is None)
    return decoded.failures[0]


def plain_frame(image: Image.Image, options: DecodeOptions) -> Pixels:
    """Decode the image in full and stretch it: every shortcut must come close to this."""
    size = options.width, options.height
    return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def worst_difference(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


# -- Frames -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(40, 24), (100, 30), (30, 100), (3, 200), (1, 1), (5, 5)])
def test_an_image_of_any_shape_is_stretched_to_the_frame(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes], size: tuple[int, int]
) -> None:
    image = draw(*size)
    assert worst_difference(frame(encode(image, "PNG")), plain_frame(image, WIDE)) <= 1


UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_image_is_turned_upright(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes], orientation: int, kind: str
) -> None:
    stored = draw(70, 50)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.fromarray(np.ascontiguousarray(UPRIGHT[orientation](np.asarray(stored))))
    turned = frame(encode(stored, kind, exif=exif))
    assert difference(turned, plain_frame(upright, WIDE)) < 3
    assert orientation == 1 or difference(turned, plain_frame(stored, WIDE)) > 10


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [b"Exif\0\0no such thing", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_broken_exif_does_not_make_an_image_unusable(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes], kind: str, exif: bytes
) -> None:
    image = draw(70, 50)
    assert difference(frame(encode(image, kind, exif=exif)), plain_frame(image, WIDE)) < 3


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "rgb"),
    [
        ("RGB", (200, 30, 90), "PNG", (200, 30, 90)),
        ("RGBA", (200, 30, 90, 0), "PNG", (200, 30, 90)),
        ("RGBA", (200, 30, 90, 128), "TIFF", (200, 30, 90)),
        ("LA", (77, 3), "PNG", (77, 77, 77)),
        ("L", 77, "PNG", (77, 77, 77)),
        ("L", 77, "JPEG", (77, 77, 77)),
        ("L", 77, "BMP", (77, 77, 77)),
        ("1", 1, "PNG", (255, 255, 255)),
        ("I;16", 77 * 256 + 200, "PNG", (77, 77, 77)),
        ("I;16", 77 * 256 + 200, "TIFF", (77, 77, 77)),
        ("I;16B", 77 * 256 + 200, "TIFF", (77, 77, 77)),
        ("CMYK", (0, 255, 255, 0), "JPEG", (255, 0, 0)),
        ("CMYK", (0, 255, 255, 0), "TIFF", (255, 0, 0)),
    ],
)
def test_every_kind_of_colour_becomes_rgb_and_alpha_is_ignored(
    encode: Callable[..., bytes],
    mode: str,
    colour: float | tuple[int, ...],
    kind: str,
    rgb: tuple[int, int, int],
) -> None:
    pixels = frame(encode(Image.new(mode, (50, 60), colour), kind))
    assert np.abs(pixels.astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("options", [{}, {"transparency": 0}])
def test_a_palette_is_applied_before_the_resize(
    encode: Callable[..., bytes], options: dict[str, int]
) -> None:
    image = Image.new("P", (50, 60), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (0, 0, 50, 30))
    for kind in ("PNG", "GIF"):
        pixels = frame(encode(image, kind, **options))
        assert tuple(pixels[0, 0]) == (200, 100, 50)
        assert tuple(pixels[-1, -1]) == (10, 20, 30)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "MPO"])
def test_the_first_of_several_pictures_in_a_file_is_used(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes], kind: str
) -> None:
    first, second = draw(60, 50, 1), draw(60, 50, 2)
    pixels = frame(encode(first, kind, save_all=True, append_images=[second]))
    assert difference(pixels, plain_frame(first, WIDE)) < 4
    assert difference(pixels, plain_frame(second, WIDE)) > 20


@pytest.mark.parametrize("padding", [1, 100, 100_000])
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "bmp"])
def test_bytes_after_the_image_change_nothing(
    good_images: dict[str, bytes], kind: str, padding: int
) -> None:
    image = good_images[kind]
    assert np.array_equal(frame(image + bytes(padding)), frame(image))


# -- Scaled decoding --------------------------------------------------------------------------


def test_a_jpeg_slightly_larger_than_the_frame_is_decoded_in_full(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes]
) -> None:
    jpeg = encode(draw(447, 460), "JPEG")
    with Image.open(_file(jpeg)) as image:
        assert worst_difference(frame(jpeg, USUAL), plain_frame(image, USUAL)) <= 1


@pytest.mark.parametrize("size", [(672, 672), (1400, 1350), (700, 2000), (1900, 1800)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_scaled_decoding_of_a_large_jpeg_is_close_to_decoding_it_in_full(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes], size: tuple[int, int], mode: str
) -> None:
    jpeg = encode(draw(*size).convert(mode), "JPEG", quality=90)
    with Image.open(_file(jpeg)) as image:
        assert difference(frame(jpeg, USUAL), plain_frame(image, USUAL)) < 1


def test_real_photos_decoded_scaled_are_close_to_photos_decoded_in_full(
    real_photos: list[Path],
) -> None:
    decoded = PillowDecoder(USUAL).decode([photo.read_bytes() for photo in real_photos])
    assert not any(decoded.failures)
    differences = []
    for photo, pixels in zip(real_photos, decoded.frames_FHWC.numpy(), strict=True):
        with Image.open(photo) as image:
            if 0x0112 not in image.getexif():
                differences.append(difference(pixels, plain_frame(image, USUAL)))
    assert np.mean(differences) <= 1
    assert max(differences) <= 4


def _file(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


# -- Failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("web page", Reason.NOT_AN_IMAGE),
        ("zeros", Reason.NOT_AN_IMAGE),
        ("one byte", Reason.NOT_AN_IMAGE),
        ("jpeg cut in its header", Reason.TRUNCATED),
        ("jpeg cut in half", Reason.TRUNCATED),
        ("jpeg without its end", Reason.TRUNCATED),
        ("png cut in its header", Reason.TRUNCATED),
        ("png cut in half", Reason.TRUNCATED),
        ("png with a scratch", Reason.CORRUPT),
        ("png of noise", Reason.CORRUPT),
        ("webp cut in half", Reason.TRUNCATED),
        ("gif cut in half", Reason.TRUNCATED),
        ("jpeg bomb", Reason.TOO_LARGE),
        ("png bomb", Reason.TOO_LARGE),
        ("jpeg xl", Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_a_damaged_image_fails_with_its_reason(
    damaged_images: dict[str, bytes], kind: str, reason: Reason
) -> None:
    assert failure(damaged_images[kind]) is reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_max_pixels_is_the_largest_size_that_is_decoded(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes], kind: str
) -> None:
    capped = DecodeOptions(height=16, width=16, max_pixels=100 * 80, threads=1)
    assert failure(encode(draw(100, 80), kind), capped) is None
    assert failure(encode(draw(100, 81), kind), capped) is Reason.TOO_LARGE


def test_formats_that_start_other_programs_are_not_decoded(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes]
) -> None:
    assert failure(encode(draw(20, 20), "EPS")) is Reason.NOT_AN_IMAGE


def test_any_content_of_a_file_gives_a_frame_or_a_reason(real_damaged: list[Path]) -> None:
    images = [file.read_bytes() for file in real_damaged]
    decoded = PillowDecoder(WIDE).decode(images)
    assert len(decoded.failures) == len(images)
    assert len(decoded.frames_FHWC) == decoded.failures.count(None) > 0


# -- Batches ----------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3, 0])
def test_the_frame_of_an_image_does_not_depend_on_the_other_images_of_its_batch(
    good_images: dict[str, bytes], damaged_images: dict[str, bytes], threads: int
) -> None:
    options = DecodeOptions(height=24, width=40, threads=threads)
    images = [*damaged_images.values(), *good_images.values(), *damaged_images.values()]
    decoded = PillowDecoder(options).decode(images)
    assert decoded.failures == tuple(map(failure, images))
    alone = [frame(image) for image in good_images.values()]
    assert np.array_equal(decoded.frames_FHWC.numpy(), np.stack(alone))


def test_without_usable_images_there_are_no_frames(damaged_images: dict[str, bytes]) -> None:
    for images in ([], list(damaged_images.values())):
        decoded = PillowDecoder(WIDE).decode(images)
        assert decoded.frames_FHWC.shape == (0, 24, 40, 3)
        assert len(decoded.failures) == len(images)


def test_a_lack_of_memory_is_not_blamed_on_the_image(encode: Callable[..., bytes]) -> None:
    """Otherwise it would be lost as corrupt; now the worker dies, and its users are tried again."""
    program = """
import resource, sys
from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.pillow import PillowDecoder
decoder = PillowDecoder(DecodeOptions(16, 16, threads=1))
image = sys.stdin.buffer.read()
assert decoder.decode([image]).failures == (None,)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 20_000_000,) * 2)
decoder.decode([image])
"""
    if not Path("/proc/self/statm").exists():
        pytest.skip("the system does not show how much memory a process has")
    white = encode(Image.new("RGB", (6000, 6000), "white"), "PNG")
    done = subprocess.run(
        [sys.executable, "-c", program], input=white, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"MemoryError" in done.stderr.splitlines()[-1]


# -- Bounds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "F", "I;16"])
def test_converting_a_large_image_in_strips_changes_no_pixel(
    draw: Callable[..., Image.Image],
    encode: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    grey = draw(300, 200).convert("L")
    image = grey.convert("I").convert(mode) if mode == "I;16" else draw(300, 200).convert(mode)
    encoded = encode(image, "TIFF" if mode in ("CMYK", "F") else "PNG")
    in_one_piece = frame(encoded)
    monkeypatch.setattr("tweetprofile.decoders.pillow._STRIP_PIXELS", 300 * 7)
    assert np.array_equal(frame(encoded), in_one_piece)


def test_a_png_with_broken_pixels_is_not_decoded_a_second_time(
    damaged_images: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """nvImageCodec decoded none of 1,469 PNGs whose pixels Pillow could not decode."""
    decoder = PillowDecoder(WIDE)
    tried: list[bytes] = []
    monkeypatch.setattr(decoder._second, "decode", tried.append)
    decoder.decode([damaged_images["png with a scratch"], damaged_images["gif cut in half"]])
    assert tried == [damaged_images["gif cut in half"]]
