"""The paper's recipe as published, and the default."""

from dataclasses import replace

import pytest

from tweetprofile.errors import OptionError
from tweetprofile.networks import spec_to_dict
from tweetprofile.training.recipes import RECIPES, MemberEpochs, recipe_for
from tweetprofile.training.settings import TrainOptions

PAPER = RECIPES["paper"]


def test_the_paper_recipe_is_as_published() -> None:
    assert (PAPER.optimiser, PAPER.learning_rate, PAPER.decay) == ("adam", 0.05, 0.7)
    assert (PAPER.batch_size, PAPER.epochs, PAPER.norm, PAPER.dropout) == (13, 100, "none", 0.0)
    assert PAPER.label_smoothing == PAPER.balance == PAPER.weight_decay == PAPER.average == 0.0


def test_the_papers_decay_divides_the_learning_rate_by_one_more_each_step() -> None:
    rates = [PAPER.learning_rate_at(step, 10, 100) for step in (0, 1, 10)]
    assert rates == pytest.approx([0.05, 0.05 / 1.7, 0.05 / 8])


def test_the_default_learning_rate_rises_first_and_ends_near_0() -> None:
    recipe = RECIPES["default"]
    rates = [recipe.learning_rate_at(step, 10, 50) for step in range(500)]
    assert rates[0] < 0.1 * recipe.learning_rate
    assert max(rates) == pytest.approx(recipe.learning_rate, rel=0.01)
    assert rates[-1] < 1e-3 * recipe.learning_rate
    assert rates[30:] == sorted(rates[30:], reverse=True)


def test_the_average_of_weights_forgets_the_first_steps_and_spans_its_share() -> None:
    recipe = replace(RECIPES["default"], average=0.1)
    assert recipe.average_kept(0, 5000) == 0.1
    assert recipe.average_kept(4999, 5000) == pytest.approx(1 - 1 / 500)
    assert recipe.average_kept(499, 500) == pytest.approx(1 - 1 / 50)
    assert recipe.average_kept(2, 3) == PAPER.average_kept(4999, 5000) == 0.0


def test_members_divide_the_epochs_among_them() -> None:
    two = replace(RECIPES["default"], members=2)
    assert [two.member_epochs(epoch, 5) for epoch in (1, 2, 3, 5)] == [
        MemberEpochs(1, 2, 0), MemberEpochs(1, 2, 0), MemberEpochs(3, 5, 1), MemberEpochs(3, 5, 1)
    ]  # fmt: skip


def test_there_are_at_most_as_many_members_as_epochs() -> None:
    three = replace(RECIPES["default"], members=3)
    assert three.member_epochs(1, 1) == MemberEpochs(1, 1)
    assert [three.member_epochs(epoch, 2) for epoch in (1, 2)] == [
        MemberEpochs(1, 1),
        MemberEpochs(2, 2, 1),
    ]


def test_options_override_the_recipe() -> None:
    options = TrainOptions(recipe="paper", epochs=3, model="model2")
    assert options.resolved_recipe.epochs == 3
    assert options.resolved_recipe.learning_rate == 0.05
    assert TrainOptions(members=3).resolved_recipe.members == 3
    assert options.resolved.batch_size == 13
    assert spec_to_dict(options.network_spec)["norm"] == "none"
    assert TrainOptions().resolved.model == "deepset"
    assert spec_to_dict(TrainOptions(model="model1").network_spec)["norm"] == "batch"


def test_the_default_varies_3d_cnns_less() -> None:
    volumes, frames = recipe_for("default", "model2"), recipe_for("default")
    assert (volumes.model, frames.model) == ("model2", "deepset")
    assert volumes.learning_rate < frames.learning_rate
    assert volumes.augment.mix < frames.augment.mix
    assert volumes.augment.crop > frames.augment.crop
    assert TrainOptions(model="model1").resolved.learning_rate == volumes.learning_rate
    assert recipe_for("paper", "model1") == recipe_for("paper") == PAPER


def test_a_residual_network_without_normalisation_is_refused() -> None:
    with pytest.raises(OptionError, match="deepset needs normalisation"):
        _ = TrainOptions(norm="none").network_spec
