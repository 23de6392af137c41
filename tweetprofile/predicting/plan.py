"""The plan of a prediction: the options of `predict_manifest`, checked before any work."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tweetprofile.checkpoints.choice import find_checkpoint
from tweetprofile.data.manifests.content_rows import require_texts
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.data.manifests.texts import MAX_TEXT_BYTES, MAX_TEXTS, LimitsTexts
from tweetprofile.engines.jobs import PredictJob
from tweetprofile.errors import OptionError
from tweetprofile.job import PredictorFacts, PredictorOptions, refuse_averages
from tweetprofile.plurals import listed
from tweetprofile.predicting.options import RunOptions
from tweetprofile.predicting.planning import RunPlan, check_run
from tweetprofile.predicting.rows import ProfileRows


@dataclass(frozen=True, slots=True)
class PredictOptions(LimitsTexts, RunOptions):
    """How `predict_manifest` works.

    Attributes:
        batch_size: The number of users per forward pass; 0 for what suits the device.
        clips: The largest number of volumes per user; if the images of a user fill more than one
            volume, the mean over up to this many is predicted.
        orders: The number of orders of the frames to average over (model1, model2).
        views: The number of views of each frame to average over: 1, 2 (with the mirrored one) or 4
            (with the enlarged middle of both).
        max_texts: The largest number of texts per user; of more, the last ones are read, which are
            the newest, and the others are counted.
        max_text_bytes: The largest size of a text; a longer one is cut, and counted.
        parts: Whether to write the probabilities by images alone and by texts alone, too; for
            models of both.
        evidence: Whether to write what each image and text contributes to the predicted classes;
            `clips`, `orders` and `views` must be 1 then.

    The other attributes are those of every run; see `RunOptions`.

    Raises:
        OptionError: A value is out of range.
    """

    clips: int = 1
    orders: int = 1
    views: int = 1
    parts: bool = False
    evidence: bool = False
    max_texts: int = MAX_TEXTS
    max_text_bytes: int = MAX_TEXT_BYTES

    def __post_init__(self) -> None:
        RunOptions.__post_init__(self)
        _ = self.text_limits  # which checks them
        if self.evidence:
            refuse_averages({"clips": self.clips, "orders": self.orders, "views": self.views})


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictPlan(RunPlan[PredictorFacts]):
    """A prediction whose inputs have been checked, and which has not begun; see `RunPlan`."""

    job: PredictJob

    def remarks(self, facts: PredictorFacts) -> list[str]:
        """Return sentences on what the manifest has and the model does not look at, or lacks."""
        manifest, found = self.manifest, []
        if manifest.has_texts and not facts.reads_texts:
            found.append("The model looks at images alone: the texts are not read.")
        if manifest.has_images and not facts.sees_images:
            found.append("The model reads texts alone: the images are not looked at.")
        if manifest.has_texts and facts.reads_texts and not facts.reads_posted_texts:
            found.append("The model reads users' own profiles: the texts are not read.")
        found += _lacking(manifest, facts)
        if facts.evidence == "leave_one_out":
            found.append(
                f"{facts.network} does not add up what it sees in images: contributions are found "
                "by leaving out one image at a time."
            )
        return found

    def require_input(self, facts: PredictorFacts) -> None:
        """See `RunPlan.require_input`; a model may also read texts."""
        manifest = self.manifest
        require_texts(manifest, facts.profile_fields)
        images = facts.sees_images and manifest.has_images
        if not images and not _has_texts_for(manifest, facts):
            wanted = "images" if facts.sees_images else "texts"
            if not facts.sees_images and not facts.reads_posted_texts:
                wanted = " or ".join(facts.profile_fields)
            raise OptionError(
                f"{manifest.source} has no column of {wanted}, and the model "
                f"{self.job.checkpoint} looks at nothing else; add it, or use another model."
            )


def _lacking(manifest: Manifest, facts: PredictorFacts) -> Iterator[str]:
    """Yield sentences on what the model looks at and the manifest does not have."""
    has_texts = _has_texts_for(manifest, facts)
    if facts.sees_images and facts.reads_texts and not manifest.has_images:
        yield _without_column("images")
    if facts.reads_posted_texts and not manifest.has_texts and (facts.sees_images or has_texts):
        yield _without_column("texts")
    lacking = [name for name in facts.profile_fields if name not in manifest.profile_columns]
    if lacking and has_texts:
        yield (
            f"The model also reads {listed(lacking)} of users' own profiles, which the "
            "manifest lacks: users are predicted by the rest, less surely."
        )


def _without_column(name: str) -> str:
    return (
        f"The manifest has no column of {name}: all users are predicted by the rest, less surely."
    )


def _has_texts_for(manifest: Manifest, facts: PredictorFacts) -> bool:
    """Return whether the manifest has texts or fields of profiles that the model reads."""
    fields = any(name in manifest.profile_columns for name in facts.profile_fields)
    return fields or (facts.reads_posted_texts and manifest.has_texts)


def plan_prediction(
    manifest: str | Path, out: str | Path, options: PredictOptions | None = None
) -> PredictPlan:
    """Check everything that can be checked without a worker.

    Args:
        manifest: A Parquet file, a folder of them or a glob.
        out: The file to write, or with a `/` at its end a folder of Parquet files.
        options: How to predict; see `PredictOptions`.

    Raises:
        InputError: The manifest, an option or the output cannot be used.
    """
    options = options or PredictOptions()
    named = options.checkpoint
    run = check_run(
        manifest,
        str(out),
        options,
        kind=ProfileRows.kind,
        find_files=lambda: {"checkpoint": find_checkpoint(named)},
    )
    checkpoint = find_checkpoint(named)
    told: PredictorOptions = replace(
        options.for_workers(run.image_root),
        clips=options.clips,
        orders=options.orders,
        views=options.views,
        parts=options.parts,
        evidence=options.evidence,
    )
    return PredictPlan(
        **run.checked,
        job=PredictJob(checkpoint, options=told),
        rows=ProfileRows(options.clips, options.orders, options.views),
        out=str(out),
        options=options,
    )
