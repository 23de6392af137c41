"""The best epoch of each member is kept."""

import torch

from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import TraitScore
from tweetprofile.training.best_weights import BestWeights
from tweetprofile.training.recipes import MemberEpochs

FIRST, SECOND = MemberEpochs(1, 4), MemberEpochs(5, 8)


def epoch(number: int, f1: float) -> EpochMetrics:
    scores = {"gender": TraitScore(f1, f1, 0.5, 10)}
    return EpochMetrics(
        epoch=number,
        loss=1.0,
        val_loss=1.0,
        scores=scores,
        mean_macro_f1=f1,
        learning_rate=1e-3,
        seconds=1.0,
    )


def select(scores: list[float]) -> BestWeights:
    best = BestWeights()
    for number, f1 in enumerate(scores, 1):
        member, metrics = (FIRST if number <= 4 else SECOND), epoch(number, f1)
        if metrics.beats(best.best_of(member)):
            best.keep(metrics, member, {"w": torch.tensor(float(number))})
    return best


def test_each_member_keeps_its_own_best_and_its_weights() -> None:
    best = select([0.1, 0.2, 0.4, 0.3, 0.1, 0.1, 0.1, 0.2])
    assert [kept.metrics.epoch for kept in best.kept] == [3, 8]
    assert [float(kept.weights["w"]) for kept in best.kept] == [3.0, 8.0]
    assert best.best_of(SECOND) == epoch(8, 0.2)


def test_kept_weights_do_not_change_with_the_network() -> None:
    weights, best = torch.zeros(2), BestWeights()
    best.keep(epoch(3, 0.5), FIRST, {"w": weights})
    weights += 1
    assert not best.kept[0].weights["w"].any()
