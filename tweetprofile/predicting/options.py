"""The options that every run has, whatever it writes about users."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.texts import TextLimits
from tweetprofile.errors import OptionError
from tweetprofile.job import (
    EMBEDDING_CACHE_GB,
    DecoderName,
    Detail,
    LimitsImages,
    Precision,
    PredictorOptions,
)

EngineName = Literal["local", "ray"]


@dataclass(frozen=True, slots=True)
class RunOptions(LimitsImages):
    """How a run works that writes a row per user; for the limits, see `LimitsImages`.

    Attributes:
        checkpoint: The file of the model; None for the one that $TWEETPROFILE_CHECKPOINT names, or
            else for the default checkpoint.
        image_root: The folder that image paths are relative to and never leave; None for the folder
            of the manifest.
        devices: `auto`, `cpu`, `cuda`, `cuda:N`, or several separated by commas.
        engine: `local` for this machine, or `ray` for the machines of a Ray cluster.
        ray_address: The address of the cluster; None for a cluster on this machine alone.
        decoder: `auto`, `dali` or `pillow`.
        precision: `auto`, `bf16`, `fp16` or `fp32`.
        batch_size: The number of users per batch; 0 for what suits the device.
        users_per_shard: The number of users that are written as one unit, which an interrupted run
            may have to repeat.
        limit: The number of users to process, from the first one; None for all.
        keep: The columns of the manifest to copy to the output.
        detail: How much of an image is decoded: all of it (`full`), or as much as a frame can show
            (`frame`). None for the checkpoint's own, with which its network was trained.
        embedding_cache: The folder that keeps embeddings for later runs, for models that have a
            pretrained backbone; None to keep none.
        embedding_cache_gb: The size of the embeddings of one backbone there, in gigabytes, at which
            no more are added.
        max_failed: The share of the images (0 to 1) that may be unusable before the run counts as
            failed.
        stats: The file to write the summary to, as JSON; None for none.
        stall_seconds: The time after which a worker that finishes nothing, not even an image,
            counts as hung.
        overwrite: Whether an existing output may be replaced.
        resume: Whether to resume an unfinished run, if there is one.
        keep_logs: Whether to keep what decoding libraries print, next to the output.

    Raises:
        OptionError: A value is out of range.
    """

    checkpoint: Path | None = None
    image_root: AnyPath | None = None
    devices: str = "auto"
    engine: EngineName = "local"
    ray_address: str | None = None
    decoder: DecoderName = "auto"
    precision: Precision = "auto"
    batch_size: int = 0
    users_per_shard: int = 256
    limit: int | None = None
    keep: tuple[str, ...] = ()
    detail: Detail | None = None
    embedding_cache: Path | None = None
    embedding_cache_gb: float = EMBEDDING_CACHE_GB
    max_failed: float = 1.0
    stats: Path | None = None
    stall_seconds: float = 300.0
    overwrite: bool = False
    resume: bool = False
    keep_logs: bool = False

    def __post_init__(self) -> None:
        LimitsImages.__post_init__(self)
        if self.ray_address is not None and self.engine != "ray":
            raise OptionError('`ray_address` is for `engine="ray"`; give both or neither.')
        if self.users_per_shard < 1:
            raise OptionError(
                f"`users_per_shard` is {self.users_per_shard}; it must be at least 1."
            )
        if self.limit is not None and self.limit < 0:
            raise OptionError(f"`limit` is {self.limit}; it must be at least 0.")
        if not 0.0 <= self.max_failed <= 1.0:
            raise OptionError(f"`max_failed` is {self.max_failed}; it must be from 0 to 1.")

    @property
    def text_limits(self) -> TextLimits | None:
        """How much of the users' texts is read; None for nothing."""
        return None

    def for_workers(self, image_root: AnyPath) -> PredictorOptions:
        """Return what workers are told of these options.

        Args:
            image_root: The image root.

        Raises:
            OptionError: A value is out of range.
        """
        return PredictorOptions(
            image_root,
            decoder=self.decoder,
            precision=self.precision,
            batch_size=self.batch_size,
            max_pixels=self.max_pixels,
            max_image_bytes=self.max_image_bytes,
            max_image_seconds=self.max_image_seconds,
            detail=self.detail,
            embedding_cache=self.embedding_cache,
            embedding_cache_gb=self.embedding_cache_gb,
        )
