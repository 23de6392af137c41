"""How far chance moves a metric: bootstrap intervals and paired bootstrap tests over users.

Each draw takes as many users as there are, at random and with replacement (Efron 1979). A metric
depends only on how often each combination of labels and predictions occurs, so the draws are of
these counts: a million users cost as much as a thousand.

Shapes: R draws, U distinct combinations, C columns of a combination, K classes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.evaluation.matching import NO_GUESS, MatchedTrait, MatchedUsers
from tweetprofile.evaluation.metrics import Scores
from tweetprofile.scoring.classes import ClassCounts

ValueT = TypeVar("ValueT")
ResultT = TypeVar("ResultT")

DRAWS = 1000

_CELLS = 1 << 22
"""The largest number of counts in memory at a time."""

_METRICS = tuple(field.name for field in fields(Scores))


@dataclass(frozen=True, slots=True)
class Interval:
    """The range of the middle 95% of the draws."""

    low: float
    high: float

    @classmethod
    def of(cls, values_R: NDArray[np.float64]) -> "Interval":
        """Return the 95% bootstrap interval of the values of a metric in all draws."""
        low, high = np.quantile(values_R, [0.025, 0.975])
        return cls(float(low), float(high))


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between two sets of predictions on the same users.

    Attributes:
        mean: The mean over the draws of the first's metric minus the second's.
        interval: The 95% bootstrap interval of that difference. If it contains 0, the difference
            is not significant at the 5% level.
    """

    mean: float
    interval: Interval

    @classmethod
    def of(cls, first_R: NDArray[np.float64], second_R: NDArray[np.float64]) -> "Difference":
        """Return the difference of a metric, given its values in the same draws."""
        return cls(float((first_R - second_R).mean()), Interval.of(first_R - second_R))


@dataclass(frozen=True, slots=True)
class Bootstrap(Generic[ValueT]):
    """A value per metric: its replicates in all draws, or what follows from them.

    Attributes:
        traits: The value of each metric of `Scores`, by trait and metric.
        mean_macro_f1: The value for the mean of macro-F1 over the traits.
    """

    traits: Mapping[str, Mapping[str, ValueT]]
    mean_macro_f1: ValueT

    def map(self, function: Callable[[ValueT], ResultT]) -> "Bootstrap[ResultT]":
        """Apply a function to every value."""
        return Bootstrap(
            {
                trait: {metric: function(value) for metric, value in metrics.items()}
                for trait, metrics in self.traits.items()
            },
            function(self.mean_macro_f1),
        )


Replicates = Bootstrap[NDArray[np.float64]]
"""The value of each metric in each draw, (R,)."""


def bootstrap_intervals(matched: MatchedUsers, seed: int = 0) -> Bootstrap[Interval]:
    """Return the 95% bootstrap interval of every metric."""
    (replicates,) = _replicates([matched], seed)
    return replicates.map(Interval.of)


def paired_differences(
    first: MatchedUsers, second: MatchedUsers, seed: int = 0
) -> Bootstrap[Difference]:
    """Compare two sets of predictions by a paired bootstrap: both see the same draws of users.

    Both must be matched with the same manifest, and have the same traits with the same classes.
    """
    one, other = _replicates([first, second], seed)
    return Bootstrap(
        {
            trait: {
                metric: Difference.of(values_R, other.traits[trait][metric])
                for metric, values_R in metrics.items()
            }
            for trait, metrics in one.traits.items()
        },
        Difference.of(one.mean_macro_f1, other.mean_macro_f1),
    )


def _replicates(matched: Sequence[MatchedUsers], seed: int) -> list[Replicates]:
    """Return the metrics of each set of predictions in each draw; all see the same draws."""
    codes_UC, counts_U = np.unique(_combine(matched), axis=0, return_counts=True)
    parts: list[list[_TraitReplicates]] = [[] for _ in matched]
    for draws_RU in _draw(counts_U, np.random.default_rng(seed)):
        for number, each in enumerate(matched):
            traits = [one.trait for one in each.traits]
            truth, guess = (_block(codes_UC, len(traits), block) for block in (0, number + 1))
            parts[number].append(
                {
                    trait.name: _scores(draws_RU, truth[column], guess[column], len(trait.classes))
                    for column, trait in enumerate(traits)
                }
            )
    return [_with_mean(_join(part)) for part in parts]


_TraitReplicates = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""The values of each metric in some draws, by trait and metric."""


def _block(codes_UC: NDArray[np.int64], traits: int, number: int) -> NDArray[np.int64]:
    """(traits, U) class numbers of the labels (number 0), or of a set of predictions."""
    block: NDArray[np.int64] = codes_UC[:, traits * number : traits * (number + 1)].T
    return block


def _combine(matched: Sequence[MatchedUsers]) -> NDArray[np.int64]:
    """(users, traits x (1 + predictions)) class numbers: labels, then each set of predictions."""
    users, traits = matched[0].users, matched[0].traits
    columns = [_scatter(trait, trait.truth_N, users, UNKNOWN) for trait in traits]
    for each in matched:
        columns += [_scatter(trait, trait.guess_N, users, NO_GUESS) for trait in each.traits]
    return np.stack(columns, axis=1)


def _scatter(
    trait: MatchedTrait, values_N: NDArray[np.int64], users: int, other: int
) -> NDArray[np.int64]:
    """Return one value per user of the manifest: theirs if they have a label, else `other`."""
    scattered = np.full(users, other, dtype=np.int64)
    scattered[trait.rows_N] = values_N
    return scattered


def _draw(counts_U: NDArray[np.int64], random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield how often each combination occurs in each of `DRAWS` draws, several draws at a time."""
    users, step = int(counts_U.sum()), max(1, _CELLS // len(counts_U))
    for begin in range(0, DRAWS, step):
        yield random.multinomial(users, counts_U / users, size=min(step, DRAWS - begin))


def _scores(
    draws_RU: NDArray[np.int64],
    truth_U: NDArray[np.int64],
    guess_U: NDArray[np.int64],
    classes: int,
) -> dict[str, NDArray[np.float64]]:
    """Return the metrics of `metrics.score` in each draw, computed from its counts."""
    known = truth_U != UNKNOWN
    draws, truth, guess = draws_RU[:, known].astype(np.float64), truth_U[known], guess_U[known]
    is_truth, is_guess = (np.eye(classes + 1)[each][:, :classes] for each in (truth, guess))
    counts = ClassCounts(draws @ (is_truth * is_guess), draws @ is_truth, draws @ is_guess)
    return {name: getattr(counts, name) for name in _METRICS}


def _join(parts: Sequence[_TraitReplicates]) -> _TraitReplicates:
    return {
        trait: {metric: np.concatenate([part[trait][metric] for part in parts]) for metric in first}
        for trait, first in parts[0].items()
    }


def _with_mean(traits: _TraitReplicates) -> Replicates:
    return Bootstrap(traits, np.mean([each["macro_f1"] for each in traits.values()], axis=0))
