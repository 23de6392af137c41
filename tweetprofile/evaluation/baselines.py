"""Baselines on the user's own data: what simpler ways of predicting score on the same users.

The field predicts a user from one image, or combines predictions of single images. A model that
looks at all images of a user together is worth its cost if it is better than that.

Shapes: U users of the manifest; N users who have a label for a trait; K classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.evaluation.matching import NO_GUESS, MatchedTrait, MatchedUsers
from tweetprofile.evaluation.metrics import Scores, score
from tweetprofile.evaluation.resampling import (
    Bootstrap,
    Difference,
    Interval,
    bootstrap_intervals,
    paired_differences,
)
from tweetprofile.evaluation.single_images import OnImages, SingleImages, predict_single_images
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.workers.profiles import TEXTS


@dataclass(frozen=True, slots=True)
class BaselineKind:
    """A way to predict users that is simpler than the model.

    Attributes:
        name: Its name in tables.
        after: The publication that used it; empty if it is common knowledge.
        probabilities: Returns (N, K) probabilities, zeros for users without a prediction, given
            the labels and the model's predictions of a trait, and the single images.
    """

    name: str
    after: str
    probabilities: Callable[[MatchedTrait, SingleImages], NDArray[np.float64]]


def majority(model: MatchedTrait) -> NDArray[np.float64]:
    """Return (N, K) probabilities that name the most frequent label for every user."""
    probabilities = np.zeros_like(model.probabilities_NK)
    counts = np.bincount(model.truth_N, minlength=len(model.trait.classes))
    probabilities[:, counts.argmax()] = 1.0
    return probabilities


def ahead_of_majority(model: MatchedUsers, seed: int = 0) -> Bootstrap[Difference]:
    """Return how far a model is ahead of the majority baseline on the same users."""
    traits = tuple(_guess(each, majority(each)) for each in model.traits)
    return paired_differences(model, replace(model, traits=traits), seed)


def _one_image(model: MatchedTrait, images: SingleImages) -> NDArray[np.float64]:
    return images.first[model.trait.name][model.rows_N]


def _mean_of_images(model: MatchedTrait, images: SingleImages) -> NDArray[np.float64]:
    return images.mean[model.trait.name][model.rows_N]


MAJORITY = "majority class"

BASELINES = (
    BaselineKind(MAJORITY, "", lambda model, _: majority(model)),
    BaselineKind("one image per user", "Álvarez-Carmona et al.", _one_image),
    BaselineKind("mean over single images", "Merler et al.", _mean_of_images),
)
"""All baselines, in the order of the table; one that needs other predictions is added here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a baseline scores on the users of an evaluation.

    Attributes:
        name: Its name in tables.
        after: The publication that used it; empty if it is common knowledge.
        scores: The scores by trait.
        intervals: 95% bootstrap intervals by trait and metric.
        behind: How far the baseline is behind the model.
    """

    name: str
    after: str
    scores: Mapping[str, Scores]
    intervals: Mapping[str, Mapping[str, Interval]]
    behind: Bootstrap[Difference]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `metrics.json`."""
        behind = self.behind.map(asdict)
        return {
            "name": self.name,
            "after": self.after or None,
            "traits": {
                trait: {
                    **asdict(scores),
                    "intervals": {
                        metric: asdict(each) for metric, each in self.intervals[trait].items()
                    },
                    "model_minus_baseline": behind.traits[trait],
                }
                for trait, scores in self.scores.items()
            },
            "model_minus_baseline": {"mean_macro_f1": behind.mean_macro_f1},
        }


@dataclass(frozen=True, slots=True)
class Baselines:
    """All baselines of an evaluation; false if none were measured.

    Attributes:
        each: The baselines.
        images: The number of single images that were predicted.
        users: The number of users with a label.
        without_images: The number of these of whom no single image was usable.
        reads_texts: Whether the model reads texts, too, which single images are predicted without.
    """

    each: tuple[Baseline, ...] = ()
    images: int = 0
    users: int = 0
    without_images: int = 0
    reads_texts: bool = False

    def __bool__(self) -> bool:
        return bool(self.each)

    @property
    def sentence(self) -> str:
        """What a reader must know to compare the rows."""
        without = (
            f"{self.without_images:,} without a usable image count as predicted wrongly in "
            + (
                "the rows of single images"
                if self.reads_texts
                else "every row but that of the majority class"
            )
            if self.without_images
            else "each has a usable image"
        )
        beside = " and without texts" if self.reads_texts else ""
        return (
            f"Every row is about the same {self.users:,} users with a label; {without}. The model "
            f"predicted, one by one, the {self.images:,} images that it had used together{beside}: "
            "one image per user (after Álvarez-Carmona et al.) takes the first usable one, and the "
            "mean over single images (after Merler et al.) takes that of their probabilities."
        )

    def to_dict(self) -> dict[str, Any] | None:
        """Return the content of `metrics.json`; None if none were measured."""
        if not self:
            return None
        return {
            "users": self.users,
            "without_images": self.without_images,
            "single_images": self.images,
            "rows": [each.to_dict() for each in self.each],
        }


def measure_baselines(
    manifest: Manifest,
    model: MatchedUsers,
    options: PredictOptions,
    seed: int = 0,
    on_images: OnImages = lambda done, total: None,
) -> Baselines:
    """Measure all baselines on the users of an evaluation.

    Args:
        manifest: The manifest of the users.
        model: The predictions of the model, matched with the manifest.
        options: How to predict single images.
        seed: The seed of the bootstrap.
        on_images: A function to call after every batch of single images; see `OnImages`.

    Raises:
        TweetprofileError: See `predict_single_images`.
    """
    images = predict_single_images(manifest, model, options, on_images)
    rows = np.unique(np.concatenate([each.rows_N for each in model.traits]))
    return Baselines(
        tuple(
            measure_baseline(
                model,
                partial(_of_images, kind, images),
                name=kind.name,
                after=kind.after,
                seed=seed,
            )
            for kind in BASELINES
        ),
        images=int(images.images_U.sum()),
        users=len(rows),
        without_images=int((images.images_U[rows] == 0).sum()),
        reads_texts=TEXTS in model.predictions.sees,
    )


def measure_baseline(
    model: MatchedUsers,
    probabilities: Callable[[MatchedTrait], NDArray[np.float64]],
    *,
    name: str,
    after: str,
    seed: int,
) -> Baseline:
    """Measure one baseline on the users of a model's predictions.

    Args:
        model: The predictions of the model.
        probabilities: Returns (N, K) probabilities, zeros for users without a prediction.
        name: The name of the baseline in tables.
        after: The publication that used it; empty if it is common knowledge.
        seed: The seed of the bootstrap.
    """
    guessed = replace(
        model, traits=tuple(_guess(each, probabilities(each)) for each in model.traits)
    )
    return Baseline(
        name=name,
        after=after,
        scores={
            each.trait.name: score(each.truth_N, each.guess_N, len(each.trait.classes))
            for each in guessed.traits
        },
        intervals=bootstrap_intervals(guessed, seed).traits,
        behind=paired_differences(model, guessed, seed),
    )


def _of_images(
    kind: BaselineKind, images: SingleImages, model: MatchedTrait
) -> NDArray[np.float64]:
    return kind.probabilities(model, images)


def _guess(model: MatchedTrait, probabilities_NK: NDArray[np.float64]) -> MatchedTrait:
    known = probabilities_NK.any(axis=1)
    return replace(
        model,
        guess_N=np.where(known, probabilities_NK.argmax(axis=1), NO_GUESS),
        probabilities_NK=probabilities_NK,
    )
