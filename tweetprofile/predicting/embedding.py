"""The plan of an embedding: the options of `embed_manifest`, checked before any work."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tweetprofile.checkpoints.choice import find_checkpoint
from tweetprofile.data.manifests.users import MAX_IMAGES
from tweetprofile.engines.jobs import EmbedJob, imported
from tweetprofile.errors import OptionError
from tweetprofile.job import EmbedderFacts
from tweetprofile.predicting.options import RunOptions
from tweetprofile.predicting.planning import RunPlan, check_run
from tweetprofile.predicting.rows import EmbeddingRows, Per


@dataclass(frozen=True, slots=True)
class EmbedOptions(RunOptions):
    """How `embed_manifest` works.

    Attributes:
        checkpoint: The file of a model that was trained with a backbone; None for the one that
            $TWEETPROFILE_CHECKPOINT names, or else for the default checkpoint.
        batch_size: The number of users that are embedded together, 8 or more; 0 for what suits the
            device. It changes no bit of an embedding.
        per: What a vector is of: an `image`, or a `user`, whose vector is the mean of the images'.
        backbone: The backbone to use in place of a model: `efficientnet-lite0`,
            `efficientnet-lite2` or `timm/NAME`.
        weights: Its weights: `package`, `hub`, `hub@COMMIT`, `cache`, `cache@COMMIT`, or the path
            of a file. Only `hub` uses the network.
        frame_size: The width and height of its frames; None for what suits the backbone.
        frames: The largest number of images per user; None for as many as a volume of the model
            has, which are 11 unless it was trained otherwise.

    The other attributes are those of every run; see `RunOptions`.

    Raises:
        OptionError: A value is out of range, or two options contradict each other.
    """

    per: Per = "image"
    backbone: str | None = None
    weights: str | None = None
    frame_size: int | None = None
    frames: int | None = None

    def __post_init__(self) -> None:
        RunOptions.__post_init__(self)
        EmbeddingRows(self.per)
        if self.frames is not None and not 1 <= self.frames <= MAX_IMAGES:
            raise OptionError(f"`frames` is {self.frames}; it must be from 1 to {MAX_IMAGES}.")
        if self.backbone is None:
            for name in ("weights", "frame_size"):
                if getattr(self, name) is not None:
                    raise OptionError(
                        f"`{name}` is for a backbone without a model; name one with `backbone`, or "
                        f"leave `{name}` out."
                    )
            return
        if self.checkpoint is not None:
            raise OptionError(
                "`checkpoint` and `backbone` exclude each other, because a model has a backbone of "
                "its own; give one of them."
            )
        if self.weights is None:
            raise OptionError(
                f"`backbone` is {self.backbone}, which embeds nothing without weights; say where "
                'they are with `weights`, for example `weights="package"`.'
            )
        if self.engine == "ray":
            raise OptionError(
                '`backbone` is for one machine: with `engine="ray"`, every machine reads a '
                "`checkpoint`; name a model that was trained with the backbone."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedPlan(RunPlan[EmbedderFacts]):
    """An embedding whose inputs have been checked, and which has not begun; see `RunPlan`.

    Attributes:
        origin: A phrase for people: the model, or the source and the licence of the weights.
    """

    job: EmbedJob
    rows: EmbeddingRows
    origin: str


@contextmanager
def planned_embedding(
    manifest: str | Path, out: str | Path, options: EmbedOptions | None = None
) -> Iterator[EmbedPlan]:
    """Check everything that can be checked without a worker; then load weights, if any are named.

    The weights are kept in a temporary file for the workers until the block is left.

    Args:
        manifest: A Parquet file, a folder of them or a glob.
        out: The file to write, or with a `/` at its end a folder of Parquet files.
        options: How to embed; see `EmbedOptions`.

    Raises:
        InputError: The manifest, an option, the weights or the output cannot be used.
    """
    options = options or EmbedOptions()
    if options.backbone is None:
        checkpoint = find_checkpoint(options.checkpoint)
        yield _plan(manifest, str(out), options, checkpoint)
        return
    plan = _plan(manifest, str(out), options, None)
    # The supervisor loads torch only here; by name, because importing this module must not.
    backbone_file = imported("tweetprofile.weights.backbone_files:backbone_file")
    with backbone_file(options.backbone, options.weights, options.frame_size) as (path, record):
        origin = f"{record.source}, licence: {record.license or 'unknown'}"
        yield replace(plan, job=replace(plan.job, backbone=path), origin=origin)


def _plan(
    manifest: str | Path, out: str, options: EmbedOptions, checkpoint: Path | None
) -> EmbedPlan:
    """Return the plan; without a checkpoint, the file of the backbone is still to be made."""
    weights = Path(options.weights) if options.weights else None
    if weights is not None and not weights.is_file():
        weights = None
    run = check_run(
        manifest,
        out,
        options,
        kind=EmbeddingRows.kind,
        find_files=lambda: {"checkpoint": checkpoint, "weights": weights},
    )
    return EmbedPlan(
        **run.checked,
        job=EmbedJob(
            checkpoint or Path(), options.frames, options=options.for_workers(run.image_root)
        ),
        rows=EmbeddingRows(options.per),
        out=out,
        options=options,
        origin=str(checkpoint),
    )
