"""DALI and Pillow give the same frames, except for small rounding differences."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.dali import DaliBatchDecoder, SampleFailedError
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.decoders.screening import HeaderScreen

pytest.importorskip("nvidia.dali", reason="DALI is for Linux")

OPTIONS = DecodeOptions(height=112, width=112, threads=2)


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def dali(request: pytest.FixtureRequest) -> DaliBatchDecoder:
    return DaliBatchDecoder(OPTIONS, torch.device(request.param))


@pytest.fixture(scope="module")
def safe_images(good_images: dict[str, bytes]) -> dict[str, bytes]:
    """Return the good images that DALI may receive."""
    screen = HeaderScreen(OPTIONS.max_pixels)
    return {kind: image for kind, image in good_images.items() if screen.count_pixels(image)}


def differences(dali: DaliBatchDecoder, images: list[bytes]) -> torch.Tensor:
    """Return how much the frames of DALI and Pillow differ: (F, H, W, 3), in grey levels."""
    expected = PillowDecoder(OPTIONS).decode(images)
    assert not any(expected.failures)
    frames = dali.decode(images).cpu()
    assert frames.shape == expected.frames_FHWC.shape
    assert frames.dtype == torch.uint8
    return (frames.float() - expected.frames_FHWC.float()).abs()


def test_real_photos_have_the_same_frames_as_with_pillow(
    dali: DaliBatchDecoder, real_photos: list[Path]
) -> None:
    apart = differences(dali, [photo.read_bytes() for photo in real_photos]).mean(dim=(1, 2, 3))
    assert apart.mean() <= 1
    assert apart.max() <= 4


def test_every_kind_of_image_has_the_same_frame_as_with_pillow(
    dali: DaliBatchDecoder, safe_images: dict[str, bytes]
) -> None:
    apart = differences(dali, list(safe_images.values())).mean(dim=(1, 2, 3))
    assert len(apart) >= 10
    assert apart.max() <= 0.5, dict(zip(safe_images, apart.tolist(), strict=True))


def test_without_scaled_decoding_frames_differ_only_by_rounding_except_at_the_border(
    dali: DaliBatchDecoder, draw: Callable[..., Image.Image], encode: Callable[..., bytes]
) -> None:
    sizes = [(112, 112), (223, 223), (200, 130), (90, 220), (60, 60)]
    images = [encode(draw(*size), "PNG") for size in sizes]
    apart = differences(dali, images)
    assert apart[:, 1:-1, 1:-1].max() <= 1
    assert apart.mean() <= 0.4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_is_turned_upright_as_with_pillow(
    dali: DaliBatchDecoder,
    draw: Callable[..., Image.Image],
    encode: Callable[..., bytes],
    orientation: int,
    kind: str,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert differences(dali, [encode(draw(200, 130), kind, exif=exif)]).mean() <= 0.5


def test_a_frame_has_the_configured_size(good_images: dict[str, bytes]) -> None:
    wide = DaliBatchDecoder(DecodeOptions(height=24, width=40, threads=1), torch.device("cpu"))
    assert wide.decode([good_images["jpeg"], good_images["webp"]]).shape == (2, 24, 40, 3)


def test_the_frame_of_an_image_does_not_depend_on_the_other_images_of_its_batch(
    dali: DaliBatchDecoder, safe_images: dict[str, bytes]
) -> None:
    images = list(safe_images.values())
    together = dali.decode(images * 5)
    alone = torch.cat([dali.decode([image]) for image in images])
    assert torch.equal(together, alone.repeat(5, 1, 1, 1))


def test_frames_stay_unchanged_while_the_next_ones_are_decoded(
    dali: DaliBatchDecoder, safe_images: dict[str, bytes]
) -> None:
    images = list(safe_images.values())
    first = dali.decode(images)
    before = first.clone()
    for _ in range(5):
        dali.decode(images[::-1])
    assert torch.equal(first, before)


@pytest.mark.parametrize("position", [0, 7, 19])
def test_an_image_that_cannot_be_decoded_is_named_and_does_not_affect_the_next_batch(
    dali: DaliBatchDecoder,
    good_images: dict[str, bytes],
    damaged_images: dict[str, bytes],
    position: int,
) -> None:
    images = [good_images["png"]] * 20
    expected = dali.decode(images)
    images[position] = damaged_images["png of noise"]
    with pytest.raises(SampleFailedError) as failed:
        dali.decode(images)
    assert failed.value.position == position
    assert torch.equal(dali.decode([good_images["png"]] * 20), expected)


def test_batches_of_a_few_images_share_the_decoder_of_larger_ones(
    dali: DaliBatchDecoder, good_images: dict[str, bytes]
) -> None:
    decoder = DaliBatchDecoder(OPTIONS, dali._device)
    for images in (64, 1, 2, 3, 5, 33, 63):
        assert len(decoder.decode([good_images["jpeg"]] * images)) == images
    assert len(decoder._context._instance_cache) == 2, "one decoder and one resize"


def test_images_may_become_larger_and_smaller_from_batch_to_batch(
    dali: DaliBatchDecoder, good_images: dict[str, bytes], draw: Callable[..., Image.Image]
) -> None:
    file = io.BytesIO()
    draw(1500, 1200).save(file, "JPEG", quality=99)
    small, large = good_images["jpeg"], file.getvalue()
    first, big, again = (dali.decode([image])[0].cpu() for image in (small, large, small))
    assert torch.equal(first, again)
    assert not torch.equal(first, big)
