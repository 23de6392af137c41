"""How to make a page to browse, and what was made."""

from dataclasses import dataclass
from pathlib import Path

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.images.reader import MAX_IMAGE_BYTES
from tweetprofile.data.manifests.users import MAX_IMAGES
from tweetprofile.errors import OptionError
from tweetprofile.job import DETAIL, MAX_IMAGE_SECONDS, MAX_PIXELS, Detail, PredictorOptions

SAMPLE = 500
"""The number of users of a page if nothing else says which ones."""

MOST_USERS = 20_000
"""The largest number of users of a page, whose list a browser loads at once."""

THUMBNAIL_SIDE = 128
"""The default width and height of a thumbnail in pixels."""

PROFILES_FIRST = "give the profiles first, and the manifest as `manifest`"
"""How to give the two inputs of a page."""


@dataclass(frozen=True, slots=True)
class BrowseOptions:
    """How to make a page to browse.

    The users of a page are those that `sample`, `mistakes` and `users` choose together.

    Attributes:
        labels: A manifest with labels; None for the label columns of the manifest with the images,
            if it has any.
        sample: The number of users to sample, spread evenly over the manifest. None for 500 unless
            `mistakes` or `users` say which users to show.
        mistakes: The number of users to show per trait whose wrong prediction is most confident.
        users: The ids of users to show.
        anonymous: Whether to number the users instead of naming their ids.
        texts: Whether to show the texts that contributed most. Without this, only their positions
            are shown.
        thumbnail_side: The width and height of a thumbnail in pixels.
        image_root: The folder that image paths are relative to and never leave; None for the
            manifest's folder.
        max_images: The largest number of images per user; further images are counted but not read.
        max_pixels: The largest width x height of an image.
        max_image_bytes: The largest size of an encoded image, in bytes.
        max_image_seconds: The longest processor time for decoding one image, in seconds.
        detail: How much of an image is decoded: `full` or `frame`.
        stall_seconds: The time, in seconds, after which a worker that has not even finished one
            image is considered to hang.
        overwrite: Whether an existing page may be replaced.

    Raises:
        OptionError: A value is out of range, or two options contradict each other.
    """

    labels: str | None = None
    sample: int | None = None
    mistakes: int = 0
    users: tuple[str, ...] = ()
    anonymous: bool = False
    texts: bool = False
    thumbnail_side: int = THUMBNAIL_SIDE
    image_root: AnyPath | None = None
    max_images: int = MAX_IMAGES
    max_pixels: int = MAX_PIXELS
    max_image_bytes: int = MAX_IMAGE_BYTES
    max_image_seconds: float = MAX_IMAGE_SECONDS
    detail: Detail = DETAIL
    stall_seconds: float = 300.0
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name, value in (("sample", self.sampled), ("mistakes", self.mistakes)):
            if not 0 <= value <= MOST_USERS:
                raise OptionError(f"`{name}` is {value:,}; it must be from 0 to {MOST_USERS:,}.")
        if not (self.sampled or self.mistakes or self.users):
            raise OptionError(
                "no user is chosen; let `sample` or `mistakes` be at least 1, or name `users`."
            )
        if not 16 <= self.thumbnail_side <= 512:
            raise OptionError(
                f"`thumbnail_side` is {self.thumbnail_side}; it must be from 16 to 512 pixels."
            )
        if self.max_images < 1:
            raise OptionError(f"`max_images` is {self.max_images}; it must be at least 1.")
        if self.anonymous and self.texts:
            raise OptionError(
                "`texts` would name the users that `anonymous` hides, since a text can be searched "
                "for; leave one of the two out."
            )

    @property
    def sampled(self) -> int:
        """The number of users to sample."""
        if self.sample is not None:
            return self.sample
        return 0 if self.mistakes or self.users else SAMPLE

    def reading(self, root: AnyPath) -> PredictorOptions:
        """Return how workers read and decode images below a root."""
        return PredictorOptions(
            root,
            decoder="pillow",
            max_pixels=self.max_pixels,
            max_image_bytes=self.max_image_bytes,
            max_image_seconds=self.max_image_seconds,
            detail=self.detail,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowseSummary:
    """What was made.

    Attributes:
        page: The page to open.
        users: The number of users on the page.
        of: The number of users that they were chosen from.
        images: The number of images shown.
        failed: The number of images that are marked as unusable.
        notes: Sentences about users that the page leaves out and about labels.
    """

    page: Path
    users: int
    of: int
    images: int
    failed: int
    notes: tuple[str, ...] = ()
