"""Compare the parts of a model of images and texts with what the model makes of both.

Whether texts add anything to images, or images to texts, shows only on users who have both. The
rows are therefore about the users with a label who have a usable image and a text.

Shapes: N users who have a label for a trait; K classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tweetprofile.checkpoints.checkpoint import Checkpoint
from tweetprofile.evaluation.baselines import MAJORITY, Baseline, majority, measure_baseline
from tweetprofile.evaluation.matching import MatchedTrait, MatchedUsers
from tweetprofile.evaluation.metrics import Scores, score
from tweetprofile.evaluation.resampling import Interval, bootstrap_intervals
from tweetprofile.workers.profiles import IMAGES, TEXTS


def _mean_of_both(model: MatchedTrait) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = (model.parts_NK[IMAGES] + model.parts_NK[TEXTS]) / 2
    return mean


_ROWS: tuple[tuple[str, str, Callable[[MatchedTrait], NDArray[np.float64]]], ...] = (
    (MAJORITY, "", majority),
    ("images alone", "", lambda model: model.parts_NK[IMAGES]),
    ("texts alone", "", lambda model: model.parts_NK[TEXTS]),
    ("mean of both", "Taniguchi et al.", _mean_of_both),
)
"""Name, publication and probabilities of each row but the model's own, in the table's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What images alone, texts alone and both score on the same users; false if nobody has both.

    Attributes:
        rows: The majority class, each part alone, and the mean of both.
        users: The number of users by trait, without traits for which nobody is left.
        scores: The scores of the model on these users by trait.
        intervals: 95% bootstrap intervals of these by trait and metric.
    """

    rows: tuple[Baseline, ...] = ()
    users: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, Scores] = field(default_factory=dict)
    intervals: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def sentence(self) -> str:
        """What a reader must know to compare the rows."""
        if not self:
            return (
                "Images and texts are not compared: no user with a label has both a usable image "
                "and a text."
            )
        users = ", ".join(f"{trait} {count:,}" for trait, count in self.users.items())
        return (
            "All rows of a trait are about the same users: those with a label who have both a "
            f"usable image and a text ({users}). Images alone and texts alone are what the model "
            "predicts from one of the two, and the mean of both (after Taniguchi et al.: weighted "
            "text and image) gives them equal weights."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `metrics.json`."""
        return {
            "users": dict(self.users),
            "rows": [each.to_dict() for each in self.rows],
            "model": {
                trait: {
                    **asdict(scores),
                    "intervals": {
                        metric: asdict(each) for metric, each in self.intervals[trait].items()
                    },
                }
                for trait, scores in self.scores.items()
            },
        }


def sees_both(checkpoint: Checkpoint) -> bool:
    """Return whether a model looks at images and reads texts, so that each can be told apart."""
    return checkpoint.texts is not None and checkpoint.sees_images


def measure_parts(model: MatchedUsers, seed: int = 0) -> Parts | None:
    """Compare the parts of a model on the users who have both.

    Args:
        model: The predictions of the model, matched with a manifest.
        seed: The seed of the bootstrap.

    Returns:
        The comparison; None if the predictions have no probabilities of the parts.
    """
    if not model.predictions.parts:
        return None
    traits = tuple(each for each in map(_with_both, model.traits) if len(each.rows_N))
    if not traits:
        return Parts()
    model = replace(model, traits=traits)
    return Parts(
        rows=tuple(
            measure_baseline(model, probabilities, name=name, after=after, seed=seed)
            for name, after, probabilities in _ROWS
        ),
        users={each.trait.name: len(each.rows_N) for each in traits},
        scores={
            each.trait.name: score(each.truth_N, each.guess_N, len(each.trait.classes))
            for each in traits
        },
        intervals=bootstrap_intervals(model, seed).traits,
    )


def _with_both(model: MatchedTrait) -> MatchedTrait:
    """Return the labels and predictions of the users who have both parts."""
    both = np.logical_and.reduce([rows_NK.any(axis=1) for rows_NK in model.parts_NK.values()])
    return replace(
        model,
        rows_N=model.rows_N[both],
        truth_N=model.truth_N[both],
        guess_N=model.guess_N[both],
        probabilities_NK=model.probabilities_NK[both],
        frames_N=model.frames_N[both],
        parts_NK={part: rows_NK[both] for part, rows_NK in model.parts_NK.items()},
    )
