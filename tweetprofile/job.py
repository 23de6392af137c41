"""The options that workers get and the facts that they report: plain data sent between processes.

Nothing here needs torch, so that the supervisor does not have to load it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.images.reader import MAX_IMAGE_BYTES
from tweetprofile.data.manifests.users import MAX_IMAGES
from tweetprofile.errors import OptionError
from tweetprofile.traits import TraitSchema

DecoderName = Literal["auto", "dali", "pillow", "pillow-alone"]
"""`pillow-alone` is for images that crash other decoders: no other library sees them."""

Precision = Literal["auto", "bf16", "fp16", "fp32"]

Detail = Literal["full", "frame"]
"""How much of an image is decoded: all of it, or as much as a frame can show."""

DETAILS: tuple[Detail, ...] = get_args(Detail)

DETAIL: Detail = "frame"
"""The default detail."""

TEXTS_ALONE = "texts"
"""The name of the network of a model that looks at no images, in checkpoints and profiles."""

VOLUME_FRAMES = 11
"""The default number of frames per volume, as in the paper."""

FRAME_SIDE = 112
"""The default width and height of a frame in pixels."""

MAX_PIXELS = 40_000_000
"""The default limit on width x height; a decoded RGB image of 40 megapixels takes 120 MB."""

MAX_IMAGE_SECONDS = 10.0
"""The default limit on the processor time per image. An image of 40 megapixels takes 0.5 to 2 s in
the formats that people post; the slowest genuine image, 64 MB of JPEG 2000, takes 10 s."""

EMBEDDING_CACHE_GB = 20.0
"""The default size of a folder of embeddings; at 2,560 bytes each, it holds eight million."""

VIEW_COUNTS = (1, 2, 4)
"""1: the volume as it is; 2: also mirrored; 4: also the enlarged middle of both."""

_MOST_PASSES = 1000
"""The largest number of clips or orders per user; the longest timeline fills 1,164 volumes of 11
frames."""


PROCESSORS_PER_WORKER = 4
"""The threads of one process share Python's lock; where images are decoded, each holds it for about
a tenth of its time."""

MOST_SMALL_WORKERS = 16
"""The most workers of fewer processors each, so that memory does not grow with processors: reading
texts, a worker takes some 300 MB."""

USERS_PER_SMALL_WORKER = 4_000
"""The users that are worth one more of them: at 2 ms each they take 8 s, and its start 3 s."""


def most_small_workers(users: int | None) -> int:
    """Return the most workers of fewer processors each for a number of users; None for many."""
    if users is None:
        return MOST_SMALL_WORKERS
    return min(MOST_SMALL_WORKERS, max(1, users // USERS_PER_SMALL_WORKER))


def usable_processors() -> int:
    """Return the number of processors that this process may use, which a scheduler may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_detail(detail: str) -> None:
    """Raise OptionError if the option `detail` has another value than those of `Detail`."""
    if detail not in DETAILS:
        raise OptionError(f"`detail` is {detail}; it must be full or frame.")


def refuse_averages(passes: Mapping[str, int]) -> None:
    """Raise OptionError if predictions would be averages, to which contributions do not add up."""
    for name, number in passes.items():
        if number > 1:
            raise OptionError(
                f"`{name}` is {number}, but `evidence` explains a single pass; leave one of them "
                "out."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsDecoding:
    """Base of options that say which images are decoded.

    Attributes:
        max_pixels: The largest width x height of an image.
        max_image_bytes: The largest size of an encoded image, in bytes.
        max_image_seconds: The longest processor time for decoding one image, in seconds, which a
            supervisor enforces if there is one.

    Raises:
        OptionError: A value is out of range.
    """

    max_pixels: int = MAX_PIXELS
    max_image_bytes: int = MAX_IMAGE_BYTES
    max_image_seconds: float = MAX_IMAGE_SECONDS

    def __post_init__(self) -> None:
        if not self.max_image_seconds > 0:
            raise OptionError(
                f"`max_image_seconds` is {self.max_image_seconds}; it must be above 0."
            )
        for name, value in (
            ("max_pixels", self.max_pixels),
            ("max_image_bytes", self.max_image_bytes),
        ):
            if value < 1:
                raise OptionError(f"`{name}` is {value}; it must be at least 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsImages(LimitsDecoding):
    """Base of options that say how much of the users' images is read.

    Attributes:
        max_images: The largest number of images per user; further ones are counted and not read.

    Raises:
        OptionError: A value is out of range.
    """

    max_images: int = MAX_IMAGES

    def __post_init__(self) -> None:
        LimitsDecoding.__post_init__(self)
        if self.max_images < 1:
            raise OptionError(f"`max_images` is {self.max_images}; it must be at least 1.")

    def reading(self, root: AnyPath, detail: Detail | None) -> "PredictorOptions":
        """Return how Pillow reads and decodes the images below a root within these limits.

        Args:
            root: The image root.
            detail: How much of an image is decoded; see `PredictorOptions`.
        """
        return PredictorOptions(
            root,
            decoder="pillow",
            max_pixels=self.max_pixels,
            max_image_bytes=self.max_image_bytes,
            max_image_seconds=self.max_image_seconds,
            detail=detail,
        )


@dataclass(frozen=True, slots=True)
class PredictorOptions(LimitsDecoding):
    """How a `Predictor` works.

    Only the limits, `detail`, `clips`, `orders` and `views` change what it predicts.

    Attributes:
        image_root: The folder that image paths are relative to and never leave.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        decoder: `auto`, `dali`, `pillow` or `pillow-alone`.
        precision: `auto`, `bf16`, `fp16` or `fp32`.
        batch_size: The number of users per forward pass; 0 for a number that suits the device.
        threads: The number of threads that decode and compute on a CPU; 0 for one per processor.
        clips: The number of volumes for a user with more images than one volume holds;
            predictions are averaged over them.
        orders: The number of orders of the frames that predictions are averaged over, for networks
            that depend on the order.
        views: The number of views that predictions are averaged over: 2 adds the mirrored volume,
            4 adds the enlarged middle of both.
        detail: How much of an image is decoded: `full` or `frame`. None for the checkpoint's own,
            or for `frame` where there is no checkpoint.
        embedding_cache: The folder that keeps the embeddings of frames, for networks that have a
            pretrained backbone; None to keep none.
        embedding_cache_gb: The size of the embeddings of one backbone there, in gigabytes, at which
            no more are added.
        parts: Whether to give the probabilities by images alone and by texts alone, too, if the
            model reads texts.
        evidence: Whether to say what each image and text contributes; `clips`, `orders` and
            `views` must be 1 then.

    Raises:
        OptionError: A value is out of range.
    """

    image_root: AnyPath = Path()
    device: str = "auto"
    decoder: DecoderName = "auto"
    precision: Precision = "auto"
    batch_size: int = 0
    threads: int = 0
    clips: int = 1
    orders: int = 1
    views: int = 1
    detail: Detail | None = None
    embedding_cache: Path | None = None
    embedding_cache_gb: float = EMBEDDING_CACHE_GB
    parts: bool = False
    evidence: bool = False

    def __post_init__(self) -> None:
        LimitsDecoding.__post_init__(self)
        if self.evidence:
            refuse_averages({"clips": self.clips, "orders": self.orders, "views": self.views})
        if not self.embedding_cache_gb > 0:
            raise OptionError(
                f"`embedding_cache_gb` is {self.embedding_cache_gb:g}; it must be above 0."
            )
        if not 1 <= self.clips <= _MOST_PASSES:
            raise OptionError(f"`clips` is {self.clips}; it must be from 1 to {_MOST_PASSES}.")
        if not 1 <= self.orders <= _MOST_PASSES:
            raise OptionError(f"`orders` is {self.orders}; it must be from 1 to {_MOST_PASSES}.")
        if self.views not in VIEW_COUNTS:
            raise OptionError(f"`views` is {self.views}; it must be 1, 2 or 4.")
        if self.batch_size < 0:
            raise OptionError(f"`batch_size` is {self.batch_size}; it must be at least 0.")
        if self.detail is not None:
            check_detail(self.detail)


@dataclass(frozen=True, slots=True)
class FrameSize:
    """The number and size of the frames to extract.

    Attributes:
        frames: The largest number of frames per user.
        height: The height of a frame in pixels.
        width: The width of a frame in pixels.
    """

    frames: int
    height: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """What a worker reports about itself once it is ready.

    Attributes:
        device: The type of its device: `cpu` or `cuda`.
        decoder: The decoder that it uses; never `auto`.
        batch_size: The number of users that it processes best at a time; when predicting, the
            number of users per forward pass.
        cuda_devices: The number of CUDA devices on its machine.
        processors_per_worker: The number of processors that one worker keeps busy on a CPU. With
            more of them, its threads would wait for each other's Python code.
    """

    device: str
    decoder: DecoderName
    batch_size: int
    cuda_devices: int
    processors_per_worker: int = PROCESSORS_PER_WORKER

    def workers_on_cpu(self, processors: int, most_small: int) -> int:
        """Return the number of workers that together use all processors of a machine.

        Args:
            processors: The number of processors.
            most_small: The largest number of workers if each keeps few processors busy.
        """
        usual = -(-processors // PROCESSORS_PER_WORKER)
        wanted = -(-processors // self.processors_per_worker)
        return max(usual, min(wanted, most_small))


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderFacts(WorkerFacts):
    """What a worker that embeds reports about itself.

    Attributes:
        backbone: The name of the backbone.
        backbone_digest: The digest of its weights and of the frames that it takes.
        features: The length of an embedding.
        size: The largest number of frames per user, and their size.
        precision: The floating-point type that it computes in.
        detail: How much of an image it decodes.
    """

    backbone: str
    backbone_digest: str
    features: int
    size: FrameSize
    precision: str
    detail: Detail


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictorFacts(WorkerFacts):
    """What a worker that predicts reports about itself.

    Attributes:
        checkpoint_sha256: The SHA-256 of the checkpoint file.
        network: The name of the network.
        schema: The traits that it predicts.
        volume: The volume spec, with the detail that it uses, as JSON.
        precision: The floating-point type that it computes in.
        origin: A phrase for people: the run that the checkpoint comes from, and when and on what it
            was trained.
        sees_images: Whether the model looks at images.
        reads_texts: Whether the model reads texts: posted ones, fields of profiles, or both.
        reads_posted_texts: Whether the texts that it reads include those that users posted.
        profile_fields: The fields of users' own profiles that the model reads, too.
        parts: What the probabilities are given by alone, too: `images`, `texts`.
        evidence: How it is known what images contribute: `exact` or `leave_one_out`; None if
            contributions are not given.
    """

    checkpoint_sha256: str
    network: str
    schema: TraitSchema
    volume: Mapping[str, Any]
    precision: str
    origin: str = ""
    sees_images: bool = True
    reads_texts: bool = False
    reads_posted_texts: bool = False
    profile_fields: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    evidence: str | None = None

    @property
    def detail(self) -> Detail:
        """How much of an image it decodes."""
        return cast("Detail", self.volume["detail"])


RunFactsT = TypeVar("RunFactsT", PredictorFacts, EmbedderFacts)
"""What the workers of a run that writes a row per user report about themselves."""
