"""From chosen users to what the page shows of their images: sprites, positions, failures."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tweetprofile.browsing.options import BrowseOptions
from tweetprofile.browsing.profile_rows import MOST_FRAMES, ProfileRow, ProfileRows
from tweetprofile.browsing.reading import image_count, read_users, with_images
from tweetprofile.browsing.sprites import Sprites
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.data.manifests.users import UserBatch
from tweetprofile.inspection.frames import ExtractedUser, extract_frames
from tweetprofile.job import FrameSize
from tweetprofile.volumes.choice import choose_frames
from tweetprofile.workers.profiles import Status

MOST_FAILED = 24
"""The number of unusable images that are shown of a user; more are counted."""

LONGEST_TEXT = 400
"""The largest number of characters of a text that are shown."""

OnUser = Callable[[int, int], None]
"""A function that is called with the number of users whose images are read, and of all."""

OnSprite = Callable[[int, bytes], None]
"""A function that is called with the number of a sprite and its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownImages:
    """What the page shows of the images of one user.

    Attributes:
        indexes: The positions of the images that have a thumbnail, in the user's list, ascending.
        failed: The reason of each unusable image by its position; at most `MOST_FAILED`.
        failed_count: The number of all images that were tried and are unusable.
        status: How complete the images are now.
        images_given: The number of images that the manifest lists.
        texts: The texts that are shown, by their position.
    """

    indexes: tuple[int, ...] = ()
    failed: Mapping[int, str] = field(default_factory=dict)
    failed_count: int = 0
    status: str
    images_given: int = 0
    texts: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pictures:
    """What the page shows of all users' images, by the number of the user.

    Attributes:
        users: The images of each user.
        digests: The digests of the images that have a thumbnail, by user.
        first_cells: The cell of the first thumbnail of each user in the user's sprite.
    """

    users: Mapping[int, ShownImages]
    digests: Mapping[int, NDArray[np.uint64]]
    first_cells: Mapping[int, int]


def make_pictures(
    manifest: Manifest,
    positions: Sequence[int],
    profiles: ProfileRows,
    options: BrowseOptions,
    on_sprite: OnSprite,
    on_user: OnUser = lambda done, total: None,
) -> Pictures:
    """Decode the images of the chosen users and make sprites of their thumbnails.

    Args:
        manifest: The manifest with the images.
        positions: The position of each user in the manifest, ascending.
        profiles: The profile of each user, in the same order.
        options: How to read and decode images.
        on_sprite: A function that takes each sprite.
        on_user: A function that is called after every user.

    Raises:
        InputError: The manifest cannot be read, or the image root is not a folder.
        WorkerError: Workers die before they can begin.
    """
    texts = TextLimits() if options.texts and manifest.has_texts else None
    chosen = _Chosen(manifest, positions, profiles, options.max_images, texts)
    if not manifest.has_images or not positions:
        return chosen.without_images()
    size = FrameSize(chosen.frames, options.thumbnail_side, options.thumbnail_side)
    reading = options.reading(options.image_root or manifest.folder, options.detail)
    sprites = Sprites(len(positions), options.thumbnail_side)
    users: dict[int, ShownImages] = {}
    digests: dict[int, NDArray[np.uint64]] = {}
    for found in extract_frames(chosen.batches(), size, reading, options.stall_seconds):
        number, users[number] = chosen.shown(found)
        digests[number] = found.digests_F
        if (sprite := sprites.add(number, found.frames_FHWC)) is not None:
            on_sprite(*sprite)
        on_user(len(users), len(positions))
    return Pictures(users, digests, sprites.first_cells)


class _Chosen:
    """The chosen users, each with the images and texts that are shown.

    Args:
        manifest: The manifest with the images.
        positions: The position of each user in the manifest, ascending.
        profiles: The profile of each user, in the same order.
        max_images: The largest number of images to read per user.
        texts: The limits of the texts; None to show no texts.
    """

    def __init__(
        self,
        manifest: Manifest,
        positions: Sequence[int],
        profiles: ProfileRows,
        max_images: int,
        texts: TextLimits | None,
    ) -> None:
        self._profiles = profiles.rows
        self._users = partial(read_users, manifest, positions, max_images, texts)
        self._reads_texts = texts is not None
        self._numbers = {position: number for number, position in enumerate(positions)}
        self._wanted = [_wanted(profile) for profile in profiles.rows]
        self._own: dict[int, tuple[int, ...]] = {}
        self._texts: dict[int, dict[int, str]] = {}
        self.frames = max([profiles.frames, *(len(each or ()) for each in self._wanted)])

    def batches(self) -> Iterator[UserBatch]:
        """Yield the users, each with the images to show."""
        for user in self._users():
            number, images = self._note_texts(user), image_count(user)
            indexes = _within(self._wanted[number], images)
            self._own[number] = indexes
            yield with_images(user, indexes) if len(indexes) < images else user

    def _note_texts(self, user: UserBatch) -> int:
        number = self._numbers[user.first]
        if self._reads_texts:
            self._texts[number] = _texts(user, self._profiles[number])
        return number

    def shown(self, found: ExtractedUser) -> tuple[int, ShownImages]:
        """Return the number of a user whose frames were extracted, and what is shown."""
        number = self._numbers[found.batch.first]
        own, texts = self._own.pop(number), self._texts.pop(number, {})
        return number, _shown(found, own, self.frames, texts)

    def without_images(self) -> Pictures:
        """Return what is shown of users whose manifest has no images."""
        if self._reads_texts:
            for user in self._users():
                self._note_texts(user)
        users = {
            number: ShownImages(status=Status.NO_IMAGES, texts=self._texts.get(number, {}))
            for number in self._numbers.values()
        }
        return Pictures(users, {}, dict.fromkeys(users, 0))


def _wanted(profile: ProfileRow) -> list[int] | None:
    """Return the images that a prediction is based on, as its evidence says, and unusable ones.

    None if that is not known: then images are chosen as `predict` chooses them.
    """
    if profile.evidence is None or not profile.evidence.images:
        return None
    images = profile.evidence.images
    strongest = sorted(
        images, key=lambda index: -max((abs(each or 0.0) for each in images[index]), default=0.0)
    )
    return sorted({*strongest[:MOST_FRAMES], *sorted(profile.failed)[:MOST_FAILED]})


def _within(wanted: Sequence[int] | None, images: int) -> tuple[int, ...]:
    every = range(images)
    return tuple(every if wanted is None else (index for index in wanted if index in every))


def _shown(
    found: ExtractedUser, own: Sequence[int], frames: int, texts: Mapping[int, str]
) -> ShownImages:
    count = len(found.frames_FHWC)
    used = choose_frames(len(own), frames, found.failed).used[:count] if count else ()
    failed = {own[place]: found.failed[place] for place in sorted(found.failed)[:MOST_FAILED]}
    return ShownImages(
        indexes=tuple(own[place] for place in used),
        failed=failed,
        failed_count=len(found.failed),
        status=found.status,
        images_given=found.images_given,
        texts=texts,
    )


def _texts(user: UserBatch, profile: ProfileRow) -> dict[int, str]:
    """Return the texts that evidence names, if their positions are certain."""
    if profile.evidence is None or not profile.evidence.texts:
        return {}
    if user.table["texts_null"][0].as_py():
        return {}  # nulls are left out, so the positions of the others have moved
    (each,) = user.users
    begin = each.texts_left_out
    return {
        index: each.texts[index - begin][:LONGEST_TEXT]
        for index in profile.evidence.texts
        if 0 <= index - begin < len(each.texts)
    }
