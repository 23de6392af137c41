"""Fitting how images and texts are combined, on users whom both parts held out.

Shapes: N users, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.scoring.calibration import calibration_error, reliability_bins
from tweetprofile.scoring.fusion import Fusion
from tweetprofile.scoring.traits import TraitScore, score_traits
from tweetprofile.training.calibration import TemperatureFit, calibrate
from tweetprofile.training.held_out import HeldOut
from tweetprofile.traits import TraitSchema

_STEPS = 50
_PULL = 1.0
"""How strongly weights are drawn to 1, those of independent evidence, in users; it decides only if
there are few users."""

_LARGEST_WEIGHT = 10.0

Probabilities = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionFit:
    """How images and texts are combined, and how good either and both are on the same users.

    Attributes:
        fusion: How each trait combines them.
        users: The number of held-out users who have both.
        scores: The scores by `images`, by `texts` and by `both`, each by trait.
        calibration: The calibration errors of both together: with the weights of independent
            evidence, and with the fitted ones.
    """

    fusion: Mapping[str, Fusion]
    users: int
    scores: Mapping[str, Mapping[str, TraitScore]]
    calibration: Mapping[str, TemperatureFit]


def fit_fusion(
    by_images: HeldOut, by_texts: HeldOut, train_labels: NDArray[np.int64], schema: TraitSchema
) -> FusionFit:
    """Fit the fusion of every trait on the users whom both parts held out.

    Args:
        by_images: The logits of held-out users by images.
        by_texts: The logits of held-out users by texts.
        train_labels: The class numbers of the training users (M, traits), which give the priors.
        schema: The traits.
    """
    images, texts = by_images.mean(), by_texts.mean()
    users = np.intersect1d(images.users_R, texts.users_R)
    images, texts = _rows_of(images, users), _rows_of(texts, users)
    each = {"images": _calibrated(images, schema), "texts": _calibrated(texts, schema)}
    fusion: dict[str, Fusion] = {}
    calibration: dict[str, TemperatureFit] = {}
    both: dict[str, NDArray[np.float32]] = {}
    for column, trait in enumerate(schema):
        labels = images.labels_RT[:, column]
        parts = each["images"][trait.name], each["texts"][trait.name]
        prior = class_shares(train_labels[:, column], len(trait.classes))
        fusion[trait.name] = _fit(*parts, labels, prior)
        both[trait.name] = fusion[trait.name].combine(*parts)
        plain = Fusion(1.0, 1.0, prior).combine(*parts)
        known = labels != UNKNOWN
        before, after = (_error(rows[known], labels[known]) for rows in (plain, both[trait.name]))
        calibration[trait.name] = TemperatureFit(1.0, before, after, int(known.sum()))
    return FusionFit(
        fusion=fusion,
        users=len(users),
        scores={
            name: _scores(rows, images.labels_RT, train_labels, schema)
            for name, rows in {**each, "both": both}.items()
        },
        calibration=calibration,
    )


def _rows_of(held_out: HeldOut, users: NDArray[np.int64]) -> HeldOut:
    """Return the rows of these users, in their order; there is one row per user."""
    order = np.argsort(held_out.users_R)
    rows = order[np.searchsorted(held_out.users_R[order], users)]
    logits = {name: each[torch.from_numpy(rows)] for name, each in held_out.logits.items()}
    return HeldOut(users, held_out.labels_RT[rows], logits)


def _calibrated(held_out: HeldOut, schema: TraitSchema) -> dict[str, NDArray[np.float32]]:
    """Return probabilities of the users, with a temperature that is fitted on them."""
    probabilities = {}
    for column, trait in enumerate(schema):
        labels = torch.from_numpy(held_out.labels_RT[:, column])
        known = labels != UNKNOWN
        logits = held_out.logits[trait.name].float()
        temperature = calibrate(logits[known], labels[known]).temperature
        probabilities[trait.name] = (logits / temperature).softmax(dim=1).numpy()
    return probabilities


def class_shares(labels: NDArray[np.int64], classes: int) -> tuple[float, ...]:
    """Return the share of users in each class; one without a user counts as if it had one."""
    counts = np.maximum(np.bincount(labels[labels != UNKNOWN], minlength=classes), 1)
    return tuple((counts / counts.sum()).tolist())


def _fit(
    by_images_NK: NDArray[np.float32],
    by_texts_NK: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    prior: tuple[float, ...],
) -> Fusion:
    """Return the weights, at least 0, under which labels are most probable (Newton's method)."""
    known = labels_N != UNKNOWN
    labels = labels_N[known]
    logs = [
        np.log(np.maximum(rows[known].astype(np.float64), 1e-6)) - np.log(prior)
        for rows in (by_images_NK, by_texts_NK)
    ]
    evidence_NKE = np.stack(logs, axis=2)
    weights = np.ones(2)
    for _ in range(_STEPS):
        logits = np.log(prior) + evidence_NKE @ weights
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        means_NE = np.einsum("nk,nke->ne", shares, evidence_NKE)
        own_NE = evidence_NKE[np.arange(len(labels)), labels]
        gradient = (means_NE - own_NE).sum(axis=0) + _PULL * (weights - 1)
        squares = np.einsum("nk,nke,nkf->ef", shares, evidence_NKE, evidence_NKE)
        hessian = squares - means_NE.T @ means_NE + _PULL * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights = np.clip(weights - step, 0.0, _LARGEST_WEIGHT)
        if np.abs(step).max() < 1e-6:
            break
    return Fusion(float(weights[0]), float(weights[1]), prior)


def _scores(
    probabilities: Probabilities,
    labels: NDArray[np.int64],
    train_labels: NDArray[np.int64],
    schema: TraitSchema,
) -> dict[str, TraitScore]:
    guesses = np.stack([probabilities[name].argmax(axis=1) for name in schema.names], axis=1)
    return score_traits(schema, guesses, labels, train_labels)


def _error(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    return calibration_error(reliability_bins(confidence, right))
