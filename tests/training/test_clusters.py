"""Clusters: they are where the images are, and any number of images will do."""

import torch

from tweetprofile.training.clusters import find_centres


def test_centres_are_where_points_are() -> None:
    torch.manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(4, 64), dim=1)
    points = (directions[:, None] + 0.05 * torch.randn(4, 50, 64)) * torch.rand(4, 50, 1) * 9
    centres = find_centres(points.flatten(0, 1), 4)
    cosines = centres @ directions.T
    assert sorted(cosines.argmax(dim=1).tolist()) == [0, 1, 2, 3]
    assert (cosines.amax(dim=1) > 0.99).all()


def test_fewer_points_than_clusters_leave_some_clusters_alike() -> None:
    torch.manual_seed(0)
    points = torch.eye(3, 8)
    centres = find_centres(points, 6)
    assert centres.shape == (6, 8)
    assert torch.allclose(centres.norm(dim=1), torch.ones(6))
    assert (centres @ points.T).amax(dim=0).eq(1).all()


def test_points_without_a_direction_do_no_harm() -> None:
    assert find_centres(torch.zeros(5, 4), 2).isfinite().all()
