"""Checkpoints: one safetensors file that holds weights, and as JSON in its header all the rest.

Loading one never runs code: the file is numbers and text, whatever it claims. Everything that
predicting needs besides images is inside: network, volumes, traits and classes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from tweetprofile.checkpoints.header import FORMAT, CheckpointHeader, format_of
from tweetprofile.checkpoints.tensors import TensorKind, first_not_finite, open_tensors
from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.protection import is_earlier
from tweetprofile.data.files.provenance import Kind
from tweetprofile.errors import CheckpointError, InputError, OutputError
from tweetprofile.networks import (
    AnyNetwork,
    Ensemble,
    NetworkSpec,
    build_ensemble,
    build_network,
    fold_normalisation,
)
from tweetprofile.traits import TraitSchema
from tweetprofile.untrusted.fields import FieldError, finite, parse_json
from tweetprofile.untrusted.text import printable, shorten
from tweetprofile.volumes.spec import VolumeSpec

_HEADER_KEY = "tweetprofile"


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
    header = CheckpointHeader(
        network.spec,
        len(network.members) if isinstance(network, Ensemble) else 1,
        network.volume_spec,
        network.schema,
        finite(training),
        dict.fromkeys(network.schema.names, 1.0) | dict(temperatures or {}),
    )
    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    data = save(state, metadata={_HEADER_KEY: json.dumps(header.to_dict(), allow_nan=False)})
    try:
        write_atomically(path, data, is_earlier(Kind.MODEL))
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}; choose another place."
        ) from error


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Load a checkpoint, having checked that header and weights fit together.

    The file is opened once: what is checked, what is hashed and what is loaded are the same bytes,
    whatever becomes of its name meanwhile.

    Raises:
        CheckpointError: missing, foreign, damaged or of a newer format; says which.
    """
    path = Path(path)
    try:
        with open_tensors(path) as file:
            header = _parse_header(path, file.metadata)
            _check_kinds(path, header, file.kinds)
            state, sha256 = file.read()
    except FileNotFoundError:
        raise CheckpointError(
            f"checkpoint {path} does not exist; give the path of a model file."
        ) from None
    except (FieldError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({_reason(error)}); give one that "
            "'tweetprofile train' wrote."
        ) from None
    _check_numbers(path, state)
    return Checkpoint(
        path,
        sha256,
        header.network_spec,
        header.members,
        header.volume_spec,
        header.schema,
        header.training,
        header.temperatures,
        state,
    )


def _parse_header(path: Path, metadata: Mapping[str, str]) -> CheckpointHeader:
    if _HEADER_KEY not in metadata:
        raise CheckpointError(
            f"{path} holds weights but was not written by tweetprofile; give one that "
            "'tweetprofile train' wrote."
        )
    try:
        data = parse_json(metadata[_HEADER_KEY], "its header")
        if (version := format_of(data)) > FORMAT:
            raise CheckpointError(
                f"{path} has format {version} and this tweetprofile reads up to {FORMAT}; upgrade "
                "it."
            )
        return CheckpointHeader.from_dict(data)
    except CheckpointError:
        raise
    except (FieldError, InputError) as error:
        reason = shorten(str(error).rstrip("."), 500)
        raise CheckpointError(
            f"{path} has a header that makes no sense: {reason}; train it anew."
        ) from None


def _check_kinds(path: Path, header: CheckpointHeader, found: Mapping[str, TensorKind]) -> None:
    """Compare names and shapes with what the specs ask for, before any memory is given to them."""
    wanted = _wanted_kinds(header)
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise CheckpointError(
                f"{path}: weight '{printable(name, 200)}' is {found.get(name, 'missing')} where "
                f"its header asks for {wanted.get(name, 'none')}; train it anew."
            )


def _wanted_kinds(header: CheckpointHeader) -> dict[str, TensorKind]:
    """Those of a member, under the names that each has in an ensemble: members are built alike."""
    with torch.device("meta"):
        network = build_network(header.network_spec, header.volume_spec, header.schema)
    kinds = {name: TensorKind.of(tensor) for name, tensor in network.state_dict().items()}
    if header.members == 1:
        return kinds
    return {
        f"members.{number}.{name}": kind
        for number in range(header.members)
        for name, kind in kinds.items()
    }


def _check_numbers(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Refuse weights by which every prediction would be no number."""
    name = first_not_finite(state)
    what = "holds numbers that are infinite or none (NaN)"
    if name is None:
        name = next((name for name, each in state.items() if _is_negative(name, each)), None)
        what = "holds negative variances"
    if name is not None:
        raise CheckpointError(f"{path}: weight '{printable(name, 200)}' {what}; train it anew.")


def _is_negative(name: str, tensor: torch.Tensor) -> bool:
    return name.endswith("running_var") and bool(tensor.min() < 0)


def _reason(error: Exception) -> str:
    return shorten(getattr(error, "strerror", None) or str(error), 500).rstrip(".")
