"""Fitting a model of texts: settings by cross-validation, then the model of all training users.

Every trait chooses how much each block of n-grams counts, and the weight of the penalty, by the
loss of users who are held out in turn.

Shapes: N users, B problems, K classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.texts.model import TermWeights, TextModel
from tweetprofile.texts.spec import PROFILE_FIELDS, NgramBlock, Source, TextSpec
from tweetprofile.training.calibration import calibrate
from tweetprofile.training.held_out import HeldOut
from tweetprofile.training.texts.counts import TextCounts
from tweetprofile.training.texts.directions import SharedDirections, corrected
from tweetprofile.training.texts.kernels import block_kernels
from tweetprofile.training.texts.solver import Multiply, Problems, solve
from tweetprofile.training.texts.weighted import Weighted
from tweetprofile.traits import Trait, TraitSchema

_FEWEST_USERS_PER_TERM = 2
"""The number of users that must have an n-gram for it to count; others would tell users apart."""

_BIAS = 0.1
"""What every two users have in common, from which biases are learned."""

_COSTS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
"""The weights of the loss relative to the penalty to choose from."""

_FACTORS = (0.0, 0.25, 4.0)
"""The factors of the weight of each field of profiles to choose from, besides 1."""

_FOLDS_TO_CHOOSE, FOLDS = 5, 10
"""The number of folds that settings are chosen in, and in which users are scored."""

_COLUMNS_AT_ONCE = 16
"""The columns of a matrix that are multiplied at once if similarities are not in memory; each takes
4 bytes per n-gram."""

MOST_BY_KERNEL = 6000
"""The most users whose similarities are kept in memory, 144 MB per block of n-grams."""


@dataclass(frozen=True, slots=True)
class TextSetting:
    """What the model of a trait was chosen to be.

    Attributes:
        block_weights: How much each block of n-grams counts; they sum to 1.
        cost: The weight of the loss relative to the penalty.
    """

    block_weights: tuple[float, ...]
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFit:
    """A fitted model of texts.

    Attributes:
        model: The model, which has learned from all training users.
        settings: What was chosen, by trait.
        held_out: The logits of users by models that have not learned from them.
    """

    model: TextModel
    settings: Mapping[str, TextSetting]
    held_out: HeldOut


@dataclass(frozen=True, slots=True, kw_only=True)
class TextUsers:
    """Users to learn from.

    Attributes:
        counts: The counts of all users of their manifest.
        users_N: The numbers of the users in the manifest.
        labels_NT: The class numbers of their labels.
    """

    counts: TextCounts
    users_N: NDArray[np.int64]
    labels_NT: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.users_N)


def fit_texts(
    users: TextUsers, schema: TraitSchema, spec: TextSpec, seed: int, folder: Path
) -> TextFit:
    """Fit a model of texts.

    Args:
        users: The training users; each has a text, and a label of some trait.
        schema: The traits.
        spec: What was counted.
        seed: The seed of the division of users into folds.
        folder: A folder for temporary files, which take some 100 KB per user.

    Raises:
        OSError: The temporary files cannot be written.
    """
    terms = _choose_terms(users, spec)
    weighted = Weighted.of(users.counts, users.users_N, terms, folder)
    order_N = np.random.default_rng(seed).permutation(len(users))
    similar = _Similarities.of(weighted, terms, np.sort(order_N[:MOST_BY_KERNEL]))
    trained = {
        trait.name: _fit_trait(similar, users.labels_NT[:, column], trait, order_N)
        for column, trait in enumerate(schema)
    }
    return TextFit(
        model=_model(weighted, terms, schema, trained),
        settings={name: each.setting for name, each in trained.items()},
        held_out=_held_out(users, schema, trained),
    )


@dataclass(frozen=True, slots=True)
class _Similarities:
    """The similarities of users, in memory for a sample of them, and computed for all of them.

    Attributes:
        weighted: The weighted n-grams of all users.
        terms: Which n-grams count.
        sample: The positions of the users of the sample among all users.
        kernels: The similarities of the sample by each block of n-grams.
    """

    weighted: Weighted
    terms: TermWeights
    sample: NDArray[np.int64]
    kernels: Sequence[torch.Tensor]

    @classmethod
    def of(
        cls, weighted: Weighted, terms: TermWeights, sample: NDArray[np.int64]
    ) -> "_Similarities":
        part = weighted if len(sample) == len(weighted) else weighted.take(sample)
        return cls(weighted, terms, sample, block_kernels(part, terms.block_starts))

    def multiply_sample(self, block_weights: Sequence[float]) -> Multiply:
        """Return how to multiply by the similarities of the sample."""
        kernel = torch.full_like(self.kernels[0], _BIAS)
        for weight, each in zip(block_weights, self.kernels, strict=True):
            if weight:
                kernel.add_(each, alpha=weight)
        return lambda matrix: kernel @ matrix

    def multiply_all(self, block_weights: Sequence[float]) -> Multiply:
        """Return how to multiply by the similarities of all users."""
        if len(self.sample) == len(self.weighted):
            return self.multiply_sample(block_weights)
        scaled = self.weighted.scaled(_scales(self.terms, block_weights))

        def multiply(matrix: torch.Tensor) -> torch.Tensor:
            product = torch.empty_like(matrix)
            for first in range(0, matrix.shape[1], _COLUMNS_AT_ONCE):
                columns = slice(first, first + _COLUMNS_AT_ONCE)
                product[:, columns] = scaled.kernel_times(matrix[:, columns])
            return product.add_(matrix.sum(dim=0), alpha=_BIAS)

        return multiply


@dataclass(frozen=True, slots=True)
class _TrainedTrait:
    """The coefficients of a trait, and the logits of users who were held out.

    Attributes:
        setting: What was chosen.
        coefficients_NK: What each user contributes to each class, in the model of all users.
        held_out: The positions of the users who were held out.
        logits_HK: Their logits.
    """

    setting: TextSetting
    coefficients_NK: torch.Tensor
    held_out: NDArray[np.int64]
    logits_HK: torch.Tensor


def _choose_terms(users: TextUsers, spec: TextSpec) -> TermWeights:
    """Choose the n-grams that occur in the texts of enough users."""
    frequencies = np.zeros(spec.buckets, np.int64)
    for user in users.users_N.tolist():
        frequencies[users.counts.of_user(user).buckets_J] += 1  # each occurs once per user
    buckets = np.flatnonzero(frequencies >= _FEWEST_USERS_PER_TERM)
    idf = np.log((1 + len(users)) / (1 + frequencies[buckets])) + 1
    return TermWeights(spec=spec, buckets_F=buckets.astype(np.uint32), idf_F=idf.astype(np.float32))


def _fit_trait(
    similar: _Similarities, labels_N: NDArray[np.int64], trait: Trait, order_N: NDArray[np.int64]
) -> _TrainedTrait:
    """Choose the settings of a trait, learn from all users, and score each by another model."""
    users = len(labels_N)
    folds_N = np.empty(users, np.int64)
    folds_N[order_N] = np.arange(users) % FOLDS
    setting = _choose(similar, labels_N, trait, folds_N % _FOLDS_TO_CHOOSE)
    known_N = labels_N != UNKNOWN
    folds = range(FOLDS)
    if len(similar.sample) < users:  # one fold is enough, and all would take as much memory again
        folds = range(1)
    learns = [known_N, *(known_N & (folds_N != fold) for fold in folds)]
    multiply = similar.multiply_all(setting.block_weights)
    problems = _problems(labels_N, learns, [setting.cost] * len(learns), trait)
    solutions = corrected(solve(problems, multiply), _directions(learns, multiply), multiply)
    held_out = np.flatnonzero(known_N & (folds_N < len(folds)))
    logits = solutions.logits_BNK[1 + folds_N[held_out], held_out]
    return _TrainedTrait(setting, solutions.coefficients_BNK[0], held_out, logits)


def _problems(
    labels_N: NDArray[np.int64],
    learns: Sequence[NDArray[np.bool_]],
    costs: Sequence[float],
    trait: Trait,
) -> Problems:
    return Problems(
        torch.from_numpy(np.where(labels_N == UNKNOWN, 0, labels_N)),
        torch.from_numpy(np.stack(learns)),
        torch.tensor(costs),
        len(trait.classes),
    )


def _directions(learns: Sequence[NDArray[np.bool_]], multiply: Multiply) -> list[SharedDirections]:
    """Return the shared directions of several sets of users to learn from."""
    return [SharedDirections.of(torch.from_numpy(each), multiply) for each in learns]


def _choose(
    similar: _Similarities, labels_N: NDArray[np.int64], trait: Trait, folds_N: NDArray[np.int64]
) -> TextSetting:
    """Return the setting under which the labels of held-out users are most probable.

    The weights of the blocks of texts are chosen first, and then that of each field of profiles.
    """
    labels_S, folds_S = labels_N[similar.sample], folds_N[similar.sample]
    known = np.flatnonzero(labels_S != UNKNOWN)
    learns = [(labels_S != UNKNOWN) & (folds_S != fold) for fold in range(_FOLDS_TO_CHOOSE)]
    labels = torch.from_numpy(labels_S[known])

    def try_out(weights: Sequence[float]) -> tuple[float, TextSetting]:
        """Return the smallest loss with some weights of blocks, and the setting."""
        block_weights = tuple(each / sum(weights) for each in weights)
        problems = _problems(
            labels_S, learns * len(_COSTS), np.repeat(_COSTS, len(learns)).tolist(), trait
        )
        multiply = similar.multiply_sample(block_weights)
        directions = _directions(learns, multiply) * len(_COSTS)
        solutions = corrected(solve(problems, multiply), directions, multiply)
        logits = solutions.logits_BNK.reshape(
            len(_COSTS), len(learns), *solutions.logits_BNK.shape[1:]
        )
        losses = []
        for each in logits[:, folds_S[known], known]:
            temperature = calibrate(each, labels).temperature
            losses.append(float(cross_entropy(each / temperature, labels)))
        best = int(np.argmin(losses))
        return losses[best], TextSetting(block_weights, _COSTS[best])

    blocks = similar.terms.spec.blocks
    best = min(map(try_out, _text_weights(blocks)), key=itemgetter(0))
    for source in PROFILE_FIELDS:
        if source in similar.terms.spec.sources:
            start = best[1].block_weights
            others = [_with_factor(start, blocks, source, factor) for factor in _FACTORS]
            # A weight of 0 for all blocks would leave nothing to learn from.
            tried = [try_out(weights) for weights in others if any(weights)]
            best = min([best, *tried], key=itemgetter(0))
    return best[1]


def _text_weights(blocks: Sequence[NgramBlock]) -> list[tuple[float, ...]]:
    """Return the weights of blocks to choose from; all blocks of profiles weigh 1.

    Those of texts are single words, pairs of words, and characters.
    """
    choices: list[tuple[float, ...]] = [
        (1, 1, 1),
        (2, 1, 1),
        (4, 1, 1),
        (1, 1, 2),
        (2, 0, 1),
        (1, 0, 1),
        (1, 0, 2),
    ]
    of_texts = sum(block.source == "texts" for block in blocks)
    if of_texts != len(choices[0]):
        choices = [(1.0,) * of_texts]
    own = (1.0,) * (len(blocks) - of_texts)
    return [choice + own for choice in choices]  # blocks of texts come first


def _with_factor(
    weights: Sequence[float], blocks: Sequence[NgramBlock], source: Source, factor: float
) -> list[float]:
    """Return the weights of blocks, with those of a source multiplied by a factor."""
    pairs = zip(weights, blocks, strict=True)
    return [each * factor if block.source == source else each for each, block in pairs]


def _scales(terms: TermWeights, block_weights: Sequence[float]) -> torch.Tensor:
    """Return a factor per n-gram, with which similarities are those of blocks as they count."""
    lengths = np.diff(np.append(terms.block_starts, len(terms.buckets_F)))
    return torch.from_numpy(np.repeat(np.sqrt(block_weights), lengths).astype(np.float32))


def _model(
    weighted: Weighted,
    terms: TermWeights,
    schema: TraitSchema,
    trained: Mapping[str, _TrainedTrait],
) -> TextModel:
    weights, biases = [], []
    for each in trained.values():
        scales_F = _scales(terms, each.setting.block_weights)
        # Once as a factor of the user's own weights, and once of those of the training users.
        weights.append(
            scales_F[:, None] * weighted.scaled(scales_F).transposed_times(each.coefficients_NK)
        )
        biases.append(_BIAS * each.coefficients_NK.sum(dim=0))
    return TextModel(
        terms=terms,
        classes={trait.name: len(trait.classes) for trait in schema},
        weights_FK=torch.cat(weights, dim=1).numpy().astype(np.float16),
        biases_K=torch.cat(biases).numpy(),
    )


def _held_out(
    users: TextUsers, schema: TraitSchema, trained: Mapping[str, _TrainedTrait]
) -> HeldOut:
    """Return the logits of all users who were held out for some trait."""
    every = np.unique(np.concatenate([each.held_out for each in trained.values()]))
    logits = {}
    for trait in schema:
        own = trained[trait.name]
        rows = torch.zeros(len(every), len(trait.classes))
        rows[np.searchsorted(every, own.held_out)] = own.logits_HK
        logits[trait.name] = rows
    return HeldOut(users.users_N[every], users.labels_NT[every], logits)
