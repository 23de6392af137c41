"""The findings of an inspection as plain data, to be shown or written as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tweetprofile.data.manifests.users import UserId
from tweetprofile.inspection.sharing import Sharing
from tweetprofile.job import Detail


@dataclass(frozen=True, slots=True)
class Range:
    """Minimum, median and maximum of many whole numbers.

    The median of an even number of values is the lower of the two middle ones. Medians above 4,096
    are accurate to one part in 2,000.
    """

    minimum: int
    median: int
    maximum: int


@dataclass(frozen=True, slots=True)
class FailedExample:
    """One unusable image.

    Attributes:
        user_id: The id of its user.
        index: Its position in the user's list.
        image: Its path; empty if the manifest carries the bytes without a path.
    """

    user_id: UserId
    index: int
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTotals:
    """The number of images, in total and by what is known of them.

    Attributes:
        given: Images that the manifest lists for the inspected users.
        left_out: Images of these that were not examined, because they are beyond `max_images`.
        usable: Usable images, according to their headers or to decoding them.
        failed: Unusable images.
        decoded: Images that were decoded; all other examined images were checked without decoding.
        bytes: The total size of the usable images.
    """

    given: int
    left_out: int
    usable: int
    failed: int
    decoded: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTotals:
    """What is known of the users' texts.

    Attributes:
        given: Texts that the manifest lists for the inspected users, without null elements.
        left_out: Texts of these that were not examined, because they are beyond the limit.
        cut: Examined texts that are longer than the limit.
        null: Elements of lists that are null.
        undecodable: Examined texts that are not UTF-8.
        per_user: The range of texts per user; None without users.
        characters: The range of the lengths of texts in characters, without URLs and mentions;
            None without texts.
        users: The number of users with images and texts, with images only, with texts only and
            with neither.
        scripts: The number of texts by the script of most of their letters, which is less than
            their language.
        languages: The number of users, or of rows in the long form, by the value of the column
            `language` or `lang`; empty if there is none.
    """

    given: int
    left_out: int
    cut: int
    null: int
    undecodable: int
    per_user: Range | None
    characters: Range | None
    users: Mapping[str, int]
    scripts: Mapping[str, int]
    languages: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The expected outcome of `predict`.

    `predict` tries as many images per user as a volume has frames, and replaces unusable ones.

    Attributes:
        frames: The number of frames of a volume. Without a checkpoint, this is assumed to be the
            default of 11.
        statuses: The number of users by expected status.
        full: Users whose volume would be full.
        short: Users who would have at least one frame, but fewer than `frames`.
        tried_in_vain: Unusable images that `predict` would try while it looks for frames.
    """

    frames: int
    statuses: Mapping[str, int]
    full: int
    short: int
    tried_in_vain: int


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """The number of users per class of a trait.

    Attributes:
        classes: The number of users by class, the most frequent first.
        unlabelled: The number of users without a label.
    """

    classes: Mapping[str, int]
    unlabelled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The findings of an inspection.

    Attributes:
        manifest: The manifest, as the caller named it.
        form: The form in which it carries images.
        image_root: The folder that image paths are relative to.
        users: The number of inspected users.
        users_in_manifest: The number of users in the manifest. If it is larger than `users`, all
            other numbers describe a sample.
        full_decode: Whether all images were decoded.
        detail: How much was decoded of the images that were: `full` or `frame`.
        images: The number of images.
        images_per_user: The range of images per user in the manifest; None without users.
        histogram: The number of users by their number of images, as in `3-10`.
        formats: The number of usable images by format.
        widths: The range of widths of usable images, in pixels.
        heights: The range of heights of usable images, in pixels.
        sizes: The range of sizes of usable images, encoded, in bytes.
        reasons: The number of unusable images by reason, the most frequent first.
        examples: The first unusable images of each reason.
        sharing: How many usable images occur more than once.
        texts: What is known of the texts; None if the manifest has no column of texts.
        profile_fields: The number of users of the whole manifest who have a name, a screen name and
            a description, by column; empty if the manifest has no such column.
        outlook: The expected outcome of predicting.
        labels: The number of users per class, by trait.
        no_traits: The reason why a column is not a trait, by column.
        label_notes: Sentences about how labels are read, and about labels that look alike.
        hints: Sentences about what to check if no image is usable.
        deaths: Descriptions of how worker processes died of images.
        seconds: The duration of the inspection.
    """

    manifest: str
    form: str
    image_root: str
    users: int
    users_in_manifest: int
    full_decode: bool
    detail: Detail
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
    texts: TextTotals | None
    profile_fields: Mapping[str, int]
    outlook: Forecast
    labels: Mapping[str, LabelCounts]
    no_traits: Mapping[str, str]
    label_notes: tuple[str, ...]
    hints: tuple[str, ...]
    deaths: tuple[str, ...]
    seconds: float

    @property
    def is_sample(self) -> bool:
        """Whether only a part of the users was inspected."""
        return self.users < self.users_in_manifest

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as JSON."""
        return {**asdict(self), "is_sample": self.is_sample, "seconds": round(self.seconds, 3)}
