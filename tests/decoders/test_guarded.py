"""DALI made safe: a damaged image never costs the other images of its batch."""

import random
from pathlib import Path

import pytest
import torch

from tweetprofile.decoders import DecodedFrames, DecodeOptions, make_decoder
from tweetprofile.decoders.guarded import GuardedDaliDecoder
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.job import DecoderName

pytest.importorskip("nvidia.dali", reason="DALI is for Linux")

OPTIONS = DecodeOptions(height=112, width=112, threads=2)


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def decoder(request: pytest.FixtureRequest) -> GuardedDaliDecoder:
    return GuardedDaliDecoder(OPTIONS, torch.device(request.param))


def by_image(decoded: DecodedFrames) -> list[torch.Tensor | None]:
    """Return for each image its frame, or None if it failed."""
    frames = iter(decoded.frames_FHWC.cpu())
    return [next(frames) if failure is None else None for failure in decoded.failures]


def same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one, other)


def test_each_of_many_mixed_images_has_the_same_result_as_alone(
    decoder: GuardedDaliDecoder, good_images: dict[str, bytes], damaged_images: dict[str, bytes]
) -> None:
    kinds = good_images | damaged_images
    alone = {kind: decoder.decode([image]) for kind, image in kinds.items()}
    mixture = list(kinds) * 5
    random.Random(0).shuffle(mixture)
    assert len(mixture) > 100
    together = decoder.decode([kinds[kind] for kind in mixture])
    assert together.failures == tuple(alone[kind].failures[0] for kind in mixture)
    for kind, frame in zip(mixture, by_image(together), strict=True):
        assert same(frame, by_image(alone[kind])[0]), kind


def test_the_same_images_fail_as_with_pillow_and_for_the_same_reason(
    decoder: GuardedDaliDecoder, good_images: dict[str, bytes], damaged_images: dict[str, bytes]
) -> None:
    images = [*good_images.values(), *damaged_images.values()]
    expected = PillowDecoder(OPTIONS).decode(images)
    assert expected.failures.count(None) == len(good_images)
    decoded = decoder.decode(images)
    assert decoded.failures == expected.failures
    assert (decoded.frames_FHWC.cpu().float() - expected.frames_FHWC).abs().mean() <= 1


def test_real_damaged_images_do_not_affect_the_photos_around_them(
    decoder: GuardedDaliDecoder, real_photos: list[Path], real_damaged: list[Path]
) -> None:
    photos = [photo.read_bytes() for photo in real_photos[: len(real_damaged)]]
    damaged = [file.read_bytes() for file in real_damaged]
    mixture = [image for pair in zip(photos, damaged, strict=False) for image in pair]
    together = decoder.decode(mixture)
    frames = by_image(together)
    assert not any(together.failures[::2])
    assert all(map(same, frames[::2], by_image(decoder.decode(photos))))
    for position, image in enumerate(damaged):
        alone = decoder.decode([image])
        assert alone.failures[0] == together.failures[2 * position + 1]
        assert same(frames[2 * position + 1], by_image(alone)[0])


def test_frames_have_the_order_of_the_images_whichever_decoder_made_them(
    decoder: GuardedDaliDecoder, good_images: dict[str, bytes], damaged_images: dict[str, bytes]
) -> None:
    by_dali, by_pillow, by_none = good_images["png"], good_images["gif"], damaged_images["zeros"]
    alone = decoder.decode([by_dali, by_pillow]).frames_FHWC
    decoded = decoder.decode([by_pillow, by_none, by_dali, by_dali, by_none, by_pillow])
    assert [failure is None for failure in decoded.failures] == [1, 0, 1, 1, 0, 1]
    assert torch.equal(decoded.frames_FHWC, alone[[1, 0, 0, 1]])


def test_frames_are_on_the_device_whichever_decoder_made_them(
    request: pytest.FixtureRequest,
    decoder: GuardedDaliDecoder,
    good_images: dict[str, bytes],
    damaged_images: dict[str, bytes],
) -> None:
    devices = {
        decoder.decode(images).frames_FHWC.device.type
        for images in (
            [],
            [good_images["jpeg"]],
            [good_images["gif"]],
            [good_images["jpeg"], good_images["gif"]],
            [damaged_images["zeros"]],
        )
    }
    assert devices == {request.node.callspec.params["decoder"]}


@pytest.mark.parametrize("damage", ["web page", "png with a scratch", "png of noise"])
def test_many_unusable_images_give_no_frame(
    decoder: GuardedDaliDecoder, damaged_images: dict[str, bytes], damage: str
) -> None:
    decoded = decoder.decode([damaged_images[damage]] * 20)
    assert decoded.frames_FHWC.shape == (0, 112, 112, 3)
    assert len(decoded.failures) == 20
    assert None not in decoded.failures


@pytest.mark.parametrize(
    ("name", "device", "chosen"),
    [
        ("auto", "cpu", "pillow"),
        ("pillow", "cpu", "pillow"),
        ("dali", "cpu", "dali"),
        pytest.param("auto", "cuda", "dali", marks=pytest.mark.gpu),
        pytest.param("pillow", "cuda", "pillow", marks=pytest.mark.gpu),
    ],
)
def test_the_faster_decoder_of_a_device_is_chosen_unless_another_is_named(
    name: DecoderName, device: str, chosen: str
) -> None:
    assert make_decoder(name, OPTIONS, torch.device(device)).name == chosen
