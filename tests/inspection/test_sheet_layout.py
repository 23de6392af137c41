"""A contact sheet has the frames that the network gets, and marks all other cells."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tweetprofile.data.manifests.users import ImageRef
from tweetprofile.inspection.sheet_layout import CellKind, Filling, SheetCell, lay_out_sheet

IMAGES = [ImageRef(f"folder/{number}.jpg") for number in range(6)]


def frames(*levels: int) -> NDArray[np.uint8]:
    """Frames of a single grey level each, by which tests recognise them."""
    return np.array([np.full((2, 2, 3), level, np.uint8) for level in levels]).reshape(-1, 2, 2, 3)


def described(cells: list[SheetCell]) -> list[str]:
    return [f"{cell.kind} {cell.name}".strip() for cell in cells]


def test_a_full_volume_has_frames_spread_over_the_users_images() -> None:
    cells = lay_out_sheet(IMAGES, frames(0, 2, 5), {}, 3, "repeat")
    assert described(cells) == ["frame 0.jpg", "frame 2.jpg", "frame 5.jpg"]
    assert [cell.index for cell in cells] == [0, 2, 5]
    assert [int(cell.frame_HWC[0, 0, 0]) for cell in cells if cell.frame_HWC is not None] == [
        0,
        2,
        5,
    ]


def test_a_failed_image_is_replaced_and_comes_last_with_its_reason() -> None:
    cells = lay_out_sheet(IMAGES, frames(0, 1, 5), {2: "truncated"}, 3, "repeat")
    assert described(cells) == ["frame 0.jpg", "frame 1.jpg", "frame 5.jpg", "failed 2.jpg"]
    assert (cells[-1].index, cells[-1].reason, cells[-1].frame_HWC) == (2, "truncated", None)


@pytest.mark.parametrize(
    ("filling", "rest"),
    [
        ("repeat", ["repeated 0.jpg", "repeated 1.jpg", "repeated 0.jpg"]),
        ("zeros", ["blank", "blank", "blank"]),
        ("nothing", []),
    ],
)
def test_cells_that_fill_a_short_volume_are_marked(filling: Filling, rest: list[str]) -> None:
    cells = lay_out_sheet(IMAGES[:2], frames(0, 1), {}, 5, filling)
    assert described(cells) == ["frame 0.jpg", "frame 1.jpg", *rest]


@pytest.mark.parametrize("filling", ["repeat", "zeros", "nothing"])
def test_without_a_frame_there_is_no_volume(filling: Filling) -> None:
    cells = lay_out_sheet(IMAGES[:1], frames(), {0: "missing"}, 2, filling)
    assert described(cells) == ["failed 0.jpg"]
    assert lay_out_sheet([], frames(), {}, 2, filling) == []


def test_an_image_without_a_name_has_only_its_number() -> None:
    (cell,) = lay_out_sheet([ImageRef(data=b"")], frames(9), {}, 1, "repeat")
    assert (cell.kind, cell.index, cell.name) == (CellKind.FRAME, 0, "")
