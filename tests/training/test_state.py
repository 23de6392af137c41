"""A state is restored exactly, and a damaged one is refused before training resumes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tweetprofile.errors import OutputError, WriteError
from tweetprofile.networks import Network, build_network, network_spec
from tweetprofile.scoring.epochs import EpochMetrics
from tweetprofile.scoring.traits import TraitScore
from tweetprofile.training.best_weights import KeptWeights
from tweetprofile.training.optimisers import OptimiserName, make_optimiser
from tweetprofile.training.state import STATE, StateWriter, TrainingState, optimiser_state
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.volumes.spec import VolumeSpec

SMALL = VolumeSpec(frames=2, height=16, width=16)
MOODS = TraitSchema((Trait("mood", ("calm", "cross")),))
METRICS = EpochMetrics(
    epoch=1,
    loss=2.5,
    val_loss=float("nan"),
    scores={"mood": TraitScore(0.5, 0.4, 0.3, 6)},
    mean_macro_f1=0.4,
    learning_rate=1e-3,
    seconds=9.0,
)


def begin(name: OptimiserName) -> tuple[Network, torch.optim.Optimizer]:
    """Return a network and its optimiser after one step."""
    torch.manual_seed(0)
    network = build_network(network_spec("deepset", widths=(4,) * 4), SMALL, MOODS)
    network.initialise()
    optimiser = make_optimiser(name, network, 1e-3, 0.01)
    network(torch.randn(2, 3, *SMALL.shape))["mood"].sum().backward()
    optimiser.step()
    return network, optimiser


def write(folder: Path, network: Network, optimiser: torch.optim.Optimizer) -> None:
    weights = network.state_dict()
    moments = optimiser_state(optimiser)
    kept = [KeptWeights(METRICS, weights)]
    state = TrainingState(
        settings={"seed": 0},
        epoch=1,
        epochs=4,
        kept=kept,
        network=weights,
        average=weights,
        optimiser=moments,
    )
    with StateWriter(folder) as writer:
        writer.save(state)


def restore(folder: Path, network: Network, optimiser: torch.optim.Optimizer) -> TrainingState:
    state = TrainingState.load(folder)
    assert state is not None
    state.restore(folder, network, network, optimiser)
    return state


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_a_saved_state_is_restored(tmp_path: Path, name: OptimiserName) -> None:
    network, optimiser = begin(name)
    write(tmp_path, network, optimiser)
    before = {key: value.clone() for key, value in optimiser_state(optimiser).items()}
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    for parameter in network.parameters():
        parameter.data.zero_()
    state = restore(tmp_path, network, optimiser)
    for key, value in weights.items():
        assert torch.equal(network.state_dict()[key], value), key
    for key, value in before.items():
        assert torch.equal(optimiser_state(optimiser)[key], value), key
    assert state.kept[0].metrics.val_loss is None  # NaN is saved as null
    assert state.kept[0].metrics.scores == METRICS.scores


def state_of(network: Network, epoch: int) -> TrainingState:
    """Return the state of a training that holds its weights themselves, not a copy."""
    weights = network.state_dict()
    return TrainingState(
        settings={},
        epoch=epoch,
        epochs=4,
        kept=[KeptWeights(METRICS, weights)],
        network=weights,
        average=weights,
        optimiser={},
    )


def test_a_state_is_that_of_its_epoch_although_training_goes_on(tmp_path: Path) -> None:
    network, _ = begin("muon")
    with StateWriter(tmp_path) as writer:
        writer.save(state_of(network, 1))
        before = network.state_dict()["heads.head_mood.bias"].clone()
        for parameter in network.parameters():
            parameter.data.fill_(7)
    state = TrainingState.load(tmp_path)
    assert state is not None
    assert torch.equal(state.network["heads.head_mood.bias"], before)


def test_an_interrupted_training_has_written_its_last_state(tmp_path: Path) -> None:
    network, _ = begin("muon")
    with pytest.raises(KeyboardInterrupt), StateWriter(tmp_path) as writer:
        for epoch in (1, 2):
            writer.save(state_of(network, epoch))
        raise KeyboardInterrupt
    state = TrainingState.load(tmp_path)
    assert state is not None
    assert state.epoch == 2


def test_a_state_that_cannot_be_written_ends_the_training(tmp_path: Path) -> None:
    network, _ = begin("muon")
    gone = tmp_path / "gone"
    writer = StateWriter(gone)
    writer.save(state_of(network, 1))
    with pytest.raises(WriteError, match=r"cannot write the state of the run to .*gone"):
        writer.save(state_of(network, 2))
    with pytest.raises(WriteError, match="cannot write the state"), StateWriter(gone) as last:
        last.save(state_of(network, 1))


@pytest.mark.parametrize("name", ["adam", "muon"])
def test_restored_moments_have_the_layout_of_their_parameters(
    tmp_path: Path, name: OptimiserName
) -> None:
    network, optimiser = begin(name)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    write(tmp_path, network, optimiser)
    restore(tmp_path, network, optimiser)
    for parameter, state in optimiser.state.items():
        for moment in state.values():
            assert moment.shape != parameter.shape or moment.stride() == parameter.stride()


@pytest.mark.parametrize(
    "change",
    [
        lambda header, tensors: header.update(epoch="1"),
        lambda header, tensors: header.update(epoch=True),
        lambda header, tensors: header.update(epoch=0),
        lambda header, tensors: header.update(epoch=5),
        lambda header, tensors: header.update(kept=[]),
        lambda header, tensors: header.update(kept=[{"epoch": 1}]),
        lambda header, tensors: header.update(settings=[1]),
        lambda header, tensors: header.update(colour=1),
        lambda header, tensors: tensors.pop("network/heads.head_mood.bias"),
        lambda header, tensors: tensors.update({"average/more": torch.zeros(1)}),
        lambda header, tensors: tensors["kept-0/heads.head_mood.bias"].fill_(torch.nan),
        lambda header, tensors: tensors.update({"optimiser/0.momentum": torch.zeros(3)}),
        lambda header, tensors: tensors.update({"optimiser/x.momentum": torch.zeros(3)}),
        lambda header, tensors: tensors.update({"optimiser/0.step": torch.zeros(3)}),
        lambda header, tensors: tensors["optimiser/0.momentum"].fill_(torch.inf),
        lambda header, tensors: tensors.pop("optimiser/0.step"),
    ],
)
def test_a_damaged_state_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], None]
) -> None:
    network, optimiser = begin("muon")
    write(tmp_path, network, optimiser)
    with safe_open(tmp_path / STATE, "pt") as file:
        header = json.loads(file.metadata()["state"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(header, tensors)
    save_file(tensors, tmp_path / STATE, {"state": json.dumps(header)})
    with pytest.raises(OutputError, match=r"cannot be resumed from .* pass `overwrite=True`"):
        restore(tmp_path, network, optimiser)
