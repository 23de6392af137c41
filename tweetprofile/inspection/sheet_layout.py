"""A user's frames in, the tiles of their contact sheet out: the volume's, then what failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.manifests.manifest import ImageRef
from tweetprofile.volumes.choice import choose_frames

Filling = Literal["repeat", "zeros", "nothing"]
"""What fills a short volume; nothing does for a network that takes any number of frames."""


class CellKind(StrEnum):
    """What a tile shows."""

    FRAME = "frame"
    REPEATED = "repeated"
    """A frame once more, as the user has too few."""
    BLANK = "blank"
    """Grey, as the user has too few."""
    FAILED = "failed"
    """An image that was tried and is unusable."""


@dataclass(frozen=True, slots=True)
class SheetCell:
    """One place of a contact sheet.

    Attributes:
        kind: what it shows.
        index: the image's position in the user's list; None for a blank.
        name: the image's file name; empty where it has none.
        frame_HWC: (H, W, 3) uint8; None where there is none.
        reason: why it failed.
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
    """The tiles of a user's contact sheet.

    Args:
        images: all that were to choose from.
        frames_FHWC: (F, H, W, 3) uint8, in manifest order; F <= `frames`.
        failed: position of each image tried in vain to its reason.
        frames: D, of a volume.
        filling: what fills a volume of fewer.
    """
    used = choose_frames(len(images), frames, failed).used[: len(frames_FHWC)]
    own = [
        SheetCell(CellKind.FRAME, index, _name(images[index]), frame)
        for index, frame in zip(used, frames_FHWC, strict=True)
    ]
    lost = [
        SheetCell(CellKind.FAILED, index, _name(images[index]), reason=reason)
        for index, reason in sorted(failed.items())
    ]
    return [*own, *_fill(own, frames, filling), *lost]


def _fill(own: Sequence[SheetCell], frames: int, filling: Filling) -> list[SheetCell]:
    """What stands behind a user's own frames, as `volumes.stack_volume` has it."""
    missing = range(len(own), frames)
    if filling == "nothing" or not own:  # of a user without a frame, nothing is predicted
        return []
    if filling == "zeros":
        return [SheetCell(CellKind.BLANK) for _ in missing]
    again = (own[position % len(own)] for position in missing)
    return [SheetCell(CellKind.REPEATED, tile.index, tile.name, tile.frame_HWC) for tile in again]


def _name(image: ImageRef) -> str:
    return PurePosixPath(image.label).name
