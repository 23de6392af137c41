"""What a run must remember to go on after it was killed: written after every epoch.

One safetensors file: weights, their mean, those that are kept, the optimiser's moments; as JSON in
its header the epoch, the metrics of what is kept and the settings. Random numbers need no place in
it: an epoch draws them from the seed and its own number.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from tweetprofile.checkpoints.header import MAX_MEMBERS
from tweetprofile.checkpoints.tensors import TensorKind, first_not_finite, open_tensors
from tweetprofile.data.files.atomic import atomic_write
from tweetprofile.data.files.protection import is_earlier
from tweetprofile.data.files.provenance import Kind
from tweetprofile.errors import OutputError, WriteError
from tweetprofile.networks import Network
from tweetprofile.scoring.epochs import read_metrics
from tweetprofile.training.selection import Kept, Tensors
from tweetprofile.untrusted.fields import (
    FieldError,
    finite,
    list_of,
    mapping,
    parse_json,
    read_fields,
    whole,
)
from tweetprofile.untrusted.text import printable

STATE = "state.safetensors"
"""Name of the file in the folder of a run that is not finished."""


@dataclass(frozen=True)
class TrainingState:
    """A training after some epoch.

    Attributes:
        settings: what the run was told; another run cannot go on with it.
        epoch: the last one that was finished.
        epochs: after how many it is to end.
        kept: the best of each member that has begun.
        network: its weights.
        average: their mean, that is validated.
        optimiser: its moments, by parameter and name.
    """

    settings: Mapping[str, Any]
    epoch: int
    epochs: int
    kept: Sequence[Kept]
    network: Tensors = field(repr=False)
    average: Tensors = field(repr=False)
    optimiser: Tensors = field(repr=False)

    def save(self, folder: Path) -> None:
        """Write it; the file appears whole or not at all.

        Raises:
            WriteError: the disk is full, say.
        """
        tensors = {
            f"{part}/{name}": tensor
            for part in _PARTS
            for name, tensor in getattr(self, part).items()
        }
        for number, kept in enumerate(self.kept):
            tensors |= {f"{_kept(number)}/{name}": value for name, value in kept.weights.items()}
        tensors = {name: _on_cpu(value) for name, value in tensors.items()}
        header = {
            "settings": dict(self.settings),
            "epoch": self.epoch,
            "epochs": self.epochs,
            "kept": [finite(asdict(kept.metrics)) for kept in self.kept],
        }
        try:
            with atomic_write(folder / STATE, is_earlier(Kind.STATE)) as unfinished:
                save_file(tensors, unfinished, {"state": json.dumps(header)})
        except (OSError, SafetensorError) as error:
            raise WriteError(
                f"{folder} cannot take what the run must remember ({error}); make room there, then "
                "give the same command with --resume."
            ) from error

    @classmethod
    def load(cls, folder: Path) -> "TrainingState | None":
        """What a run has left, or None where it left nothing.

        Raises:
            OutputError: it is damaged.
        """
        path = folder / STATE
        if not path.exists():
            return None
        try:
            with open_tensors(path) as file:
                header = parse_json(file.metadata.get("state", "null"), "its header")
                found = read_fields(header, "its header", _READERS, _READERS)
                tensors, _ = file.read()
        except (OSError, ValueError) as error:
            raise _unusable(folder, error) from None
        kept = [
            Kept(metrics, _part(tensors, _kept(number)))
            for number, metrics in enumerate(found["kept"])
        ]
        parts = {part: _part(tensors, part) for part in _PARTS}
        return cls(found["settings"], found["epoch"], found["epochs"], kept, **parts)

    def restore(
        self,
        folder: Path,
        network: Network,
        average: Network,
        optimiser: torch.optim.Optimizer,
    ) -> None:
        """Fill a network, the mean of its weights and its optimiser.

        Raises:
            OutputError: the state is of other networks, or was damaged; nothing was filled.
        """
        try:
            self._check(network, optimiser)
        except ValueError as error:
            raise _unusable(folder, error) from None
        network.load_state_dict(self.network)
        average.load_state_dict(self.average)
        restore_optimiser(optimiser, self.optimiser)

    def _check(self, network: Network, optimiser: torch.optim.Optimizer) -> None:
        if not 1 <= self.epoch <= self.epochs or not 1 <= len(self.kept) <= MAX_MEMBERS:
            raise FieldError(f"it has {len(self.kept)} members after epoch {self.epoch}")
        wanted = _kinds(network.state_dict())
        for tensors in (self.network, self.average, *(kept.weights for kept in self.kept)):
            if _kinds(tensors) != wanted:
                raise FieldError(f"its weights are not those of {network.spec.name}")
            if (name := first_not_finite(tensors)) is not None:
                raise FieldError(f"its weight '{name}' holds numbers that are infinite or none")
        _check_moments(optimiser, self.optimiser)


def require_same(settings: Mapping[str, Any], before: Mapping[str, Any], folder: Path) -> None:
    """Raise OutputError unless a run in a folder was told just what this one is."""
    given = json.loads(json.dumps(settings))
    names = sorted(given.keys() | before.keys())
    if others := [name for name in names if given.get(name) != before.get(name)]:
        raise OutputError(
            f"{folder} holds a run with another {', '.join(others)}; give the same options, or "
            "--overwrite to begin anew."
        )


_PARTS = ("network", "average", "optimiser")

_READERS = {
    "settings": mapping,
    "epoch": whole,
    "epochs": whole,
    "kept": list_of(read_metrics),
}
"""What the header of a state must hold."""


def _unusable(folder: Path, error: Exception) -> OutputError:
    return OutputError(
        f"{folder / STATE} is no state of a run that could go on ({error}); train with --overwrite."
    )


def _kinds(tensors: Tensors) -> dict[str, TensorKind]:
    return {name: TensorKind.of(tensor) for name, tensor in tensors.items()}


def _kept(number: int) -> str:
    """What the weights that are kept of a member are called."""
    return f"kept-{number}"


def _on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous().clone()


def _part(tensors: Tensors, part: str) -> dict[str, torch.Tensor]:
    prefix = f"{part}/"
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """An optimiser's moments as tensors by name."""
    state = optimiser.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, values in state.items()
        for name, value in values.items()
    }


_MOMENTS = ({"step", "exp_avg", "exp_avg_sq"}, {"step", "momentum"})
"""What an optimiser remembers of a parameter: Adam's, and Muon's."""


def _check_moments(optimiser: torch.optim.Optimizer, moments: Tensors) -> None:
    parameters = [each for group in optimiser.param_groups for each in group["params"]]
    names: dict[str, set[str]] = {str(number): set() for number in range(len(parameters))}
    for key, tensor in moments.items():
        number, _, name = key.partition(".")
        if number not in names or name not in set().union(*_MOMENTS):
            raise FieldError(f"its optimiser has no place for '{printable(key, 100)}'")
        if name != "step" and tensor.shape != parameters[int(number)].shape:
            raise FieldError(f"'{key}' of its optimiser has another shape than its weight")
        if name == "step" and tensor.numel() != 1:
            raise FieldError(f"'{key}' of its optimiser is no single number")
        names[number].add(name)
    if any(found and found not in _MOMENTS for found in names.values()):
        raise FieldError("its optimiser has lost some of what it knew")
    if (wrong := first_not_finite(moments)) is not None:
        raise FieldError(f"'{wrong}' of its optimiser holds numbers that are infinite or none")


def restore_optimiser(optimiser: torch.optim.Optimizer, moments: Tensors) -> None:
    """The inverse of `optimiser_state`, for an optimiser of the same parameters."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in moments.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
