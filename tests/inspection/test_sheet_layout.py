"""A contact sheet has the frames that the network gets, and names all else as what it is."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tweetprofile.data.manifests.manifest import ImageRef
from tweetprofile.inspection.sheet_layout import CellKind, Filling, SheetCell, lay_out_sheet

IMAGES = [ImageRef(f"folder/{number}.jpg") for number in range(6)]


def frames(*levels: int) -> NDArray[np.uint8]:
    """Frames of one grey each, by which they are known again."""
    return np.array([np.full((2, 2, 3), level, np.uint8) for level in levels]).reshape(-1, 2, 2, 3)


def words(tiles: list[SheetCell]) -> list[str]:
    return [f"{tile.kind} {tile.name}".strip() for tile in tiles]


def test_a_full_volume_is_the_users_own_frames_spread_over_the_list() -> None:
    tiles = lay_out_sheet(IMAGES, frames(0, 2, 5), {}, 3, "repeat")
    assert words(tiles) == ["frame 0.jpg", "frame 2.jpg", "frame 5.jpg"]
    assert [tile.index for tile in tiles] == [0, 2, 5]
    assert [int(tile.frame_HWC[0, 0, 0]) for tile in tiles if tile.frame_HWC is not None] == [
        0,
        2,
        5,
    ]


def test_what_failed_is_replaced_and_stands_behind_with_its_reason() -> None:
    tiles = lay_out_sheet(IMAGES, frames(0, 1, 5), {2: "truncated"}, 3, "repeat")
    assert words(tiles) == ["frame 0.jpg", "frame 1.jpg", "frame 5.jpg", "failed 2.jpg"]
    assert (tiles[-1].index, tiles[-1].reason, tiles[-1].frame_HWC) == (2, "truncated", None)


@pytest.mark.parametrize(
    ("filling", "rest"),
    [
        ("repeat", ["repeated 0.jpg", "repeated 1.jpg", "repeated 0.jpg"]),
        ("zeros", ["blank", "blank", "blank"]),
        ("nothing", []),
    ],
)
def test_what_fills_a_short_volume_is_marked(filling: Filling, rest: list[str]) -> None:
    tiles = lay_out_sheet(IMAGES[:2], frames(0, 1), {}, 5, filling)
    assert words(tiles) == ["frame 0.jpg", "frame 1.jpg", *rest]


@pytest.mark.parametrize("filling", ["repeat", "zeros", "nothing"])
def test_without_a_frame_there_is_no_volume(filling: Filling) -> None:
    tiles = lay_out_sheet(IMAGES[:1], frames(), {0: "missing"}, 2, filling)
    assert words(tiles) == ["failed 0.jpg"]
    assert lay_out_sheet([], frames(), {}, 2, filling) == []


def test_an_image_without_a_name_has_its_number_alone() -> None:
    (tile,) = lay_out_sheet([ImageRef(data=b"")], frames(9), {}, 1, "repeat")
    assert (tile.kind, tile.index, tile.name) == (CellKind.FRAME, 0, "")
