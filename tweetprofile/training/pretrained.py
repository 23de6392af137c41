"""Weights to start from: a 2D backbone's for the order-free networks, or an earlier checkpoint.

A file of torchvision's layout (`resnet18`, `vgg16_bn` and their like, saved as safetensors) fills
the part that frames go through; a checkpoint of this package fills everything but heads of other
traits, from its last member where it has several. Nothing is fitted silently: what the file lacks,
and what it has too much, is named.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from tweetprofile.checkpoints.tensors import first_not_finite, open_tensors
from tweetprofile.errors import CheckpointError
from tweetprofile.networks import DeepSet, Network
from tweetprofile.untrusted.fields import FieldError
from tweetprofile.untrusted.text import printable

_MEMBER = re.compile(r"members\.(\d+)\.")
"""What the names of an ensemble's weights begin with."""


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """What became of a file of weights.

    Attributes:
        loaded: tensors taken from it.
        missing: of the network, not in the file: they begin at random.
        unexpected: in the file, of no use to the network, or of another shape.
    """

    loaded: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def load_weights(network: Network, path: Path) -> LoadedWeights:
    """Fill a network from a file, as far as names and shapes agree.

    Images are normalised as everywhere here, by one mean and spread for all channels; those of
    torchvision differ from them by a sixth of a unit at most, which training makes up for.

    Raises:
        CheckpointError: no safetensors file, nothing in it fits, or a weight is not finite.
    """
    given = _last_member(_read(path))
    wanted = network.state_dict()
    names = _match(given, wanted, network)
    fitting = {name: key for name, key in names.items() if given[key].shape == wanted[name].shape}
    if not any(name.endswith("weight") for name in fitting):
        raise CheckpointError(
            f"--init {path}: none of its {len(given)} weights fits {network.spec.name}; give a "
            "checkpoint of the same network or, for the deepset ones, torchvision weights of its "
            "backbone."
        )
    weights = {name: given[key] for name, key in fitting.items()}
    if (name := first_not_finite(weights)) is not None:
        raise CheckpointError(
            f"--init {path}: its weight '{printable(fitting[name], 200)}' holds numbers that are "
            "infinite or none (NaN); give another file."
        )
    network.load_state_dict(weights, strict=False)
    # A count of batches is no weight, and older files lack it.
    missing = (name for name in wanted if name not in fitting and not name.endswith("_tracked"))
    unexpected = sorted(given.keys() - set(fitting.values()))
    return LoadedWeights(len(fitting), tuple(missing), tuple(unexpected))


def _match(
    given: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], network: Network
) -> dict[str, str]:
    """Names of the network's tensors to the names in the file."""
    prefix = ""
    if isinstance(network, DeepSet) and not any(name.startswith("backbone.") for name in given):
        prefix = "backbone."
    # Some save a network that was wrapped for several GPUs.
    names = {prefix + key.removeprefix("module."): key for key in given}
    return {name: key for name, key in names.items() if name in wanted}


def _last_member(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Of a file of several networks, those of the one that learnt longest."""
    numbers = [int(found[1]) for name in given if (found := _MEMBER.match(name))]
    if not numbers:
        return given
    prefix = f"members.{max(numbers)}."
    return {
        name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)
    }


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        with open_tensors(path) as file:
            return file.read()[0]
    except (FieldError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"--init {path} is no readable safetensors file ({reason}); save the weights with "
            "safetensors.torch.save_file."
        ) from None
