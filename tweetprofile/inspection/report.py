"""What an inspection found, as plain data: for people to be shown, and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tweetprofile.data.manifests.manifest import UserId
from tweetprofile.inspection.sharing import Sharing


@dataclass(frozen=True, slots=True)
class Range:
    """Smallest, middle and largest of many whole numbers.

    The median of an even number of them is the lower middle one; above 4,096 it is right to one in
    2,000.
    """

    minimum: int
    median: int
    maximum: int


@dataclass(frozen=True, slots=True)
class FailedExample:
    """One unusable image.

    Attributes:
        user_id: whose.
        index: its position in their list.
        image: its path, empty where the manifest carries bytes without one.
    """

    user_id: UserId
    index: int
    image: str


@dataclass(frozen=True, slots=True)
class ImageTotals:
    """How many images there are.

    Attributes:
        given: that the manifest lists for the users inspected.
        left_out: of these beyond the cap of a user's, and not looked at.
        usable: that can be used, going by their headers or by decoding them.
        failed: that cannot.
        decoded: that were really decoded; all others looked at were judged without.
        bytes: of all usable ones together.
    """

    given: int
    left_out: int
    usable: int
    failed: int
    decoded: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What `predict` would make of the users: it tries a volume's worth of each, and replaces.

    Attributes:
        frames: of a volume.
        statuses: users by what their status would be.
        full: users whose volume would be full.
        short: users who would have some frames, but fewer.
        tried_in_vain: images that would fail while it looks for frames.
    """

    frames: int
    statuses: Mapping[str, int]
    full: int
    short: int
    tried_in_vain: int


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """Users of each class of a trait, most frequent first, and those without a label."""

    classes: Mapping[str, int]
    unlabelled: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What an inspection found.

    Attributes:
        manifest: as the user called it.
        form: how it carries images.
        image_root: folder that image paths are relative to.
        users: who were inspected.
        users_in_manifest: all users; if they are more, every figure is of a sample.
        full_decode: whether all images were decoded.
        images: how many.
        images_per_user: as the manifest lists them; None where there is no user.
        histogram: number of images, in words, to users with so many.
        formats: usable images by format.
        widths: of usable images, in pixels.
        heights: likewise.
        sizes: of encoded usable images, in bytes.
        reasons: unusable images by reason, most frequent first.
        examples: the first unusable images of each reason.
        sharing: usable images that occur more than once.
        outlook: what predicting would make of it.
        labels: by trait.
        no_traits: columns that are no trait, and why.
        label_notes: how labels are read, and which look alike, in sentences.
        hints: what to check, where not one image is usable, in sentences.
        deaths: how worker processes died of images, in words.
        seconds: that it took.
    """

    manifest: str
    form: str
    image_root: str
    users: int
    users_in_manifest: int
    full_decode: bool
    images: ImageTotals
    images_per_user: Range | None
    histogram: Mapping[str, int]
    formats: Mapping[str, int]
    widths: Range | None
    heights: Range | None
    sizes: Range | None
    reasons: Mapping[str, int]
    examples: Mapping[str, tuple[FailedExample, ...]]
    sharing: Sharing
    outlook: Forecast
    labels: Mapping[str, LabelCounts]
    no_traits: Mapping[str, str]
    label_notes: tuple[str, ...]
    hints: tuple[str, ...]
    deaths: tuple[str, ...]
    seconds: float

    @property
    def is_sample(self) -> bool:
        """Whether only some of the users were inspected."""
        return self.users < self.users_in_manifest

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {**asdict(self), "is_sample": self.is_sample, "seconds": round(self.seconds, 3)}
