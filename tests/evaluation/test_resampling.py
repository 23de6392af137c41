"""Bootstrap intervals have the width of theory; only real differences are significant."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tweetprofile.evaluation import resampling
from tweetprofile.evaluation.evaluate import compare_predictions, evaluate_predictions
from tweetprofile.evaluation.metrics import score

USERS = [f"u{number}" for number in range(400)]
CLASSES = ("north", "south", "west")


def labels_and_guesses(wrong: float, seed: int = 0) -> tuple[list[str], list[int]]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, len(USERS))
    guess = np.where(random.random(len(USERS)) < wrong, (truth + 1) % 3, truth)
    return [CLASSES[number] for number in truth], guess.tolist()


@pytest.fixture
def manifest(write_labels: Callable[..., Path]) -> Path:
    return write_labels(USERS, place=labels_and_guesses(0)[0])


def test_a_bootstrap_interval_has_the_width_of_theory(
    manifest: Path, write_predictions: Callable[..., Path]
) -> None:
    guesses = labels_and_guesses(0.3)[1]
    found = evaluate_predictions(manifest, write_predictions(USERS, place=guesses))
    accuracy, interval = found.traits["place"].scores.accuracy, found.intervals["place"]["accuracy"]
    half = 1.96 * np.sqrt(accuracy * (1 - accuracy) / len(USERS))
    assert interval.low == pytest.approx(accuracy - half, abs=0.01)
    assert interval.high == pytest.approx(accuracy + half, abs=0.01)
    f1 = found.intervals["place"]["macro_f1"]
    assert f1.low < found.traits["place"].scores.macro_f1 < f1.high
    assert found.mean_interval == f1  # with one trait, the mean is that of the trait


def test_a_draw_is_scored_like_the_users_it_stands_for() -> None:
    random = np.random.default_rng(4)
    truth, guess = random.integers(0, 3, 50), random.integers(-1, 3, 50)
    draw = random.multinomial(50, np.full(50, 1 / 50), size=1)
    found = resampling._scores(draw, truth, np.where(guess < 0, -1, guess), 3)
    users = np.repeat(np.arange(50), draw[0])
    expected = score(truth[users], guess[users], 3)
    assert {name: values[0] for name, values in found.items()} == pytest.approx(
        {name: getattr(expected, name) for name in found}, abs=1e-6
    )


def test_draws_made_in_several_parts_give_the_same_intervals(
    manifest: Path, write_predictions: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = write_predictions(USERS, place=labels_and_guesses(0.3)[1])
    at_once = evaluate_predictions(manifest, out).intervals
    monkeypatch.setattr(resampling, "_CELLS", 100)
    assert evaluate_predictions(manifest, out).intervals == at_once


def test_a_better_model_is_significantly_ahead_and_an_equal_one_is_not(
    manifest: Path, write_predictions: Callable[..., Path]
) -> None:
    outs = [
        write_predictions(USERS, name=f"{name}.parquet", place=guesses)
        for name, guesses in {
            "good": labels_and_guesses(0.2)[1],
            "worse": labels_and_guesses(0.4)[1],
            "equally good": labels_and_guesses(0.2)[1],
        }.items()
    ]
    found = compare_predictions(manifest, outs)
    assert found.evaluations[found.best].name == "good"
    worse, equal = (found.behind[number].traits["place"]["accuracy"] for number in (1, 2))
    assert worse.mean == pytest.approx(0.2, abs=0.05)
    assert worse.interval.low > 0
    assert (equal.mean, equal.interval.low, equal.interval.high) == (0, 0, 0)


def test_a_paired_bootstrap_detects_small_differences(
    manifest: Path, write_predictions: Callable[..., Path]
) -> None:
    guesses = labels_and_guesses(0.3)[1]
    truth = [CLASSES.index(name) for name in labels_and_guesses(0)[0]]
    wrong = [number for number in range(len(USERS)) if guesses[number] != truth[number]]
    better = list(guesses)
    for number in wrong[:15]:
        better[number] = truth[number]
    outs = [
        write_predictions(USERS, name=f"{name}.parquet", place=each)
        for name, each in {"a": guesses, "b": better}.items()
    ]
    found = compare_predictions(manifest, outs)
    one, other = (each.intervals["place"]["accuracy"] for each in found.evaluations)
    assert one.high > other.low  # unpaired, the intervals overlap
    assert found.behind[0].traits["place"]["accuracy"].interval.low > 0
