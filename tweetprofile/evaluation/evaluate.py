"""The whole of evaluating: judge, measure, resample; one set of predictions or several."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tweetprofile.data.files.storage import AnyPath
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import OptionError, PredictionsError
from tweetprofile.evaluation.judging import Judged, Predictions, judge
from tweetprofile.evaluation.metrics import Selection, TraitMetrics, measure, select
from tweetprofile.evaluation.resampling import (
    MEAN_MACRO_F1,
    Difference,
    Interval,
    differences,
    intervals,
)
from tweetprofile.evaluation.seen_before import SeenBefore, look_for_seen
from tweetprofile.version import __version__

_NAMED = 100
"""Users that are named in `metrics.json`; all of them stand in unmatched.csv."""


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """How predictions are evaluated.

    Attributes:
        min_confidence: of users who are kept where unsure ones are left out; None for no such.
        seed: of the bootstrap.
        checkpoints: files, one of which may be the model that made the predictions: it says
            whether it was trained with these users.
        image_root: folder that image paths are relative to; None for the manifest's own.

    Raises:
        OptionError: a value out of range.
    """

    min_confidence: float | None = None
    seed: int = 0
    checkpoints: tuple[Path, ...] = ()
    image_root: AnyPath | None = None

    def __post_init__(self) -> None:
        if self.min_confidence is not None and not 0.0 <= self.min_confidence <= 1.0:
            raise OptionError(f"--min-confidence {self.min_confidence:g} must be from 0 to 1.")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What predictions are worth on the labels of a manifest.

    Attributes:
        source: the manifest.
        judged: labels and predictions, user by user.
        traits: metrics by trait.
        intervals: 95% bootstrap intervals, by trait and figure.
        mean_macro_f1: over the traits; what MEX-A3T ranks by. `mean_interval` goes with it.
        seen: what of the manifest the model was trained with.
        selections: by trait, what is left of the users at the confidence asked for.
    """

    source: str
    judged: Judged
    traits: Mapping[str, TraitMetrics]
    intervals: Mapping[str, Mapping[str, Interval]]
    mean_macro_f1: float
    mean_interval: Interval
    seen: SeenBefore
    selections: Mapping[str, Selection] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the predictions are called."""
        return self.judged.predictions.name

    def to_dict(self) -> dict[str, Any]:
        """As `metrics.json`."""
        judged, facts = self.judged, self.judged.predictions.facts
        return {
            "version": __version__,
            "manifest": self.source,
            "predictions": {
                "path": str(judged.predictions.path),
                **{key: facts.get(key) for key in ("network", "checkpoint_sha256", "version")},
            },
            "users": {
                "in_manifest": judged.users,
                "only_in_manifest": len(judged.only_in_manifest),
                "only_in_predictions": len(judged.only_in_predictions),
                "named": [*judged.only_in_manifest, *judged.only_in_predictions][:_NAMED],
            },
            "trained_with": self.seen.to_dict(),
            "mean_macro_f1": self.mean_macro_f1,
            "mean_macro_f1_interval": asdict(self.mean_interval),
            "traits": {name: self._trait(name) for name in self.traits},
        }

    def _trait(self, name: str) -> dict[str, Any]:
        metrics = asdict(self.traits[name])
        scores = metrics.pop("scores")
        chosen = self.selections.get(name)
        return {
            **scores,
            **metrics,
            "intervals": {figure: asdict(each) for figure, each in self.intervals[name].items()},
            "at_min_confidence": asdict(chosen) if chosen else None,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several sets of predictions on the same labels.

    Attributes:
        evaluations: of each, in the order given.
        best: position of the one with the highest mean macro-F1.
        behind: by position, how far each is behind the best, by trait (None for
            all traits) and figure; none for it.
    """

    evaluations: tuple[Evaluation, ...]
    best: int
    behind: Mapping[int, Mapping[str | None, Mapping[str, Difference]]]

    def to_dict(self) -> dict[str, Any]:
        """As `metrics.json`."""
        return {
            "best": self.evaluations[self.best].name,
            "evaluations": [each.to_dict() for each in self.evaluations],
            "best_minus": {
                self.evaluations[position].name: {
                    "mean" if trait is None else trait: {
                        figure: asdict(each) for figure, each in figures.items()
                    }
                    for trait, figures in traits.items()
                }
                for position, traits in self.behind.items()
            },
        }


def evaluate_predictions(
    manifest: str | Path, predictions: str | Path, options: EvaluateOptions | None = None
) -> Evaluation:
    """What predictions are worth on the labels of a manifest.

    Args:
        manifest: with label columns.
        predictions: file or folder that `predict` wrote.
        options: how.

    Raises:
        InputError: one of them cannot be read, or they do not go together.
    """
    opened = Manifest.open(manifest)
    opened.count_users()  # refuses users who would count twice
    return _evaluate(opened, Predictions.read(predictions), options or EvaluateOptions())


def compare_predictions(
    manifest: str | Path, predictions: Sequence[str | Path], options: EvaluateOptions | None = None
) -> Comparison:
    """Several sets of predictions on the labels of a manifest, and how sure their ranks are.

    Raises:
        InputError: as `evaluate_predictions`, or their traits or classes differ.
    """
    options, opened = options or EvaluateOptions(), Manifest.open(manifest)
    opened.count_users()  # refuses users who would count twice
    read = _with_names(predictions)
    for each in read[1:]:
        if each.schema != read[0].schema:
            raise PredictionsError(
                f"{each.path} and {read[0].path} have other traits or classes, so that they "
                "cannot be compared; evaluate them one by one."
            )
    evaluations = tuple(_evaluate(opened, each, options) for each in read)
    best = max(range(len(read)), key=lambda number: evaluations[number].mean_macro_f1)
    behind = {
        number: differences(evaluations[best].judged, each.judged, options.seed)
        for number, each in enumerate(evaluations)
        if number != best
    }
    return Comparison(evaluations, best, behind)


def _with_names(paths: Sequence[str | Path]) -> list[Predictions]:
    """Read; where names are equal, each is called by its whole path."""
    for number, path in enumerate(paths):
        if Path(path) in map(Path, paths[:number]):
            raise PredictionsError(f"{path} is given twice; compare it with others.")
    read = [Predictions.read(path) for path in paths]
    names = [each.name for each in read]
    return [each if names.count(each.name) == 1 else each.called(str(each.path)) for each in read]


def _evaluate(manifest: Manifest, predictions: Predictions, options: EvaluateOptions) -> Evaluation:
    judged = judge(manifest, predictions)
    traits = {each.trait.name: measure(each) for each in judged.traits}
    spread = intervals(judged, options.seed)
    selections = {}
    if options.min_confidence is not None:
        selections = {
            each.trait.name: select(each, options.min_confidence) for each in judged.traits
        }
    mean = sum(each.scores.macro_f1 for each in traits.values()) / len(traits)
    interval = spread[None][MEAN_MACRO_F1]
    by_trait = {trait: each for trait, each in spread.items() if trait is not None}
    sha256 = predictions.facts.get("checkpoint_sha256")
    seen = look_for_seen(manifest, sha256, options.checkpoints, options.image_root)
    return Evaluation(manifest.source, judged, traits, by_trait, mean, interval, seen, selections)
