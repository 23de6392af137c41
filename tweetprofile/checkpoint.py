"""Checkpoints: one safetensors file that holds weights, and as JSON in its header all the rest.

Loading one never runs code: the file is numbers and text, whatever it claims. Everything that
predicting needs besides images is inside: network, volumes, traits and classes.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from tweetprofile.errors import CheckpointError, InputError, OutputError
from tweetprofile.networks import (
    AnyNetwork,
    Ensemble,
    NetworkSpec,
    build_ensemble,
    fold_normalisation,
    spec_from_dict,
    spec_to_dict,
)
from tweetprofile.protection import is_earlier
from tweetprofile.provenance import Kind
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes import VolumeSpec
from tweetprofile.whole import write_whole

FORMAT = 3
"""Version of what stands in the header; raised when an older reader would misread it."""

_HEADER_KEY = "tweetprofile"

MOST_MEMBERS = 64
"""Networks of a checkpoint; a file that claims more is none of ours."""


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        path: the file.
        sha256: of the file.
        network_spec: the layers of its network, or of each of its members.
        members: networks whose mean it predicts.
        volume_spec: the volumes it takes.
        schema: the traits it predicts.
        training: how it was trained and how it scored, as JSON; for people.
        temperatures: by trait, what its logits are divided by for honest probabilities.
        state: its weights by name, as trained.
    """

    path: Path
    sha256: str
    network_spec: NetworkSpec
    members: int
    volume_spec: VolumeSpec
    schema: TraitSchema
    training: Mapping[str, Any]
    temperatures: Mapping[str, float]
    state: Mapping[str, torch.Tensor] = field(repr=False)

    @cached_property
    def network(self) -> AnyNetwork:
        """The network in eval mode, normalisation folded in: (N, 3, D, H, W) to logits a trait."""
        network = self.build()
        network.load_state_dict(self.state, assign=True)
        return fold_normalisation(network).requires_grad_(False)

    def build(self) -> AnyNetwork:
        """The network without memory for its weights."""
        with torch.device("meta"):
            return build_ensemble(self.network_spec, self.volume_spec, self.schema, self.members)


def save_checkpoint(
    path: Path,
    network: AnyNetwork,
    training: Mapping[str, Any],
    temperatures: Mapping[str, float] | None = None,
) -> None:
    """Write a network and all that describes it; the file appears whole or not at all.

    It replaces another checkpoint, and nothing else.

    Args:
        path: where to.
        network: with its weights.
        training: how they came about, as JSON.
        temperatures: by trait, above 0; 1 for a trait that has none.

    Raises:
        OutputError: the place cannot be written to.
    """
    header = {
        "format": FORMAT,
        "network": spec_to_dict(network.spec),
        "members": len(network.members) if isinstance(network, Ensemble) else 1,
        "volume": asdict(network.volume_spec),
        "schema": network.schema.to_dict(),
        "training": dict(training),
        "temperatures": dict.fromkeys(network.schema.names, 1.0) | dict(temperatures or {}),
    }
    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    data = save(state, metadata={_HEADER_KEY: json.dumps(header)})
    try:
        write_whole(path, data, is_earlier(Kind.MODEL))
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}; choose another place."
        ) from error


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Load a checkpoint, having checked that header and weights fit together.

    Raises:
        CheckpointError: missing, foreign, damaged or of a newer format; says which.
    """
    path = Path(path)
    header, state = _read(path)
    try:
        checkpoint = Checkpoint(
            path,
            _sha256(path),
            spec_from_dict(header["network"]),
            _members(header),
            VolumeSpec(**header["volume"]),
            TraitSchema.from_dict(header["schema"]),
            dict(header["training"]),
            _temperatures(header),
            state,
        )
    except KeyError as error:
        raise CheckpointError(f"{path} lacks {error} in its header; train it anew.") from None
    except (TypeError, ValueError, InputError) as error:
        raise CheckpointError(f"{path} has a header that makes no sense: {error}") from None
    _check_weights(checkpoint)
    return checkpoint


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Header and tensors by name of a safetensors file, whoever wrote it.

    Raises:
        SafetensorError: it is none, or is damaged.
        OSError: it cannot be read.
    """
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return file.metadata() or {}, tensors


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    if not path.exists():
        raise CheckpointError(f"checkpoint {path} does not exist; give the path of a model file.")
    try:
        metadata, state = read_safetensors(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}); give one that "
            "'tweetprofile train' wrote."
        ) from None
    return _parse_header(path, metadata), state


def _parse_header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if _HEADER_KEY not in metadata:
        raise CheckpointError(
            f"{path} holds weights but was not written by tweetprofile; give one that "
            "'tweetprofile train' wrote."
        )
    try:
        header = json.loads(metadata[_HEADER_KEY])
        version = int(header["format"])
    except (ValueError, TypeError, KeyError):
        raise CheckpointError(f"{path} has a damaged header; train it anew.") from None
    if version > FORMAT:
        raise CheckpointError(
            f"{path} has format {version} and this tweetprofile reads up to {FORMAT}; upgrade it."
        )
    assert isinstance(header, dict)
    return header


def _members(header: Mapping[str, Any]) -> int:
    """How many networks; formats 1 and 2 had one."""
    members = header.get("members", 1)
    if not isinstance(members, int) or not 1 <= members <= MOST_MEMBERS:
        raise ValueError(f"it has {members} members")
    return members


def _temperatures(header: Mapping[str, Any]) -> dict[str, float]:
    """By trait; format 1 had none."""
    given = header.get("temperatures", {})
    temperatures = {name: float(given.get(name, 1.0)) for name in header["schema"]}
    for name, temperature in temperatures.items():
        if not 0.0 < temperature < math.inf:
            raise ValueError(f"the temperature of '{name}' is {temperature}")
    return temperatures


def _check_weights(checkpoint: Checkpoint) -> None:
    """Compare names and shapes with what the specs ask for, before any memory is given to them."""
    wanted = {name: _kind(tensor) for name, tensor in checkpoint.build().state_dict().items()}
    found = {name: _kind(tensor) for name, tensor in checkpoint.state.items()}
    for name in wanted.keys() | found.keys():
        if wanted.get(name) != found.get(name):
            raise CheckpointError(
                f"{checkpoint.path}: weight '{name}' is {found.get(name, 'missing')} where its "
                f"header asks for {wanted.get(name, 'none')}; train it anew."
            )


def _kind(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
