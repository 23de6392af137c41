"""Users in, their frames out: read, decode, and replace images that fail.

The frames of a user with more images than a volume holds are spread evenly over the user's list. An
image that fails is replaced by the nearest unused image of the same user, as long as there is one.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch

from tweetprofile.data.images.digests import image_digest
from tweetprofile.data.images.reader import FailedImage, ImageReader
from tweetprofile.data.manifests.users import Encoded, UserId, UserImages
from tweetprofile.decoders import FrameDecoder
from tweetprofile.errors import Reason
from tweetprofile.job import FrameSize
from tweetprofile.stages import Stage, StageClock
from tweetprofile.volumes.choice import FrameChoice
from tweetprofile.workers.observers import ImageObserver, NullObserver

_MAX_ENCODED_BYTES = 64 * 1024 * 1024
"""The largest number of bytes of encoded images that wait to be decoded, which bounds the memory of
a batch."""


@dataclass(frozen=True, slots=True)
class UserFrames:
    """The frames of one user.

    Attributes:
        user_id: The user.
        images_given: The number of images that the manifest lists.
        frames_FHWC: (F, H, W, 3) uint8 in manifest order; F is from 0 to the number wanted.
        failed: The images that were tried and are unusable, in manifest order.
        indexes: The positions of the images behind the frames in the user's list.
        digests: The digests of the images behind the frames, if the loader computes them.
    """

    user_id: UserId
    images_given: int
    frames_FHWC: torch.Tensor
    failed: tuple[FailedImage, ...]
    indexes: tuple[int, ...] = ()
    digests: tuple[int, ...] = ()


_Place = tuple[int, int]
"""The place of a frame: the number of a decoded part, and the position of the frame in it."""


@dataclass(slots=True)
class _Search:
    """The images of one user while the loader still looks for frames."""

    user: UserImages
    choice: FrameChoice
    found: dict[int, _Place] = field(default_factory=dict)
    failed: dict[int, Reason] = field(default_factory=dict)
    digests: dict[int, int] = field(default_factory=dict)

    @classmethod
    def start(cls, user: UserImages, frames: int) -> "_Search":
        return cls(user, FrameChoice.start(len(user.images), frames))

    @property
    def wanted(self) -> list[int]:
        return self.choice.wanted

    def fail(self, index: int, reason: Reason) -> None:
        self.failed[index] = reason

    def replace_failed(self) -> None:
        self.choice.replace([index for index in self.wanted if index in self.failed])

    def result(self, parts: Sequence[torch.Tensor], none: torch.Tensor) -> UserFrames:
        places = [self.found[index] for index in sorted(self.found)]
        images = self.user.images
        failed = (FailedImage(i, images[i].label, self.failed[i]) for i in sorted(self.failed))
        return UserFrames(
            self.user.user_id,
            len(images) + self.user.left_out,
            _gather(places, parts) if places else none,
            tuple(failed),
            tuple(sorted(self.found)),
            tuple(self.digests[index] for index in sorted(self.found) if index in self.digests),
        )


_Owner = tuple[_Search, int]
"""The search that an image belongs to, and its position in the user's list."""


class FrameLoader:
    """Reads and decodes the images of many users at once.

    Args:
        reader: The reader of encoded images.
        decoder: The decoder that turns them into frames.
        wanted: The number of frames per user, and their size.
        clock: The clock that counts the time spent on reading.
        compute_slot: The context entered to decode and left to read; None for no limit.
        observer: The observer that learns which image is being decoded.
        digests: Whether to compute the digest of each image.
    """

    def __init__(
        self,
        reader: ImageReader,
        decoder: FrameDecoder,
        wanted: FrameSize,
        *,
        clock: StageClock | None = None,
        compute_slot: AbstractContextManager[object] | None = None,
        observer: ImageObserver | None = None,
        digests: bool = False,
    ) -> None:
        self._observer = observer or NullObserver()
        self._digests = digests
        self._clock = clock or StageClock()
        self._compute_slot = compute_slot or nullcontext()
        self._reader = reader
        self._decoder = decoder
        self._wanted = wanted

    def load(self, users: Sequence[UserImages]) -> list[UserFrames]:
        """Return the frames of each user, in order; a user without usable images has F = 0."""
        searches = [_Search.start(user, self._wanted.frames) for user in users]
        parts: list[torch.Tensor] = []
        while any(search.wanted for search in searches):
            self._try_wanted(searches, parts)
        none = torch.empty(
            (0, self._wanted.height, self._wanted.width, 3),
            dtype=torch.uint8,
            device=self._decoder.device,
        )
        return [search.result(parts, none) for search in searches]

    def _try_wanted(self, searches: list[_Search], parts: list[torch.Tensor]) -> None:
        """Read and decode what is wanted for all users, in as few parts as memory allows."""
        owners = [(search, index) for search in searches for index in search.wanted]
        refs = (search.user.images[index] for search, index in owners)
        images = self._reader.read_all(refs, self._decoder.host_turn)
        reads = zip(images, owners, strict=True)
        while True:
            encoded, read_owners = self._read_part(reads)
            if not encoded:
                break
            parts.append(self._decode(encoded, read_owners, len(parts)))
        for search in searches:
            search.replace_failed()

    def _read_part(
        self, reads: Iterator[tuple[Encoded | Reason, _Owner]]
    ) -> tuple[list[Encoded], list[_Owner]]:
        """Read the images of the next part, which ends with the last image or at its full size."""
        encoded: list[Encoded] = []
        owners: list[_Owner] = []
        waiting = 0
        with self._clock.timing(Stage.READ):
            for image, owner in reads:
                self._observer.end()
                search, index = owner
                if isinstance(image, Reason):
                    search.fail(index, image)
                    continue
                if self._digests:
                    search.digests[index] = image_digest(image)
                encoded.append(image)
                owners.append(owner)
                waiting += len(image)
                if waiting >= _MAX_ENCODED_BYTES:
                    break
        return encoded, owners

    def _decode(self, encoded: list[Encoded], owners: list[_Owner], part: int) -> torch.Tensor:
        """Decode images, and note the place of each frame in this part; return all frames."""

        def on_image(position: int | None) -> None:
            if position is None:
                self._observer.end()
            else:
                search, index = owners[position]
                self._observer.begin(search.user.user_id, index)

        with self._compute_slot:
            decoded = self._decoder.decode(encoded, on_image)
        position = 0
        for (search, index), failure in zip(owners, decoded.failures, strict=True):
            if failure is None:
                search.found[index] = part, position
                position += 1
            else:
                search.fail(index, failure)
        return decoded.frames_FHWC


def _gather(places: list[_Place], parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the frames at some places, without copying them where they follow each other."""
    part, first = places[0]
    if places == [(part, first + step) for step in range(len(places))]:
        return parts[part][first : first + len(places)]
    return torch.stack([parts[number][position] for number, position in places])
