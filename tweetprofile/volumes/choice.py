"""Which images of a user become frames of their volume."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass


def select_evenly(images: int, wanted: int) -> list[int]:
    """Positions of `wanted` images spread evenly over a list of `images`, ends included.

    All positions where there are no more than wanted.
    """
    if images <= wanted:
        return list(range(images))
    if wanted == 1:
        return [images // 2]
    return [round(step * (images - 1) / (wanted - 1)) for step in range(wanted)]


def nearest_unused(failed: int, unused: Iterable[int]) -> int:
    """The position among `unused` that is nearest to `failed`, the earlier of two."""
    return min(unused, key=lambda position: (abs(position - failed), position))


@dataclass(slots=True)
class FrameChoice:
    """Which images of a user's list are to be tried for a volume.

    Attributes:
        wanted: positions to try now.
        unused: positions that may yet replace one that fails.
    """

    wanted: list[int]
    unused: set[int]

    @classmethod
    def begin(cls, images: int, frames: int) -> "FrameChoice":
        """Of so many images, as many as a volume has frames, spread evenly."""
        wanted = select_evenly(images, frames)
        return cls(wanted, set(range(images)).difference(wanted))

    def replace(self, missed: Iterable[int]) -> None:
        """Want, for each image just missed, the nearest unused one."""
        self.wanted = []
        for position in missed:
            if self.unused:
                substitute = nearest_unused(position, self.unused)
                self.unused.discard(substitute)
                self.wanted.append(substitute)


@dataclass(frozen=True, slots=True)
class ChosenFrames:
    """Which of a user's images make their volume, and which were tried in vain, by position."""

    used: tuple[int, ...]
    missed: tuple[int, ...]


def choose_frames(images: int, frames: int, failed: Collection[int]) -> ChosenFrames:
    """What comes of a user's list, of which the images at `failed` are unusable.

    Args:
        images: how many the list has.
        frames: of a volume.
        failed: positions of unusable images.
    """
    if len(failed) == images:  # found without trying each: that takes the square of its time
        return ChosenFrames((), tuple(range(images)))
    choice = FrameChoice.begin(images, frames)
    used: list[int] = []
    missed: list[int] = []
    while choice.wanted:
        now = [position for position in choice.wanted if position in failed]
        used += (position for position in choice.wanted if position not in failed)
        missed += now
        choice.replace(now)
    return ChosenFrames(tuple(sorted(used)), tuple(sorted(missed)))
