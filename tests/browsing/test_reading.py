"""Users are read from anywhere in a manifest of any form, each with the images that are shown."""

from pathlib import Path

import polars as pl
import pytest

from tweetprofile.browsing.reading import image_count, read_users, with_images
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.users import MAX_IMAGES

USERS = 2000


@pytest.fixture(params=["lists", "long"])
def manifest(request: pytest.FixtureRequest, tmp_path: Path) -> Manifest:
    ids = [f"u{user}" for user in range(USERS)]
    images = [[f"{user}-{each}.png" for each in range(3)] for user in range(USERS)]
    frame = pl.DataFrame({"user_id": ids, "images": images})
    if request.param == "long":
        frame = frame.explode("images").rename({"images": "image"})
    frame.write_parquet(tmp_path / "m.parquet", row_group_size=500)
    return Manifest.open(tmp_path / "m.parquet")


@pytest.mark.parametrize(
    "positions", [[], [0], [1999], [3, 4, 63, 64, 65, 1000, 1700, 1999], list(range(0, USERS, 3))]
)
def test_users_are_read_from_anywhere(manifest: Manifest, positions: list[int]) -> None:
    found = list(read_users(manifest, positions, MAX_IMAGES))
    assert [each.first for each in found] == positions
    assert [each.users[0].user_id for each in found] == [f"u{place}" for place in positions]


def test_a_user_keeps_the_chosen_images_only(manifest: Manifest) -> None:
    (user,) = read_users(manifest, [700], MAX_IMAGES)
    assert image_count(user) == 3
    kept = with_images(user, [0, 2]).users[0]
    assert [image.path for image in kept.images] == ["700-0.png", "700-2.png"]
    assert len(kept.images) + kept.left_out == 3
