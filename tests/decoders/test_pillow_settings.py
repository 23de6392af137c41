"""Decoding obeys `max_pixels` alone and leaves the program's own settings as it found them."""

import io
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable

import pytest
from PIL import AvifImagePlugin, Image

from tweetprofile.decoders import DecodeOptions
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.decoders.pillow_settings import pillow_settings
from tweetprofile.errors import Reason


@pytest.fixture(autouse=True)
def own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a limit at which Pillow refuses images of more than 2,000 pixels."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)


def failure(image: bytes, max_pixels: int) -> Reason | None:
    options = DecodeOptions(height=16, width=16, max_pixels=max_pixels, threads=1)
    return PillowDecoder(options).decode([image]).failures[0]


def program_settings() -> tuple[object, ...]:
    return Image.MAX_IMAGE_PIXELS, AvifImagePlugin.DEFAULT_MAX_THREADS, list(warnings.filters)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "MPO", "ICO"])
def test_an_image_within_max_pixels_is_decoded_whatever_pillows_own_limit_is(
    draw: Callable[..., Image.Image], encode: Callable[..., bytes], kind: str
) -> None:
    image = encode(draw(64, 64), kind)
    before = program_settings()
    assert failure(image, max_pixels=4096) is None
    assert failure(image, max_pixels=4095) is Reason.TOO_LARGE
    assert program_settings() == before


@pytest.mark.parametrize("limit", [None, 1_000_000])
def test_a_limit_of_the_program_that_is_higher_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pillow_settings(100):
        assert limit == Image.MAX_IMAGE_PIXELS
    assert limit == Image.MAX_IMAGE_PIXELS


def test_the_last_of_several_threads_restores_the_settings() -> None:
    before = program_settings()
    inside, leave = threading.Barrier(2), threading.Event()

    def decode() -> None:
        with pillow_settings(8000):
            inside.wait(10)
            leave.wait(10)

    with pillow_settings(40_000):
        other = threading.Thread(target=decode)
        other.start()
        inside.wait(10)
        assert Image.MAX_IMAGE_PIXELS == 20_000
    assert Image.MAX_IMAGE_PIXELS == 20_000, "the other thread still decodes"
    leave.set()
    other.join()
    assert program_settings() == before


def test_a_limit_that_the_program_sets_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with pillow_settings(40_000):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 123)
    assert Image.MAX_IMAGE_PIXELS == 123


def test_warning_filters_of_another_thread_that_ends_first_are_not_brought_back() -> None:
    before = list(warnings.filters)
    other, ours = warnings.catch_warnings(), pillow_settings(100)
    other.__enter__()
    warnings.simplefilter("error")
    ours.__enter__()
    other.__exit__(None, None, None)
    ours.__exit__(None, None, None)
    assert list(warnings.filters) == before


def test_warning_filters_of_another_thread_that_ends_last_do_not_stay_silenced() -> None:
    before = list(warnings.filters)
    other, ours = warnings.catch_warnings(), pillow_settings(100)
    ours.__enter__()
    other.__enter__()
    warnings.simplefilter("error")
    ours.__exit__(None, None, None)
    other.__exit__(None, None, None)
    assert list(warnings.filters) == before


def test_an_error_restores_the_settings_too() -> None:
    before = program_settings()
    with pytest.raises(KeyError), pillow_settings(40_000):
        raise KeyError
    assert program_settings() == before


def test_pillow_does_not_warn_while_images_are_decoded(recwarn: pytest.WarningsRecorder) -> None:
    warnings.simplefilter("always")
    palette = Image.new("P", (50, 30))
    file = io.BytesIO()
    palette.save(file, "PNG", transparency=bytes(range(10)))
    assert failure(file.getvalue(), max_pixels=1500) is None
    assert not recwarn.list


def test_importing_the_package_changes_no_setting_of_the_program() -> None:
    program = """
import warnings
import numpy, platformdirs, pyarrow, safetensors.torch, simplejpeg, torch
from PIL import AvifImagePlugin, Image
def settings():
    return Image.MAX_IMAGE_PIXELS, AvifImagePlugin.DEFAULT_MAX_THREADS, list(warnings.filters)
before = settings()
import tweetprofile.training.loop
import tweetprofile.workers.examiner, tweetprofile.workers.extractor, tweetprofile.workers.predictor
assert settings() == before, settings()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
