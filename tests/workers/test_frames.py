"""The frames of a user: images are read and decoded, and unused ones replace those that fail."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tweetprofile.data.images.reader import FailedImage, ImageReader
from tweetprofile.data.manifests.users import ImageRef, UserImages
from tweetprofile.decoders import DecodeOptions, make_decoder
from tweetprofile.decoders.pillow import PillowDecoder
from tweetprofile.errors import Reason
from tweetprofile.job import DecoderName, FrameSize
from tweetprofile.volumes.choice import choose_frames
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.workers.frames import FrameLoader, UserFrames

SPEC = VolumeSpec(frames=4, height=16, width=16)
WEB_PAGE = b"<html>404</html>"


def picture(level: int) -> bytes:
    """Draw a picture of one grey level, which identifies its frame."""
    file = io.BytesIO()
    Image.new("L", (20, 30), level).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def loader(tmp_path: Path) -> FrameLoader:
    return FrameLoader(
        ImageReader(tmp_path), PillowDecoder(DecodeOptions(16, 16, threads=1)), SPEC.frame_size()
    )


def user(name: str, images: int, broken: set[int] | None = None) -> UserImages:
    """Make a user whose image i has the grey level i, except for the broken ones."""
    data = (WEB_PAGE if i in (broken or ()) else picture(i) for i in range(images))
    return UserImages(name, tuple(ImageRef(f"{i}.png", image) for i, image in enumerate(data)))


def levels(loaded: UserFrames) -> list[int]:
    """Return the images that the frames come from, by their grey level."""
    assert loaded.frames_FHWC.dtype == torch.uint8
    assert loaded.frames_FHWC.shape[1:] == (16, 16, 3)
    return [int(level) for level in loaded.frames_FHWC[:, 0, 0, 0]]


@pytest.mark.parametrize(
    ("images", "broken", "used", "failed"),
    [
        (0, set(), [], []),
        (1, set(), [0], []),
        (3, set(), [0, 1, 2], []),
        (4, set(), [0, 1, 2, 3], []),
        (10, set(), [0, 3, 6, 9], []),
        (3, {1}, [0, 2], [1]),
        (3, {0, 1, 2}, [], [0, 1, 2]),
        (10, {3}, [0, 2, 6, 9], [3]),
        (10, {0, 9}, [1, 3, 6, 8], [0, 9]),
        (10, {2, 3, 4}, [0, 1, 6, 9], [2, 3]),
        (10, {1, 2}, [0, 3, 6, 9], []),
        (6, {0, 1, 2, 3}, [4, 5], [0, 1, 2, 3]),
        (10, set(range(10)), [], list(range(10))),
    ],
)
def test_an_unusable_image_is_replaced_by_the_nearest_unused_one_while_there_are_any(
    loader: FrameLoader,
    images: int,
    broken: set[int],
    used: list[int],
    failed: list[int],
) -> None:
    (loaded,) = loader.load([user("zoe", images, broken)])
    assert levels(loaded) == used
    assert loaded.images_given == images
    assert loaded.failed == tuple(
        FailedImage(index, f"{index}.png", Reason.NOT_AN_IMAGE) for index in failed
    )


def test_the_frames_of_a_user_follow_from_the_positions_of_unusable_images(
    loader: FrameLoader,
) -> None:
    random = np.random.default_rng(0)
    for images in (0, 1, 3, 4, 9, 23):
        for share in (0.0, 0.3, 0.8, 1.0):
            broken = set(np.flatnonzero(random.random(images) < share).tolist())
            (loaded,) = loader.load([user("zoe", images, broken)])
            chosen = choose_frames(images, SPEC.frames, broken)
            assert list(chosen.used) == levels(loaded)
            assert list(chosen.failed) == [image.index for image in loaded.failed]


def test_every_failure_is_reported_with_its_own_reason(loader: FrameLoader, tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(picture(200))
    (tmp_path / "empty.png").touch()
    refs = [
        ImageRef("gone.png"),
        ImageRef("good.png"),
        ImageRef("../out.png"),
        ImageRef("empty.png"),
        ImageRef(None, picture(3)[:-40]),
        ImageRef(),
    ]
    (loaded,) = loader.load([UserImages("zoe", tuple(refs))])
    assert levels(loaded) == [200]
    assert loaded.failed == (
        FailedImage(0, "gone.png", Reason.MISSING),
        FailedImage(2, "../out.png", Reason.OUTSIDE_ROOT),
        FailedImage(3, "empty.png", Reason.EMPTY),
        FailedImage(4, "", Reason.TRUNCATED),
        FailedImage(5, "", Reason.MISSING),
    )


def test_users_loaded_together_get_the_same_frames_as_alone(loader: FrameLoader) -> None:
    users = [
        user("a", 0),
        user("b", 3, {1}),
        user("c", 30, set(range(0, 30, 2))),
        user("d", 5, set(range(5))),
        user("e", 4),
        user("f", 11, {0, 5}),
        user("b", 2),
    ]
    together = loader.load(users)
    assert [loaded.user_id for loaded in together] == [one.user_id for one in users]
    for one, loaded in zip(users, together, strict=True):
        (alone,) = loader.load([one])
        assert torch.equal(loaded.frames_FHWC, alone.frames_FHWC)
        assert (loaded.images_given, loaded.failed) == (alone.images_given, alone.failed)


def test_no_users_have_no_frames(loader: FrameLoader) -> None:
    assert loader.load([]) == []


@pytest.mark.parametrize("decoder", ["pillow", "dali"])
def test_images_that_are_read_ahead_of_a_part_keep_their_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoder: DecoderName
) -> None:
    """Parts end anywhere among the files that are read at once."""
    monkeypatch.setattr("tweetprofile.workers.frames._MAX_ENCODED_BYTES", 500)
    for level in range(150):
        (tmp_path / f"{level}.png").write_bytes(picture(level))
    fast = make_decoder(decoder, DecodeOptions(16, 16, threads=1), torch.device("cpu"))
    reader = ImageReader(tmp_path, writable=fast.host_turn is not None)
    loader = FrameLoader(reader, fast, FrameSize(150, 16, 16))
    refs = tuple(ImageRef(f"{level}.png") for level in range(150))
    (loaded,) = loader.load([UserImages("many", refs)])
    assert levels(loaded) == list(range(150))
