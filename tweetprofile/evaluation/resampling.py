"""How much of a figure is luck: bootstrap over users.

Users are drawn again and again, with replacement, as many as there are (Efron 1979). Only how often
each combination of labels and predictions occurs matters, so what is drawn is counts of these: a
million users cost as much as a thousand.

Shapes: R draws, U different users (combinations), C columns of theirs, K classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.evaluation.judging import NO_GUESS, Judged, JudgedTrait
from tweetprofile.evaluation.metrics import Scores

DRAWS = 1000

_CELLS = 1 << 22
"""Counts held at a time."""

_FIGURES = tuple(field.name for field in fields(Scores))

MEAN_MACRO_F1 = "mean_macro_f1"


@dataclass(frozen=True, slots=True)
class Interval:
    """Where 95% of the draws lie."""

    low: float
    high: float

    @classmethod
    def of(cls, values_R: NDArray[np.float64]) -> "Interval":
        """The middle 95%."""
        low, high = np.quantile(values_R, [0.025, 0.975])
        return cls(float(low), float(high))


@dataclass(frozen=True, slots=True)
class Difference:
    """One set of predictions against another, on the same users.

    Attributes:
        mean: by how much the first is better.
        interval: where 95% of the draws lie; one that holds 0 shows no difference.
    """

    mean: float
    interval: Interval


Replicates = Mapping[str | None, Mapping[str, NDArray[np.float64]]]
"""Trait, then figure, to its value in each draw; `MEAN_MACRO_F1` is under None, for all traits."""


def intervals(judged: Judged, seed: int = 0) -> dict[str | None, dict[str, Interval]]:
    """95% intervals of every figure, by trait; that of the mean macro-F1 under None."""
    (replicates,) = _replicates([judged], seed)
    return {
        trait: {name: Interval.of(values) for name, values in figures.items()}
        for trait, figures in replicates.items()
    }


def differences(
    first: Judged, second: Judged, seed: int = 0
) -> dict[str | None, dict[str, Difference]]:
    """By how much the first predictions are better than the second, user by user (paired).

    Both must be judged by the same manifest, and have the same traits with the same classes.
    """
    one, other = _replicates([first, second], seed)
    return {
        trait: {
            name: Difference(
                float((values - other[trait][name]).mean()),
                Interval.of(values - other[trait][name]),
            )
            for name, values in figures.items()
        }
        for trait, figures in one.items()
    }


def _replicates(judged: Sequence[Judged], seed: int) -> list[Replicates]:
    """The figures of each set of predictions in each draw; all see the same draws."""
    codes_UC, counts_U = np.unique(_combine(judged), axis=0, return_counts=True)
    parts: list[list[Replicates]] = [[] for _ in judged]
    for draws_RU in _draw(counts_U, np.random.default_rng(seed)):
        for number, each in enumerate(judged):
            traits = [judged_trait.trait for judged_trait in each.traits]
            truth, guess = (_block(codes_UC, len(traits), block) for block in (0, number + 1))
            parts[number].append(
                {
                    trait.name: _scores(draws_RU, truth[column], guess[column], len(trait.classes))
                    for column, trait in enumerate(traits)
                }
            )
    return [_with_mean(_join(part)) for part in parts]


def _block(codes_UC: NDArray[np.int64], traits: int, number: int) -> NDArray[np.int64]:
    """(traits, U) class numbers of the labels (number 0), or of a set of predictions."""
    block: NDArray[np.int64] = codes_UC[:, traits * number : traits * (number + 1)].T
    return block


def _combine(judged: Sequence[Judged]) -> NDArray[np.int64]:
    """(users, traits x (1 + predictions)): labels, then each set of predictions."""
    users, traits = judged[0].users, judged[0].traits
    columns = [_spread(trait, trait.truth_N, users, UNKNOWN) for trait in traits]
    for each in judged:
        columns += [_spread(trait, trait.guess_N, users, NO_GUESS) for trait in each.traits]
    return np.stack(columns, axis=1)


def _spread(
    trait: JudgedTrait, values_N: NDArray[np.int64], users: int, other: int
) -> NDArray[np.int64]:
    """Values of the labelled users, a place a user of the manifest."""
    spread = np.full(users, other, dtype=np.int64)
    spread[trait.rows_N] = values_N
    return spread


def _draw(counts_U: NDArray[np.int64], random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """How often each combination occurs in each of `DRAWS` draws, some draws at a time."""
    users, step = int(counts_U.sum()), max(1, _CELLS // len(counts_U))
    for begin in range(0, DRAWS, step):
        yield random.multinomial(users, counts_U / users, size=min(step, DRAWS - begin))


def _scores(
    draws_RU: NDArray[np.int64],
    truth_U: NDArray[np.int64],
    guess_U: NDArray[np.int64],
    classes: int,
) -> dict[str, NDArray[np.float64]]:
    """The four figures in each draw, from its counts; those of `metrics.score`, many at a time."""
    known = truth_U != UNKNOWN
    draws, truth, guess = draws_RU[:, known].astype(np.float64), truth_U[known], guess_U[known]
    is_truth, is_guess = (np.eye(classes + 1)[each][:, :classes] for each in (truth, guess))
    right_RK = draws @ (is_truth * is_guess)
    truth_RK, guess_RK = draws @ is_truth, draws @ is_guess
    occurs = (truth_RK + guess_RK) > 0
    each = (
        _divide(right_RK, guess_RK),
        _divide(right_RK, truth_RK),
        _divide(2 * right_RK, truth_RK + guess_RK),
    )
    accuracy = _divide(right_RK.sum(1), truth_RK.sum(1))
    macros = (_divide((values * occurs).sum(1), occurs.sum(1)) for values in each)
    return dict(zip(_FIGURES, (accuracy, *macros), strict=True))


def _divide(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros_like(part, dtype=np.float64), where=whole > 0)


def _join(parts: Sequence[Replicates]) -> Replicates:
    return {
        trait: {name: np.concatenate([part[trait][name] for part in parts]) for name in figures}
        for trait, figures in parts[0].items()
    }


def _with_mean(figures: Replicates) -> Replicates:
    f1 = np.mean([each["macro_f1"] for each in figures.values()], axis=0)
    return {**figures, None: {MEAN_MACRO_F1: f1}}
