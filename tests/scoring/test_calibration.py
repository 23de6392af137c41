"""The calibration error is the distance between confidence and accuracy."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from tweetprofile.beside_torchvision import import_beside_torchvision
from tweetprofile.scoring.calibration import (
    BINS,
    calibration_error,
    equal_count_bins,
    reliability_bins,
)

multiclass_calibration_error = import_beside_torchvision(
    "torchmetrics.functional.classification"
).multiclass_calibration_error


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    bins = reliability_bins(np.full(10, 0.9), np.array([True] * 6 + [False] * 4))
    (only,) = bins
    assert (only.users, only.accuracy) == (10, 0.6)
    assert only.low <= only.confidence < only.high
    assert calibration_error(bins) == pytest.approx(0.3)


def test_without_users_there_is_no_bin_and_no_error() -> None:
    bins = reliability_bins(np.empty(0), np.empty(0, np.bool_))
    assert bins == ()
    assert calibration_error(bins) == 0.0


def test_full_confidence_belongs_to_the_last_bin() -> None:
    (only,) = reliability_bins(np.ones(3), np.ones(3, np.bool_))
    assert (only.low, only.high) == ((BINS - 1) / BINS, 1.0)


def test_calibration_error_agrees_with_torchmetrics() -> None:
    random = np.random.default_rng(3)
    truth, rows = random.integers(0, 3, 500), random.dirichlet(np.ones(3), 500)
    bins = reliability_bins(rows.max(axis=1), rows.argmax(axis=1) == truth)
    expected = multiclass_calibration_error(
        torch.from_numpy(rows), torch.from_numpy(truth), 3, n_bins=BINS
    )
    assert calibration_error(bins) == pytest.approx(float(expected), abs=1e-6)


def test_bins_by_equal_counts_hold_about_equally_many_users_of_rising_confidence() -> None:
    random = np.random.default_rng(5)
    confidence, right = random.random(103), random.random(103) < 0.5
    bins = equal_count_bins(confidence, right, 4)
    assert [each.users for each in bins] == [25, 26, 26, 26]
    assert all(before.high <= after.low for before, after in pairwise(bins))
    assert sum(each.users * each.accuracy for each in bins) == pytest.approx(right.sum())


def test_users_of_equal_confidence_share_a_bin() -> None:
    confidence = np.array([0.5, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 1.0])
    bins = equal_count_bins(confidence, np.ones(8, np.bool_), 4)
    assert [(each.low, each.high, each.users) for each in bins] == [(0.5, 0.5, 1), (0.9, 1.0, 7)]
    assert equal_count_bins(np.empty(0), np.empty(0, np.bool_), 4) == ()
