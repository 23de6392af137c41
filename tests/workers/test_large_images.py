"""`max_pixels` alone decides which large images are used, also without a supervised worker."""

import io
import warnings
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.job import FrameSize, PredictorOptions
from tweetprofile.workers.examiner import Examiner
from tweetprofile.workers.extractor import FrameExtractor
from tweetprofile.workers.predictor import Predictor

WIDTH, HEIGHT = 20_000, 10_000
LARGE = PredictorOptions(device="cpu", threads=1, max_pixels=400_000_000)


@pytest.fixture(scope="module")
def users() -> list[UserImages]:
    """A user with one grey JPEG of 200 megapixels, more than Pillow opens by default."""
    assert Image.MAX_IMAGE_PIXELS is not None
    assert 2 * Image.MAX_IMAGE_PIXELS < WIDTH * HEIGHT <= LARGE.max_pixels
    file = io.BytesIO()
    Image.new("L", (WIDTH, HEIGHT), 77).save(file, "JPEG")
    return [UserImages("zoe", (ImageRef(data=file.getvalue()),))]


def status(table: pa.Table) -> str:
    (row,) = table.to_pylist()
    assert row["frames_used"] == (row["status"] == "ok")
    return str(row["status"])


def test_a_predictor_decodes_a_large_image_that_max_pixels_allows(
    model: Path, users: list[UserImages]
) -> None:
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    checkpoint = load_checkpoint(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert status(Predictor(checkpoint, LARGE)(users)) == "ok"
    assert status(Predictor(checkpoint, PredictorOptions(device="cpu"))(users)) == "unusable"
    assert (limit, filters) == (Image.MAX_IMAGE_PIXELS, list(warnings.filters))


def test_a_frame_extractor_decodes_a_large_image_that_max_pixels_allows(
    users: list[UserImages],
) -> None:
    assert status(FrameExtractor(FrameSize(11, 32, 32), LARGE)(users)) == "ok"


@pytest.mark.parametrize("full_decode", [False, True])
def test_an_examiner_tells_the_size_of_a_large_image_that_max_pixels_allows(
    users: list[UserImages], full_decode: bool
) -> None:
    (row,) = Examiner(FrameSize(11, 112, 112), full_decode, LARGE)(users).to_pylist()
    assert (row["formats"], row["widths"], row["heights"]) == (["JPEG"], [WIDTH], [HEIGHT])
    assert row["decoded"] == full_decode


@pytest.mark.slow
def test_a_large_png_that_is_decoded_in_full_is_used_as_well(model: Path) -> None:
    file = io.BytesIO()
    Image.new("1", (WIDTH, HEIGHT)).save(file, "PNG")
    user = UserImages("zoe", (ImageRef(data=file.getvalue()),))
    assert status(Predictor(load_checkpoint(model), LARGE)([user])) == "ok"
