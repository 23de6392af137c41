"""The topics of images, and why users chose them, with which the head `topics` begins.

The topics are the clusters of `clusters.py`. How likely the classes of each trait make them, and
how many images each trait explains, is found by expectation maximisation (Dempster, Laird and Rubin
1977), which needs the labels of users alone.

Shapes: M images of users, K topics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tweetprofile.data.labels.reading import UNKNOWN
from tweetprofile.networks import EmbeddingHead, Topics
from tweetprofile.training.cache import Subset, embeddings_of
from tweetprofile.training.clusters import place_clusters

_MOST_IMAGES = 200_000
"""The number of images that topics are fitted to, those of users drawn at random from more."""

_ROUNDS = 60

_PRIOR = 0.5
"""The images of each topic that every class begins with, so that no topic is impossible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTopics:
    """What expectation maximisation found.

    Attributes:
        reasons: The share of the images that are chosen for no trait, and for each one.
        common_K: The probability of each topic if an image is chosen for no trait.
        chosen: The probability of each topic by class, (classes, K), of each trait.
    """

    reasons: torch.Tensor
    common_K: torch.Tensor
    chosen: tuple[torch.Tensor, ...]


def place_topics(head: EmbeddingHead, users: Subset) -> None:
    """Let a head begin with the topics of the users that it learns from.

    Args:
        head: The head, whose standardisation is set.
        users: The users to learn from.
    """
    assert isinstance(head.heads, Topics)
    place_clusters(head, users)
    frames, positions = _images_of(users)
    parts = embeddings_of(users.cache, frames)
    shares_MK = torch.cat([head.shares(torch.from_numpy(part)) for part in parts])
    frequency_K = shares_MK.mean(dim=0)
    labels = torch.from_numpy(users.labels[positions])
    classes = [len(trait.classes) for trait in head.schema]
    memberships = [memberships_of(labels[:, number], count) for number, count in enumerate(classes)]
    fitted = fit_topics(shares_MK / frequency_K.clamp(min=1e-8), memberships)
    chosen = dict(zip(head.schema.names, fitted.chosen, strict=True))
    head.heads.begin(frequency_K, fitted.reasons, fitted.common_K, chosen)


def memberships_of(labels_M: torch.Tensor, classes: int) -> torch.Tensor:
    """Return the probability of each class: (M, classes).

    It is 1 for the class of a label. Where there is no label, it is the frequency of the class.

    Args:
        labels_M: The class numbers, or `UNKNOWN`.
        classes: The number of classes.
    """
    known = labels_M != UNKNOWN
    found = torch.zeros(len(labels_M), classes)
    found[known, labels_M[known]] = 1.0
    frequency = found.sum(dim=0) + 1.0
    found[~known] = frequency / frequency.sum()
    return found


def fit_topics(ratios_MK: torch.Tensor, memberships: Sequence[torch.Tensor]) -> FittedTopics:
    """Find the probabilities under which images like these are most probable.

    Args:
        ratios_MK: How much likelier each topic makes an image than an average one.
        memberships: The probabilities of the classes of the image's user, (M, classes), of each
            trait.
    """
    nobody_M1 = ratios_MK.new_ones(len(ratios_MK), 1)  # no trait is a trait with one class
    members = [nobody_M1, *memberships]
    reasons = torch.full((len(members),), 1 / len(members))
    chosen = [_normalised(each.T @ ratios_MK + 1.0) for each in members]
    for _ in range(_ROUNDS):
        likelihoods = [
            (each * (ratios_MK @ by_class.T)).sum(dim=1)
            for each, by_class in zip(members, chosen, strict=True)
        ]
        by_reason = reasons * torch.stack(likelihoods, dim=1)
        total_M1 = by_reason.sum(dim=1, keepdim=True).clamp(min=1e-30)
        chosen = [
            _normalised(reason * by_class * (each.T @ (ratios_MK / total_M1)) + _PRIOR)
            for reason, each, by_class in zip(reasons, members, chosen, strict=True)
        ]
        reasons = (by_reason / total_M1).mean(dim=0)
    return FittedTopics(reasons=reasons, common_K=chosen[0][0], chosen=tuple(chosen[1:]))


def _images_of(users: Subset) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of frames in the cache, and of the positions of their users."""
    frames: list[np.ndarray] = []
    positions: list[np.ndarray] = []
    count = 0
    for position in torch.randperm(len(users)).tolist():
        own = users.frames_of(position)
        frames.append(own)
        positions.append(np.full(len(own), position))
        count += len(own)
        if count >= _MOST_IMAGES:
            break
    return np.concatenate(frames), np.concatenate(positions)


def _normalised(counts: torch.Tensor) -> torch.Tensor:
    return counts / counts.sum(dim=-1, keepdim=True)
