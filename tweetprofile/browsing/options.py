"""How to make a page to browse, and what was made."""

from dataclasses import dataclass
from pathlib import Path

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.errors import OptionError
from tweetprofile.job import DETAIL, Detail, LimitsImages

SAMPLE = 500
"""The number of users of a page if nothing else says which ones."""

MOST_USERS = 20_000
"""The largest number of users of a page, whose list a browser loads at once."""

THUMBNAIL_SIDE = 128
"""The default width and height of a thumbnail in pixels."""

PROFILES_FIRST = "give the profiles first, and the manifest as `manifest`"
"""How to give the two inputs of a page."""


@dataclass(frozen=True, slots=True)
class BrowseOptions(LimitsImages):
    """How to make a page to browse; for the limits of images, see `LimitsImages`.

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
    detail: Detail = DETAIL
    stall_seconds: float = 300.0
    overwrite: bool = False

    def __post_init__(self) -> None:
        LimitsImages.__post_init__(self)
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
