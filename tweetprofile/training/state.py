"""The state of a training, written after every epoch so that an interrupted run can be resumed.

It is one safetensors file with the weights, their average, the kept weights and the optimiser's
moments. Its header holds the epoch, the metrics of the kept weights and the settings as JSON.
Random number generators are not saved: an epoch draws from the seed and its own number.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

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
from tweetprofile.plurals import count_of
from tweetprofile.scoring.epochs import read_metrics
from tweetprofile.training.best_weights import KeptWeights, Tensors
from tweetprofile.training.same_settings import differing_settings
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
"""The name of the file in the folder of an unfinished run."""


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """A training after an epoch.

    Attributes:
        settings: The settings of the run; only a run with the same ones can resume it.
        epoch: The number of the last finished epoch.
        epochs: The number of epochs of the whole run.
        kept: The best weights of each member that has begun.
        network: The weights of the network.
        average: The average of the weights, which is validated.
        optimiser: The moments of the optimiser, by parameter and name.
    """

    settings: Mapping[str, Any]
    epoch: int
    epochs: int
    kept: Sequence[KeptWeights]
    network: Tensors = field(repr=False)
    average: Tensors = field(repr=False)
    optimiser: Tensors = field(repr=False)

    def copied(self) -> "TrainingState":
        """Return a copy on the host, which later steps do not change, and which can be written."""
        return replace(
            self,
            kept=[KeptWeights(each.metrics, _copied(each.weights)) for each in self.kept],
            network=_copied(self.network),
            average=_copied(self.average),
            optimiser=_copied(self.optimiser),
        )

    def write(self, folder: Path) -> None:
        """Write a copied state; the file appears complete or not at all.

        Args:
            folder: The run folder.

        Raises:
            WriteError: The file cannot be written, for example because the disk is full.
        """
        tensors = {
            f"{part}/{name}": tensor
            for part in _PARTS
            for name, tensor in getattr(self, part).items()
        }
        for number, kept in enumerate(self.kept):
            tensors |= {f"{_kept(number)}/{name}": value for name, value in kept.weights.items()}
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
                f"cannot write the state of the run to {folder} ({error}); make room there, then "
                "run the same command with `resume=True`."
            ) from error

    @classmethod
    def load(cls, folder: Path) -> "TrainingState | None":
        """Read the state of an unfinished run; None if the folder has none.

        Args:
            folder: The run folder.

        Raises:
            OutputError: The file is damaged.
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
            KeptWeights(metrics, _part(tensors, _kept(number)))
            for number, metrics in enumerate(found["kept"])
        ]
        return cls(
            settings=found["settings"],
            epoch=found["epoch"],
            epochs=found["epochs"],
            kept=kept,
            network=_part(tensors, "network"),
            average=_part(tensors, "average"),
            optimiser=_part(tensors, "optimiser"),
        )

    def restore(
        self,
        folder: Path,
        network: Network,
        average: Network,
        optimiser: torch.optim.Optimizer,
    ) -> None:
        """Fill a network, the average of its weights and its optimiser.

        Args:
            folder: The run folder, for errors.
            network: The network to fill.
            average: The network of the averaged weights.
            optimiser: The optimiser of the network's parameters.

        Raises:
            OutputError: The state is damaged or belongs to another network; nothing was filled.
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
            raise FieldError(
                f"it has {count_of(len(self.kept), 'member')} after epoch {self.epoch}"
            )
        wanted = _kinds(network.state_dict())
        for tensors in (self.network, self.average, *(kept.weights for kept in self.kept)):
            if _kinds(tensors) != wanted:
                raise FieldError(f"its weights are not those of {network.spec.name}")
            if (name := first_not_finite(tensors)) is not None:
                raise FieldError(f"its weight '{name}' has values that are not finite")
        _check_moments(optimiser, self.optimiser)


class StateWriter:
    """Writes states in a thread, while the next epoch runs; `with` waits for the last one.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state")
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait until everything is written, also if the training failed or was interrupted.

        Raises:
            WriteError: The last state could not be written, and the block raised nothing else.
        """
        self._thread.shutdown()
        if kind is None:
            self._wait()

    def save(self, state: TrainingState) -> None:
        """Copy a state, whose tensors change in the next epoch, and begin to write it.

        Raises:
            WriteError: The state before it could not be written.
        """
        copied = state.copied()
        self._wait()
        self._last = self._thread.submit(copied.write, self._folder)

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()


def require_same(settings: Mapping[str, Any], before: Mapping[str, Any], folder: Path) -> None:
    """Check that the run in a folder has the settings of this one.

    Args:
        settings: The settings of this run.
        before: The settings of the run in the folder.
        folder: The run folder.

    Raises:
        OutputError: A setting differs.
    """
    if others := differing_settings(settings, before):
        raise OutputError(
            f"{folder} holds a run with another {', '.join(others)}; give the same options, or "
            "pass `overwrite=True` to start again."
        )


_PARTS = ("network", "average", "optimiser")

_READERS = {
    "settings": mapping,
    "epoch": whole,
    "epochs": whole,
    "kept": list_of(read_metrics),
}
"""The fields of the header."""


def _unusable(folder: Path, error: Exception) -> OutputError:
    return OutputError(
        f"{folder / STATE} cannot be resumed from ({error}); pass `overwrite=True` to start again."
    )


def _kinds(tensors: Tensors) -> dict[str, TensorKind]:
    return {name: TensorKind.of(tensor) for name, tensor in tensors.items()}


def _kept(number: int) -> str:
    """Return the prefix of the kept weights of a member."""
    return f"kept-{number}"


def _copied(tensors: Tensors) -> Tensors:
    return {
        name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }


def _part(tensors: Tensors, part: str) -> dict[str, torch.Tensor]:
    prefix = f"{part}/"
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the moments of an optimiser as tensors by name."""
    state = optimiser.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, values in state.items()
        for name, value in values.items()
    }


_MOMENTS = ({"step", "exp_avg", "exp_avg_sq"}, {"step", "momentum"})
"""The moments per parameter: those of Adam, and those of Muon."""


def _check_moments(optimiser: torch.optim.Optimizer, moments: Tensors) -> None:
    parameters = [each for group in optimiser.param_groups for each in group["params"]]
    names: dict[str, set[str]] = {str(number): set() for number in range(len(parameters))}
    for key, tensor in moments.items():
        number, _, name = key.partition(".")
        if number not in names or name not in set().union(*_MOMENTS):
            raise FieldError(f"its optimiser has no moment '{printable(key, 100)}'")
        if name != "step" and tensor.shape != parameters[int(number)].shape:
            raise FieldError(f"the moment '{key}' of its optimiser has the wrong shape")
        if name == "step" and tensor.numel() != 1:
            raise FieldError(f"the moment '{key}' of its optimiser is not a single number")
        names[number].add(name)
    if any(found and found not in _MOMENTS for found in names.values()):
        raise FieldError("some moments of its optimiser are missing")
    if (wrong := first_not_finite(moments)) is not None:
        raise FieldError(f"the moment '{wrong}' of its optimiser has values that are not finite")


def restore_optimiser(optimiser: torch.optim.Optimizer, moments: Tensors) -> None:
    """Fill an optimiser of the same parameters: the inverse of `optimiser_state`.

    Moments get the layout in memory of their parameters: a GPU is asked for an operation on many
    tensors at once only if they agree in it.
    """
    parameters = [each for group in optimiser.param_groups for each in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in moments.items():
        number, _, name = key.partition(".")
        parameter = parameters[int(number)]
        is_moment = value.shape == parameter.shape
        state.setdefault(int(number), {})[name] = (
            torch.empty_like(parameter, requires_grad=False).copy_(value) if is_moment else value
        )
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
