"""Evaluate one set of predictions, or compare several: match users, measure, resample."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import OptionError, PredictionsError
from tweetprofile.evaluation.baselines import Baselines, ahead_of_majority, measure_baselines
from tweetprofile.evaluation.leakage import Leakage, find_leakage
from tweetprofile.evaluation.matching import MatchedUsers, match_users
from tweetprofile.evaluation.metrics import ConfidenceCut, TraitMetrics, cut_at_confidence, measure
from tweetprofile.evaluation.missing import sentence_on_missing
from tweetprofile.evaluation.opening import open_manifest
from tweetprofile.evaluation.parts import Parts, measure_parts
from tweetprofile.evaluation.predictions import Predictions
from tweetprofile.evaluation.published import published_results
from tweetprofile.evaluation.reading import read_predictions, read_several
from tweetprofile.evaluation.resampling import (
    Bootstrap,
    Difference,
    Interval,
    bootstrap_intervals,
    paired_differences,
)
from tweetprofile.evaluation.single_images import OnImages
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.version import __version__

_MAX_NAMED = 100
"""Unmatched users that `metrics.json` names; `unmatched.csv` names all of them."""


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """How to evaluate predictions.

    Attributes:
        min_confidence: A confidence; the evaluation also measures how accurate the predictions
            are when users below it are set aside. None to skip this.
        seed: The seed of the bootstrap.
        checkpoints: Files that may include the checkpoint that made the predictions. It shows
            whether the model was trained on the users to be evaluated.
        image_root: The folder that image paths are relative to; None for the manifest's folder.
        made_by: The checkpoint that made predictions which do not record it, as those of other
            programs; None if that is unknown.
        baselines: How to predict single images for the baselines, by the checkpoint that made the
            predictions; None to measure the majority and random baselines only.

    Raises:
        OptionError: A value is out of range.
    """

    min_confidence: float | None = None
    seed: int = 0
    checkpoints: tuple[Path, ...] = ()
    image_root: AnyPath | None = None
    baselines: PredictOptions | None = None
    made_by: Path | None = None

    def __post_init__(self) -> None:
        if self.min_confidence is not None and not 0.0 <= self.min_confidence <= 1.0:
            raise OptionError(
                f"`min_confidence` is {self.min_confidence:g}; it must be between 0 and 1."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How well predictions agree with the labels of a manifest.

    Attributes:
        source: The manifest, as the caller named it.
        matched: Labels and predictions, user by user.
        traits: Metrics by trait.
        intervals: 95% bootstrap intervals by trait and metric.
        ahead: How far the predictions are ahead of the majority baseline, by trait and metric.
        mean_macro_f1: The mean of macro-F1 over the traits.
        mean_interval: The 95% bootstrap interval of `mean_macro_f1`.
        leakage: The users and images of the manifest that the model was trained on.
        confidence_cuts: By trait, coverage and accuracy at `EvaluateOptions.min_confidence`;
            empty without one.
        baselines: What baselines score on the same users; empty unless they were wanted.
        parts: What images alone and texts alone score; None if the predictions do not give the
            probabilities of each, or are one of several sets.
        is_artificial: Whether the manifest records that its users were made up.
    """

    source: str
    matched: MatchedUsers
    traits: Mapping[str, TraitMetrics]
    intervals: Mapping[str, Mapping[str, Interval]]
    ahead: Mapping[str, Mapping[str, Difference]]
    mean_macro_f1: float
    mean_interval: Interval
    leakage: Leakage
    confidence_cuts: Mapping[str, ConfidenceCut] = field(default_factory=dict)
    baselines: Baselines = field(default_factory=Baselines)
    parts: Parts | None = None
    is_artificial: bool = False

    @property
    def name(self) -> str:
        """The name of the predictions."""
        return self.matched.predictions.name

    @property
    def missing(self) -> str | None:
        """The sentence on what the predictions do not give; None if they give everything."""
        return sentence_on_missing(self.matched, self.leakage)

    @property
    def says_missing_model(self) -> bool:
        """Whether `missing` says why leakage was not checked."""
        predictions = self.matched.predictions
        is_named = predictions.knows_checkpoint or self.leakage.is_stated
        return predictions.is_foreign and not is_named and self.leakage.unchecked is not None

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `metrics.json`."""
        matched, facts = self.matched, self.matched.predictions.facts
        return {
            "version": __version__,
            "manifest": self.source,
            "artificial": self.is_artificial,
            "predictions": {
                "path": str(matched.predictions.path),
                **{key: facts.get(key) for key in ("network", "checkpoint_sha256", "version")},
                "missing": self.missing,
                "remarks": list(matched.predictions.remarks),
            },
            "users": {
                "in_manifest": matched.users,
                "only_in_manifest": len(matched.only_in_manifest),
                "only_in_predictions": len(matched.only_in_predictions),
                "named": [*matched.only_in_manifest, *matched.only_in_predictions][:_MAX_NAMED],
            },
            "trained_with": self.leakage.to_dict(),
            "mean_macro_f1": self.mean_macro_f1,
            "mean_macro_f1_interval": asdict(self.mean_interval),
            "traits": {name: self._trait(name) for name in self.traits},
            "baselines": self.baselines.to_dict(),
            "parts": None if self.parts is None else self.parts.to_dict(),
        }

    def _trait(self, name: str) -> dict[str, Any]:
        metrics = asdict(self.traits[name])
        scores = metrics.pop("scores")
        cut = self.confidence_cuts.get(name)
        return {
            **scores,
            **metrics,
            "intervals": {metric: asdict(each) for metric, each in self.intervals[name].items()},
            "minus_majority": {metric: asdict(each) for metric, each in self.ahead[name].items()},
            "at_min_confidence": asdict(cut) if cut else None,
            "published": [
                asdict(each) for each in published_results(self.matched.predictions.schema, name)
            ],
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several sets of predictions, evaluated on the same labels.

    Attributes:
        evaluations: One evaluation per set of predictions, in the order given.
        best: The position of the evaluation with the highest mean macro-F1.
        behind: By position, how far each other evaluation is behind the best, by trait and
            metric.
    """

    evaluations: tuple[Evaluation, ...]
    best: int
    behind: Mapping[int, Bootstrap[Difference]]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `metrics.json`."""
        return {
            "best": self.evaluations[self.best].name,
            "evaluations": [each.to_dict() for each in self.evaluations],
            "best_minus": {
                self.evaluations[position].name: {
                    **each.map(asdict).traits,
                    "mean": {"mean_macro_f1": asdict(each.mean_macro_f1)},
                }
                for position, each in self.behind.items()
            },
        }


def evaluate_predictions(
    manifest: str | Path,
    predictions: str | Path,
    options: EvaluateOptions | None = None,
    on_images: OnImages = lambda done, total: None,
) -> Evaluation:
    """Evaluate predictions on the labels of a manifest.

    Args:
        manifest: A manifest with label columns.
        predictions: The file or folder that `predict` wrote, or a table of another program as
            Parquet or CSV; see `Predictions.read`.
        options: How to evaluate; see `EvaluateOptions`.
        on_images: A function to call while images are predicted for the baselines, with the number
            of those that are done and of all.

    Raises:
        InputError: Manifest or predictions cannot be read, or have no trait in common; or the
            predictions were made by another checkpoint than that of the baselines.
    """
    options = options or EvaluateOptions()
    opened = open_manifest(manifest, [predictions])
    opened.count_users()  # refuses a manifest with users who would count twice
    read = read_predictions(opened, predictions)
    if options.baselines is not None and read.is_foreign:
        raise PredictionsError(
            f"{read.path} does not record its model and images, which `baselines` need; predict "
            "the manifest into Parquet, or leave `baselines` out."
        )
    evaluation = _evaluate(opened, read, options)
    evaluation = replace(evaluation, parts=measure_parts(evaluation.matched, options.seed))
    if options.baselines is None:
        return evaluation
    measured = measure_baselines(
        opened, evaluation.matched, options.baselines, options.seed, on_images
    )
    return replace(evaluation, baselines=measured)


def compare_predictions(
    manifest: str | Path, predictions: Sequence[str | Path], options: EvaluateOptions | None = None
) -> Comparison:
    """Compare several sets of predictions on the labels of a manifest by a paired bootstrap.

    Args:
        manifest: A manifest with label columns.
        predictions: Files or folders that `predict` wrote, all with the same traits and classes,
            or tables of other programs.
        options: How to evaluate; see `EvaluateOptions`.

    Raises:
        InputError: As for `evaluate_predictions`; also if traits or classes differ.
        OptionError: Baselines are wanted, which belong to a single model.
    """
    options = options or EvaluateOptions()
    if options.baselines is not None:
        raise OptionError(
            "`baselines` belong to a single model; evaluate one set of predictions with them."
        )
    opened = open_manifest(manifest, predictions)
    opened.count_users()  # refuses a manifest with users who would count twice
    options = replace(options, made_by=None)  # one checkpoint cannot have made all of them
    read = read_several(opened, predictions)
    evaluations = tuple(_evaluate(opened, each, options) for each in read)
    best = max(range(len(read)), key=lambda number: evaluations[number].mean_macro_f1)
    behind = {
        number: paired_differences(evaluations[best].matched, each.matched, options.seed)
        for number, each in enumerate(evaluations)
        if number != best
    }
    return Comparison(evaluations, best, behind)


def _evaluate(manifest: Manifest, predictions: Predictions, options: EvaluateOptions) -> Evaluation:
    matched = match_users(manifest, predictions)
    traits = {each.trait.name: measure(each) for each in matched.traits}
    intervals = bootstrap_intervals(matched, options.seed)
    cuts = {}
    if options.min_confidence is not None:
        cuts = {
            each.trait.name: cut_at_confidence(each, options.min_confidence)
            for each in matched.traits
            if each.knows_confidence
        }
    mean = sum(each.scores.macro_f1 for each in traits.values()) / len(traits)
    sha256 = predictions.facts.get("checkpoint_sha256")
    leakage = find_leakage(
        manifest, sha256, options.checkpoints, options.image_root, made_by=options.made_by
    )
    return Evaluation(
        source=manifest.source,
        matched=matched,
        traits=traits,
        intervals=intervals.traits,
        ahead=ahead_of_majority(matched, options.seed).traits,
        mean_macro_f1=mean,
        mean_interval=intervals.mean_macro_f1,
        leakage=leakage,
        confidence_cuts=cuts,
        is_artificial=manifest.is_artificial,
    )
