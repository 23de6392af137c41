"""The choice of the images that become the frames of a user's volume."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass


def select_evenly(images: int, wanted: int) -> list[int]:
    """Return `wanted` positions spread evenly over a list of `images`, both ends included.

    If there are no more images than wanted, return all positions.
    """
    if images <= wanted:
        return list(range(images))
    if wanted == 1:
        return [images // 2]
    return [round(step * (images - 1) / (wanted - 1)) for step in range(wanted)]


def nearest_unused(failed: int, unused: Iterable[int]) -> int:
    """Return the position among `unused` that is nearest to `failed`; of two, the earlier one."""
    return min(unused, key=lambda position: (abs(position - failed), position))


@dataclass(slots=True)
class FrameChoice:
    """The images of a user's list that are tried next for a volume.

    Attributes:
        wanted: The positions to try now.
        unused: The positions that can still replace one that fails.
    """

    wanted: list[int]
    unused: set[int]

    @classmethod
    def start(cls, images: int, frames: int) -> "FrameChoice":
        """Choose at most `frames` of `images`, spread evenly."""
        wanted = select_evenly(images, frames)
        return cls(wanted, set(range(images)).difference(wanted))

    def replace(self, failed: Iterable[int]) -> None:
        """Replace each image that has just failed by the nearest unused one."""
        self.wanted = []
        for position in failed:
            if self.unused:
                substitute = nearest_unused(position, self.unused)
                self.unused.discard(substitute)
                self.wanted.append(substitute)


@dataclass(frozen=True, slots=True)
class ChosenFrames:
    """The images of a user that were tried for a volume.

    Attributes:
        used: The positions of the images in the volume.
        failed: The positions of the images that were tried and are unusable.
    """

    used: tuple[int, ...]
    failed: tuple[int, ...]


def choose_frames(images: int, frames: int, failed: Collection[int]) -> ChosenFrames:
    """Choose the frames of a user whose images at the positions `failed` are unusable.

    Args:
        images: The number of images in the user's list.
        frames: The number of frames per volume.
        failed: The positions of the unusable images.
    """
    if len(failed) == images:  # a shortcut: trying every image takes quadratic time
        return ChosenFrames((), tuple(range(images)))
    choice = FrameChoice.start(images, frames)
    used: list[int] = []
    unusable: list[int] = []
    while choice.wanted:
        now = [position for position in choice.wanted if position in failed]
        used += (position for position in choice.wanted if position not in failed)
        unusable += now
        choice.replace(now)
    return ChosenFrames(tuple(sorted(used)), tuple(sorted(unusable)))
