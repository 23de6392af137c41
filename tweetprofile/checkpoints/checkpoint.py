"""Checkpoints: one safetensors file with the weights, and everything else as JSON in its header.

Loading a checkpoint never runs code, because the file consists of numbers and text, whatever it
claims. It contains everything that predicting needs besides images: network, volumes, traits and
classes.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from tweetprofile.checkpoints.header import FORMAT, CheckpointHeader, format_of
from tweetprofile.checkpoints.tensors import TensorKind, first_not_finite, open_tensors
from tweetprofile.checkpoints.text_part import PREFIX, TextPart
from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.protection import is_earlier
from tweetprofile.data.files.provenance import Kind
from tweetprofile.errors import CheckpointError, InputError, OutputError
from tweetprofile.networks import (
    AnyNetwork,
    EmbeddingHead,
    EmbeddingSetSpec,
    Ensemble,
    NetworkSpec,
    NoImagesSpec,
    build_ensemble,
    build_head,
    count_members,
    fold_normalisation,
)
from tweetprofile.traits import TraitSchema
from tweetprofile.untrusted.fields import FieldError, finite, parse_json
from tweetprofile.untrusted.text import printable, shorten
from tweetprofile.volumes.spec import VolumeSpec

_HEADER_KEY = "tweetprofile"

_HEAD = "head."
"""The beginning of the names of a head's weights."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        path: The path of the file.
        sha256: The SHA-256 of the file.
        network_spec: The layers of the network, or of each member of an ensemble.
        members: The number of networks whose mean is the model.
        volume_spec: The volumes that the network takes.
        schema: The traits that the model predicts.
        training: How the model was trained and how it scored, as JSON for people to read.
        temperatures: For each trait, the number that divides its logits, so that the probabilities
            are calibrated.
        state: The weights of the network by name, as trained.
        texts: The model of texts; None for a model of images alone.
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
    texts: TextPart | None = None

    @property
    def sees_images(self) -> bool:
        """Whether the model looks at images, or reads texts alone."""
        return not isinstance(self.network_spec, NoImagesSpec)

    @cached_property
    def network(self) -> AnyNetwork:
        """The network in eval mode, normalisation folded: (N, 3, D, H, W) to logits per trait."""
        network = self.build()
        network.load_state_dict(self.state, assign=True)
        return fold_normalisation(network).requires_grad_(False)

    @cached_property
    def head(self) -> EmbeddingHead | Ensemble:
        """The head of a network over embeddings, without its backbone: (N, D, C) to logits."""
        assert isinstance(self.network_spec, EmbeddingSetSpec)
        with torch.device("meta"):
            head = build_head(self.network_spec, self.volume_spec, self.schema, self.members)
        own = {
            name.removeprefix(_HEAD): each
            for name, each in self.state.items()
            if name.startswith(_HEAD)
        }
        head.load_state_dict(own, assign=True)
        return head.eval().requires_grad_(False)

    def build(self) -> AnyNetwork:
        """Build the network without memory for its weights, if it has no other tensors.

        Some of timm's backbones compute tensors that are no weights, so these get memory.
        """
        with torch.device("cpu" if isinstance(self.network_spec, EmbeddingSetSpec) else "meta"):
            return build_ensemble(self.network_spec, self.volume_spec, self.schema, self.members)


def save_checkpoint(
    path: Path,
    network: AnyNetwork,
    training: Mapping[str, Any],
    temperatures: Mapping[str, float] | None = None,
    texts: TextPart | None = None,
) -> None:
    """Write a checkpoint atomically; it replaces another checkpoint, but no other file.

    Args:
        path: The path of the file.
        network: The network with its weights.
        training: How the weights were trained, as JSON.
        temperatures: The temperature of each trait, above 0; 1 for traits without one.
        texts: The model of texts, if there is one.

    Raises:
        OutputError: The file cannot be written.
    """
    header = CheckpointHeader(
        network_spec=network.spec,
        members=count_members(network),
        volume_spec=network.volume_spec,
        schema=network.schema,
        training=finite(training),
        temperatures=dict.fromkeys(network.schema.names, 1.0) | dict(temperatures or {}),
        texts=None if texts is None else texts.header,
    )
    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    if texts is not None:
        state |= texts.tensors()
    data = save(state, metadata={_HEADER_KEY: json.dumps(header.to_dict(), allow_nan=False)})
    try:
        write_atomically(path, data, is_earlier(Kind.MODEL))
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}; choose another path."
        ) from error


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Load a checkpoint, after checking that its header and its weights match.

    The file is opened once, so the same bytes are checked, hashed and loaded, whatever happens to
    the path in the meantime.

    Raises:
        CheckpointError: The file is missing, foreign, damaged or of a newer format; the message
            says which.
    """
    path = Path(path)
    with _explained(path), open_tensors(path) as file:
        header = _parse_header(path, file.metadata)
        _check_kinds(path, header, file.kinds)
        state, sha256 = file.read()
        texts = None if header.texts is None else TextPart.of(header.texts, header.schema, state)
    _check_numbers(path, state)
    return Checkpoint(
        path=path,
        sha256=sha256,
        network_spec=header.network_spec,
        members=header.members,
        volume_spec=header.volume_spec,
        schema=header.schema,
        training=header.training,
        temperatures=header.temperatures,
        state={name: each for name, each in state.items() if not name.startswith(PREFIX)},
        texts=texts,
    )


def read_header(path: str | Path) -> CheckpointHeader:
    """Read what a checkpoint says of itself, without its weights.

    The size of the file is checked, so that a file that was cut short is noticed.

    Raises:
        CheckpointError: The file is missing, foreign, damaged or of a newer format; the message
            says which.
    """
    path = Path(path)
    with _explained(path), open_tensors(path) as file:
        return _parse_header(path, file.metadata)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn errors of reading a file into CheckpointError."""
    try:
        yield
    except FileNotFoundError:
        raise CheckpointError(
            f"checkpoint {path} does not exist; name an existing model file."
        ) from None
    except (FieldError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({_reason(error)}); use one that "
            "'tweetprofile train' wrote."
        ) from None


def _parse_header(path: Path, metadata: Mapping[str, str]) -> CheckpointHeader:
    if _HEADER_KEY not in metadata:
        raise CheckpointError(
            f"{path} contains weights but was not written by tweetprofile; use a file that "
            "'tweetprofile train' wrote."
        )
    try:
        data = parse_json(metadata[_HEADER_KEY], "its header")
        if (version := format_of(data)) > FORMAT:
            raise CheckpointError(
                f"{path} has format {version}, and this version of tweetprofile reads up to "
                f"{FORMAT}; upgrade tweetprofile."
            )
        return CheckpointHeader.from_dict(data)
    except CheckpointError:
        raise
    except (FieldError, InputError) as error:
        reason = shorten(str(error).rstrip("."), 500)
        raise CheckpointError(
            f"{path} has an invalid header: {reason}; train the model again."
        ) from None


def _check_kinds(path: Path, header: CheckpointHeader, found: Mapping[str, TensorKind]) -> None:
    """Compare names and shapes with those of the specs, before allocating any memory for them."""
    wanted = _wanted_kinds(header)
    if header.texts is not None:
        wanted |= header.texts.kinds(header.schema, found)
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise CheckpointError(
                f"{path}: weight '{printable(name, 200)}' is {found.get(name, 'missing')}, but "
                f"its header requires {wanted.get(name, 'none')}; train the model again."
            )


def _wanted_kinds(header: CheckpointHeader) -> dict[str, TensorKind]:
    """Return the kinds of the weights by name.

    All members of an ensemble are built alike, so one of them is built.
    """
    over_embeddings = isinstance(header.network_spec, EmbeddingSetSpec)
    with torch.device("meta"):
        network = build_ensemble(
            header.network_spec,
            header.volume_spec,
            header.schema,
            header.members if over_embeddings else 1,
        )
    kinds = {name: TensorKind.of(tensor) for name, tensor in network.state_dict().items()}
    if header.members == 1 or over_embeddings:
        return kinds
    return {
        f"members.{number}.{name}": kind
        for number in range(header.members)
        for name, kind in kinds.items()
    }


def _check_numbers(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Refuse weights with which no prediction would be a number."""
    name = first_not_finite(state)
    what = "contains infinite values or NaN"
    if name is None:
        name = next((name for name, each in state.items() if _is_negative(name, each)), None)
        what = "contains negative variances"
    if name is not None:
        raise CheckpointError(
            f"{path}: weight '{printable(name, 200)}' {what}; train the model again."
        )


def _is_negative(name: str, tensor: torch.Tensor) -> bool:
    return name.endswith("running_var") and bool(tensor.min() < 0)


def _reason(error: Exception) -> str:
    return shorten(getattr(error, "strerror", None) or str(error), 500).rstrip(".")
