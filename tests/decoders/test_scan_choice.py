"""Only the scans that a frame can show are decoded, and the frame hardly differs."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from tests.decoders.jpeg_scripts import (
    BASELINE,
    MOZJPEG,
    PROGRESSIVE,
    STANDARD,
    THREE_SCANS,
    ScanSpec,
    Script,
)
from tests.decoders.jpeg_writer import JpegOptions, write_jpeg
from tests.decoders.pictures import scenery, shapes, text
from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.decoders.scan_choice import shorten_jpeg
from tweetprofile.job import Detail

Encode = Callable[..., bytes]
Draw = Callable[..., Image.Image]
Differences = Sequence[float]

PICTURES = {"text": text, "shapes": shapes, "scenery": scenery}
TWITTER = {"quality": 85, "subsampling": "4:2:0"}


def differences(images: Sequence[bytes], side: int) -> Differences:
    """Return the mean difference of each frame from that of a full decode, in grey levels."""
    frames = []
    details: tuple[Detail, Detail] = ("frame", "full")
    for detail in details:
        decoded = PillowDecoder(DecodeOptions(side, side, detail=detail)).decode(images)
        assert decoded.failures == (None,) * len(images)
        frames.append(decoded.frames_FHWC.numpy().astype(int))
    means: Differences = np.abs(frames[0] - frames[1]).mean((1, 2, 3)).tolist()
    return means


def assert_within_bounds(means: Differences) -> None:
    assert np.mean(means) <= 1
    assert max(means) <= 2.5


def short_of(image: bytes, side: int, *, guesses: bool = False) -> bytes | None:
    short = shorten_jpeg(image, side, guesses=guesses)
    return None if short is None else short.data


def small_scenery(script: Script = STANDARD, options: JpegOptions | None = None) -> bytes:
    return write_jpeg(np.asarray(scenery(320, 240)), script, options)


def scans_of(jpeg: bytes) -> int:
    return jpeg.count(b"\xff\xda")


# -- The frame --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PICTURES)
def test_frames_of_pictures_as_twitter_serves_them_hardly_differ(encode: Encode, kind: str) -> None:
    sizes = [(1200, 675), (675, 1200), (1200, 900), (1199, 1203)]
    pictures = [PICTURES[kind](*size, seed=seed) for seed, size in enumerate(sizes)]
    images = [encode(picture, "JPEG", progressive=True, **TWITTER) for picture in pictures]
    for side in (64, 112, 224):
        assert all(short_of(image, side) for image in images)
        assert_within_bounds(differences(images, side))


@pytest.mark.parametrize("side", [64, 112, 224])
def test_frames_of_real_photos_from_twitter_hardly_differ(
    twitter_photos: list[Path], side: int
) -> None:
    assert_within_bounds(differences([path.read_bytes() for path in twitter_photos], side))


@pytest.mark.parametrize(("quality", "subsampling"), [(60, "4:2:0"), (85, "4:2:0"), (95, "4:4:4")])
@pytest.mark.parametrize("name", PROGRESSIVE)
def test_frames_hardly_differ_whatever_the_script_of_scans(
    name: str, quality: int, subsampling: str
) -> None:
    options = JpegOptions(quality, subsampling, restart_interval=7)  # type: ignore[arg-type]
    images = [
        write_jpeg(np.asarray(picture), PROGRESSIVE[name], options)
        for picture in (shapes(160, 120, count=10), scenery(160, 120))
    ]
    for side in (10, 20, 56):
        assert_within_bounds(differences(images, side))


def test_grey_pictures_are_shortened_as_well(encode: Encode) -> None:
    image = encode(scenery(1200, 900).convert("L"), "JPEG", progressive=True, quality=85)
    assert len(short_of(image, 112) or image) < len(image) / 2
    assert_within_bounds(differences([image], 112))


def test_a_turned_picture_is_shortened_as_well(encode: Encode) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    image = encode(scenery(1200, 900), "JPEG", progressive=True, exif=turned, **TWITTER)
    assert len(short_of(image, 112) or image) < len(image) / 2
    assert_within_bounds(differences([image], 112))


# -- The choice -------------------------------------------------------------------------------


def test_most_of_a_photograph_is_left_out() -> None:
    image = small_scenery()
    short = short_of(image, 32)
    assert short is not None
    assert len(short) < len(image) * 0.45
    assert scans_of(image) == 10
    assert scans_of(short) < 9


def test_a_larger_frame_needs_more_scans() -> None:
    image = small_scenery()
    lengths = [len(short_of(image, side) or image) for side in (16, 32, 112, 240)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1] == len(image)


def test_text_needs_its_fine_waves_however_small_the_frame(encode: Encode) -> None:
    page = encode(text(1200, 900), "JPEG", progressive=True, **TWITTER)
    drawing = encode(shapes(1200, 900), "JPEG", progressive=True, **TWITTER)
    short_page, short_drawing = short_of(page, 64), short_of(drawing, 64)
    assert short_page is not None
    assert short_drawing is not None
    assert scans_of(short_page) > scans_of(short_drawing)


def test_scans_between_those_that_are_needed_are_left_out() -> None:
    image = small_scenery()
    short = short_of(image, 32, guesses=True)
    assert short is not None
    assert not image.startswith(short[:-2])
    refined_means = bytes([0xDA, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 0, 0x10])
    assert refined_means in short


def test_what_follows_the_last_scan_that_is_needed_is_not_looked_at() -> None:
    image = small_scenery()
    last = image.rindex(b"\xff\xda")
    damaged = image[: last + 20] + bytes(len(image) - last - 22) + image[-2:]
    assert short_of(damaged, 32) == short_of(image, 32)


def test_tables_before_a_scan_that_is_left_out_are_kept() -> None:
    # Tables of a scan may serve later scans as well.
    image = small_scenery(MOZJPEG)
    short = short_of(image, 32)
    assert short is not None
    tables = image[: image.rindex(short[-40:-2])].count(b"\xff\xc4")
    assert short.count(b"\xff\xc4") == tables


def test_the_library_does_not_guess_what_was_left_out() -> None:
    image = small_scenery()
    short, guessed = short_of(image, 32), short_of(image, 32, guesses=True)
    assert short is not None
    assert guessed is not None
    changed = [at for at in range(len(short)) if short[at] != guessed[at]]
    assert len(changed) == 1
    assert short[changed[0]] == 0
    assert changed[0] < short.index(b"\xff\xda")
    simplejpeg.decode_jpeg(short, strict=True)
    simplejpeg.decode_jpeg(guessed, strict=True)


# -- What cannot be judged --------------------------------------------------------------------


def test_other_images_are_decoded_as_a_whole(good_images: dict[str, bytes]) -> None:
    others = [image for name, image in good_images.items() if "progressive" not in name]
    for image in [
        b"",
        b"\xff\xd8\xff",
        *others,
        small_scenery(BASELINE),
        small_scenery(THREE_SCANS),
    ]:
        assert short_of(image, 16) is None


def _replaced(image: bytes, old: bytes, new: bytes) -> bytes:
    assert old in image
    return image.replace(old, new, 1)


def _with_segment(image: bytes, marker: int, body: bytes) -> bytes:
    """Put a segment before the second scan, where its tables are."""
    second = image.index(b"\xff\xc4", image.index(b"\xff\xda"))
    segment = struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
    return image[:second] + segment + image[second:]


IRREGULAR: dict[str, Callable[[bytes], bytes]] = {
    "without an end": lambda image: image[:-2],
    "arithmetic coding": lambda image: _replaced(image, b"\xff\xc2", b"\xff\xca"),
    "lossless": lambda image: _replaced(image, b"\xff\xc2", b"\xff\xc3"),
    "12 bits": lambda image: _replaced(image, b"\xff\xc2\0\x11\x08", b"\xff\xc2\0\x11\x0c"),
    "no rows": lambda image: _replaced(image, b"\x08\0\xf0\x01\x40", b"\x08\0\0\x01\x40"),
    "no such table": lambda image: _replaced(image, b"\x01\x22\0", b"\x01\x22\x03"),
    "no sampling": lambda image: _replaced(image, b"\x01\x22\0", b"\x01\0\0"),
    "wide quantisers": lambda image: _replaced(image, b"\xff\xdb\0\x43\0", b"\xff\xdb\0\x43\x10"),
    "a cut table": lambda image: _replaced(image, b"\xff\xdb\0\x43", b"\xff\xdb\0\x33"),
    "other quantisers later": lambda image: _with_segment(image, 0xDB, bytes([0, *[9] * 64])),
    "a second frame": lambda image: _with_segment(image, 0xC2, bytes(15)),
    "rows counted later": lambda image: _with_segment(image, 0xDC, b"\0\xf0"),
    "a thumbnail": lambda image: _with_segment(image, 0xD8, b""),
    "an early end": lambda image: _with_segment(image, 0xD9, b""),
    "a segment of no length": lambda image: _replaced(image, b"\xff\xdb\0\x43", b"\xff\xdb\0\0"),
    "many segments": lambda image: image[:2] + b"\xff\xfe\0\2" * 1001 + image[2:],
}


@pytest.mark.parametrize("kind", IRREGULAR)
def test_an_irregular_file_is_decoded_as_a_whole(kind: str) -> None:
    image = small_scenery()
    assert short_of(image, 32) is not None
    assert short_of(IRREGULAR[kind](image), 32) is None


_DC, _Y, _CB, _CR = STANDARD[0], STANDARD[1], STANDARD[3], STANDARD[2]

UNFOLLOWABLE: dict[str, Script] = {
    "a band twice": (_DC, _Y, _Y, *STANDARD[2:]),
    "waves before means": (_Y, _DC, *STANDARD[2:]),
    "a refinement of nothing": (_DC, STANDARD[5], *STANDARD[1:]),
    "two bits at once": (_DC, _Y, _CR, _CB, ScanSpec((0,), 1, 5, 2, 0), *STANDARD[4:]),
    "a refinement of other bits": (_DC, _Y, ScanSpec((0,), 1, 5, 3, 2), *STANDARD[2:]),
    "no waves of a colour": (_DC, _Y, _CR, STANDARD[4]),
}


@pytest.mark.parametrize("kind", UNFOLLOWABLE)
def test_scans_that_do_not_follow_from_each_other_are_all_decoded(kind: str) -> None:
    image = small_scenery(UNFOLLOWABLE[kind])
    short = short_of(image, 32)
    assert short is None or scans_of(short) == scans_of(image)


def test_more_scans_than_encoders_write_are_all_decoded() -> None:
    bits = [ScanSpec((0, 1, 2), 0, 0, 0, 13)]
    bits += [ScanSpec((0, 1, 2), 0, 0, low + 1, low) for low in range(12, -1, -1)]
    single = [ScanSpec((number,), each, each) for number in (0, 1, 2) for each in range(1, 64)]
    assert short_of(small_scenery((*bits, *single)), 16) is None


# -- Damage -----------------------------------------------------------------------------------


def decode(image: bytes, detail: Detail) -> tuple[object, bytes]:
    decoded = PillowDecoder(DecodeOptions(32, 32, threads=1, detail=detail)).decode([image])
    return decoded.failures[0], decoded.frames_FHWC.numpy().tobytes()


def test_damage_that_a_frame_cannot_show_does_not_matter() -> None:
    image = small_scenery()
    last = image.rindex(b"\xff\xda")
    damaged = image[: last + 40] + b"\xff\xda\xff\xff" + bytes(300) + image[last + 400 :]
    assert decode(damaged, "frame") == decode(image, "frame")
    assert decode(damaged, "full") != decode(image, "full")


def test_damage_to_what_a_frame_shows_has_the_outcome_of_a_full_decode() -> None:
    image = small_scenery()
    first = image.index(b"\xff\xda") + 40
    damaged = image[:first] + b"\xff\xff\x01\xff" * 20 + image[first + 80 :]
    reason, _ = decode(damaged, "full")
    assert decode(damaged, "frame")[0] == reason


def test_a_truncated_file_is_noticed_even_if_all_that_a_frame_shows_is_there() -> None:
    image = small_scenery()
    for kept in (0.9, 0.7):
        cut = image[: int(kept * len(image))]
        assert decode(cut, "frame")[0] == decode(cut, "full")[0] == "truncated"
