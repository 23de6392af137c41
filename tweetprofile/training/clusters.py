"""Clusters of similar images, with which the head `clusters` begins.

Spherical k-means (Dhillon, Modha 2001): a cluster is the images whose embeddings have about the
same direction. Centres begin at images that are far from each other (k-means++, Arthur and
Vassilvitskii 2007).

Shapes: M images, C features, K clusters.
"""

import numpy as np
import torch
from torch.nn.functional import normalize

from tweetprofile.networks import EmbeddingHead
from tweetprofile.training.cache import Subset

_MOST_IMAGES = 20_000
"""The number of images that clusters are found in, drawn at random from more."""

_ROUNDS = 15


def place_clusters(head: EmbeddingHead, users: Subset) -> None:
    """Let a head begin with the clusters of the images that it learns from.

    Args:
        head: The head, whose standardisation is set.
        users: The users to learn from.
    """
    frames = np.unique(users.frames)
    drawn = torch.randperm(len(frames))[:_MOST_IMAGES].sort().values.numpy()
    embeddings = torch.from_numpy(users.cache.items_M[frames[drawn], 0])
    head.place_clusters(find_centres(head.standardised(embeddings), head.spec.hidden))


def find_centres(points_MC: torch.Tensor, clusters: int) -> torch.Tensor:
    """Return the direction of each cluster's centre: (K, C) of length 1.

    Args:
        points_MC: The embeddings, drawn from with torch's random numbers.
        clusters: K, the number of clusters.
    """
    points_MC = normalize(points_MC, dim=1)
    centres_KC = _spread(points_MC, clusters)
    for _ in range(_ROUNDS):
        nearest_M = (points_MC @ centres_KC.T).argmax(dim=1)
        sums_KC = torch.zeros_like(centres_KC).index_add_(0, nearest_M, points_MC)
        empty_K = sums_KC.norm(dim=1) == 0
        centres_KC = torch.where(empty_K[:, None], centres_KC, normalize(sums_KC, dim=1))
    return centres_KC


def _spread(points_MC: torch.Tensor, clusters: int) -> torch.Tensor:
    """Draw points, each with a probability that grows with its distance from those before."""
    drawn = [points_MC[int(torch.randint(len(points_MC), ()))]]
    nearest_M = points_MC @ drawn[0]
    for _ in range(clusters - 1):
        distance_M = (1 - nearest_M).clamp(min=1e-6)
        drawn.append(points_MC[int(torch.multinomial(distance_M, 1))])
        nearest_M = torch.maximum(nearest_M, points_MC @ drawn[-1])
    return torch.stack(drawn)
