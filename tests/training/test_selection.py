"""Of each member its best epoch is kept."""

import torch

from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import TraitScore
from tweetprofile.training.recipes import Turn
from tweetprofile.training.selection import Selection

FIRST, SECOND = Turn(1, 4), Turn(5, 8)


def epoch(number: int, f1: float) -> EpochMetrics:
    scores = {"gender": TraitScore(f1, f1, 0.5, 10)}
    return EpochMetrics(number, 1.0, 1.0, scores, f1, 1e-3, 1.0)


def select(scores: list[float]) -> Selection:
    selection = Selection()
    for number, f1 in enumerate(scores, 1):
        turn, metrics = (FIRST if number <= 4 else SECOND), epoch(number, f1)
        if metrics.beats(selection.best_of(turn)):
            selection.keep(metrics, turn, {"w": torch.tensor(float(number))})
    return selection


def test_each_member_keeps_its_own_best_and_its_weights() -> None:
    selection = select([0.1, 0.2, 0.4, 0.3, 0.1, 0.1, 0.1, 0.2])
    assert [kept.metrics.epoch for kept in selection.kept] == [3, 8]
    assert [float(kept.weights["w"]) for kept in selection.kept] == [3.0, 8.0]
    assert selection.best_of(SECOND) == epoch(8, 0.2)


def test_what_is_kept_does_not_change_with_the_network() -> None:
    weights, selection = torch.zeros(2), Selection()
    selection.keep(epoch(3, 0.5), FIRST, {"w": weights})
    weights += 1
    assert not selection.kept[0].weights["w"].any()
