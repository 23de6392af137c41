"""Initial weights: those of a 2D backbone for the order-free networks, or of an earlier checkpoint.

A file in torchvision's layout (such as `resnet18` or `vgg16_bn`, saved as safetensors) fills the
backbone. A checkpoint of this package fills everything except heads of other traits; if it has
several members, the last one is used. The result lists the weights that the file lacks, and those
that the network has no use for.
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
"""The beginning of the names of an ensemble's weights."""


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """Which weights of a file a network took.

    Attributes:
        loaded: The number of tensors taken from the file.
        missing: The network's weights that the file lacks; they begin at random.
        unexpected: The file's weights that the network lacks, or has in another shape.
    """

    loaded: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def load_weights(network: Network, path: Path) -> LoadedWeights:
    """Fill a network from a file, as far as names and shapes agree.

    The network keeps its own normalisation of images, with one mean and spread for all channels.
    torchvision's differs from it by a sixth of a unit at most, which training makes up for.

    Args:
        network: The network to fill.
        path: A safetensors file.

    Raises:
        CheckpointError: The file is not a safetensors file, nothing in it fits the network, or a
            weight is not finite.
    """
    given = _last_member(_read(path))
    wanted = network.state_dict()
    names = _match(given, wanted, network)
    fitting = {name: key for name, key in names.items() if given[key].shape == wanted[name].shape}
    if not any(name.endswith("weight") for name in fitting):
        raise CheckpointError(
            f"no weight of the `init` file {path} fits {network.spec.name}; give a checkpoint of "
            "the same network or, for a deepset network, torchvision weights of its backbone."
        )
    weights = {name: given[key] for name, key in fitting.items()}
    if (name := first_not_finite(weights)) is not None:
        raise CheckpointError(
            f"the weight '{printable(fitting[name], 200)}' of the `init` file {path} has infinite "
            "or NaN values; give another file."
        )
    network.load_state_dict(weights, strict=False)
    # The number of batches seen is not a weight, and older files lack it.
    missing = (name for name in wanted if name not in fitting and not name.endswith("_tracked"))
    unexpected = sorted(given.keys() - set(fitting.values()))
    return LoadedWeights(len(fitting), tuple(missing), tuple(unexpected))


def _match(
    given: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], network: Network
) -> dict[str, str]:
    """Map names of the network's tensors to names in the file."""
    prefix = ""
    if isinstance(network, DeepSet) and not any(name.startswith("backbone.") for name in given):
        prefix = "backbone."
    # Some files hold a network that was wrapped for several GPUs.
    names = {prefix + key.removeprefix("module."): key for key in given}
    return {name: key for name, key in names.items() if name in wanted}


def _last_member(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of the last member of an ensemble; all weights if there is no ensemble."""
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
            f"the `init` file {path} is not a readable safetensors file ({reason}); save the "
            "weights with safetensors.torch.save_file."
        ) from None
