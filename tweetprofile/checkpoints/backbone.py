"""The backbone of a network over embeddings: a file of its own, or a part of a checkpoint.

Workers embed frames with it before there is a model. What is known of an embedding depends on the
digest of the backbone's weights, which is the same for every model with the same backbone.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from tweetprofile.checkpoints.checkpoint import Checkpoint, load_checkpoint
from tweetprofile.checkpoints.tensors import TensorKind, first_not_finite, open_tensors
from tweetprofile.errors import CheckpointError, InputError
from tweetprofile.job import Detail
from tweetprofile.networks import (
    EmbeddingSetSpec,
    build_backbone,
    fold_batch_norms,
    fuse_activations,
)
from tweetprofile.networks.timm_backbones import backbone_facts
from tweetprofile.untrusted.fields import FieldError, mapping, parse_json, read_fields, text, whole
from tweetprofile.untrusted.text import printable, shorten
from tweetprofile.volumes.spec import VolumeSpec, volume_from_dict

_HEADER_KEY = "tweetprofile-backbone"

_PREFIX = "backbone."
"""The beginning of the names of a backbone's weights in a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A backbone with its weights, and the frames that it takes.

    Attributes:
        name: The name of the backbone: a packaged one, or `timm/` and a name of timm.
        features: The length of an embedding.
        volume_spec: The size and normalisation of the frames.
        state: The weights by name.
    """

    name: str
    features: int
    volume_spec: VolumeSpec
    state: Mapping[str, torch.Tensor] = field(repr=False)

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Backbone":
        """Return the backbone of a checkpoint.

        Raises:
            CheckpointError: The network of the checkpoint has no backbone of its own.
        """
        spec = checkpoint.network_spec
        if not isinstance(spec, EmbeddingSetSpec):
            raise CheckpointError(
                f"{checkpoint.path} holds the network {spec.name}, which computes no embeddings; "
                "use a model that was trained with `backbone`."
            )
        return cls(
            name=spec.backbone,
            features=spec.features,
            volume_spec=checkpoint.volume_spec,
            state={
                name.removeprefix(_PREFIX): each
                for name, each in checkpoint.state.items()
                if name.startswith(_PREFIX)
            },
        )

    def with_detail(self, detail: Detail | None) -> "Backbone":
        """Return the backbone for frames of a detail; itself if None, or if it has that detail.

        A copy would compute the digest of its weights again.
        """
        if detail in (None, self.volume_spec.detail):
            return self
        return replace(self, volume_spec=replace(self.volume_spec, detail=detail))

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the name, the normalisation and the weights: what an embedding depends on.

        The number of frames per volume and what fills it do not matter to a single frame.
        """
        spec = self.volume_spec
        facts = [self.name, spec.height, spec.width, spec.mean, spec.std, spec.detail]
        found = hashlib.sha256(json.dumps(facts).encode())
        for name in sorted(self.state):
            tensor = self.state[name].contiguous()
            found.update(f"{name} {TensorKind.of(tensor)}".encode())
            found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
        return found.hexdigest()

    @cached_property
    def network(self) -> nn.Module:
        """The backbone in eval mode, simplified: (M, 3, H, W) to (M, features)."""
        spec = self.volume_spec
        network = build_backbone(self.name, spec.height, spec.width)
        network.load_state_dict(self.state, assign=True)
        network = network.eval().requires_grad_(False)
        fold_batch_norms(network)
        fuse_activations(network)
        return network

    def save(self, path: Path) -> None:
        """Write the backbone to a file of its own.

        Raises:
            OSError: The file cannot be written.
        """
        header = {
            "name": self.name,
            "features": self.features,
            "volume": asdict(self.volume_spec),
        }
        tensors = {name: tensor.contiguous() for name, tensor in self.state.items()}
        save_file(tensors, path, {_HEADER_KEY: json.dumps(header)})


def load_backbone(path: Path) -> Backbone:
    """Load a backbone from a file of its own, or from a checkpoint.

    Raises:
        CheckpointError: The file is missing, damaged, or holds no backbone.
    """
    try:
        with open_tensors(path) as file:
            if _HEADER_KEY not in file.metadata:
                return Backbone.of(load_checkpoint(path))
            found = _read_header(file.metadata[_HEADER_KEY])
            _check_kinds(found, file.kinds)
            state, _ = file.read()
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; name an existing model file.") from None
    except (FieldError, OSError, ValueError, InputError) as error:
        if isinstance(error, CheckpointError):
            raise
        reason = shorten(getattr(error, "strerror", None) or str(error), 500).rstrip(".")
        raise CheckpointError(
            f"{path} holds no readable backbone ({reason}); make it again."
        ) from None
    if (name := first_not_finite(state)) is not None:
        raise CheckpointError(
            f"{path}: weight '{printable(name, 200)}' contains infinite values or NaN; make it "
            "again."
        )
    return Backbone(**found, state=state)


def _read_header(header: str) -> dict[str, Any]:
    readers = {"name": text, "features": whole, "volume": mapping}
    found = read_fields(parse_json(header, "its header"), "its header", readers, readers)
    volume_spec = volume_from_dict(found.pop("volume"))
    return {**found, "volume_spec": volume_spec}


def _check_kinds(header: Mapping[str, Any], found: Mapping[str, TensorKind]) -> None:
    """Compare names and shapes with those of the backbone, before allocating any memory."""
    spec = header["volume_spec"]
    if (features := backbone_facts(header["name"]).features) != header["features"]:
        raise FieldError(f"its header has {header['features']} features, but there are {features}")
    with torch.device("meta"):
        network = build_backbone(header["name"], spec.height, spec.width)
    wanted = {name: TensorKind.of(each) for name, each in network.state_dict().items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise FieldError(
                f"weight '{printable(name, 200)}' is {found.get(name, 'missing')}, but its header "
                f"requires {wanted.get(name, 'none')}"
            )
