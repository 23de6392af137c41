"""Lay out the cells of a contact sheet: the frames of a user's volume, then failed images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.manifests.users import ImageRef
from tweetprofile.volumes.choice import choose_frames

Filling = Literal["repeat", "zeros", "nothing"]
"""How a short volume is filled; `nothing` for networks that take any number of frames."""


class CellKind(StrEnum):
    """What a cell shows."""

    FRAME = "frame"
    REPEATED = "repeated"
    """A frame that is repeated because the user has too few."""
    BLANK = "blank"
    """A grey frame that is added because the user has too few."""
    FAILED = "failed"
    """An unusable image that `predict` would try."""


@dataclass(frozen=True, slots=True)
class SheetCell:
    """One cell of a contact sheet.

    Attributes:
        kind: What the cell shows.
        index: The position of the image in the user's list; None for a blank.
        name: The file name of the image; empty if it has none.
        frame_HWC: The frame, (H, W, 3) uint8; None for blanks and failed images.
        reason: The reason why the image is unusable; empty for other cells.
    """

    kind: CellKind
    index: int | None = None
    name: str = ""
    frame_HWC: NDArray[np.uint8] | None = None
    reason: str = ""


def lay_out_sheet(
    images: Sequence[ImageRef],
    frames_FHWC: NDArray[np.uint8],
    failed: Mapping[int, str],
    frames: int,
    filling: Filling,
) -> list[SheetCell]:
    """Return the cells of a user's contact sheet.

    Args:
        images: All images of the user.
        frames_FHWC: The user's frames in manifest order, (F, H, W, 3) uint8; F <= `frames`.
        failed: The reason of each image that was tried and is unusable, by its position.
        frames: The number of frames of a volume.
        filling: How a volume with fewer frames is filled.
    """
    used = choose_frames(len(images), frames, failed).used[: len(frames_FHWC)]
    own = [
        SheetCell(CellKind.FRAME, index, _name(images[index]), frame)
        for index, frame in zip(used, frames_FHWC, strict=True)
    ]
    failures = [
        SheetCell(CellKind.FAILED, index, _name(images[index]), reason=reason)
        for index, reason in sorted(failed.items())
    ]
    return [*own, *_fill(own, frames, filling), *failures]


def _fill(own: Sequence[SheetCell], frames: int, filling: Filling) -> list[SheetCell]:
    """Return the cells that fill a short volume, as `volumes.stack_volume` fills it."""
    missing = range(len(own), frames)
    if filling == "nothing" or not own:  # nothing is predicted for a user without frames
        return []
    if filling == "zeros":
        return [SheetCell(CellKind.BLANK) for _ in missing]
    again = (own[position % len(own)] for position in missing)
    return [SheetCell(CellKind.REPEATED, cell.index, cell.name, cell.frame_HWC) for cell in again]


def _name(image: ImageRef) -> str:
    return PurePosixPath(image.label).name
