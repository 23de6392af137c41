"""The model that the benchmarks predict with.

An untrained model costs as much as a trained one. It is the same in every run.
"""

import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.job import FRAME_SIDE
from tweetprofile.networks import PRESETS as NETWORKS
from tweetprofile.networks import (
    EmbeddingHead,
    EmbeddingSet,
    EmbeddingSetSpec,
    Network,
    build_network,
    network_spec,
)
from tweetprofile.networks.frame_sides import default_side
from tweetprofile.networks.timm_backbones import PACKAGED, backbone_facts
from tweetprofile.traits import PRESETS
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.weights import load_backbone_weights

_PHOTOS = 64
"""The largest number of photographs that a head is scaled to."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The model to predict with.

    Attributes:
        model: The name of a network. With a backbone it does not matter.
        backbone: The backbone of a network over embeddings, with the head of `sum`; None for the
            network of that name.
        frame_size: The width and height of a frame; None for what the network usually takes.
    """

    model: str = "model1"
    backbone: str | None = None
    frame_size: int | None = None

    @property
    def arguments(self) -> list[str]:
        """These options, for the command line of another benchmark."""
        given = {"model": self.model, "backbone": self.backbone, "frame-size": self.frame_size}
        return [f"--{name}={value}" for name, value in given.items() if value is not None]


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the command line that `ModelOptions` consists of."""
    options = (
        click.option(
            "--model", type=click.Choice(list(NETWORKS)), default="model1", show_default=True
        ),
        click.option(
            "--backbone",
            help="Predict with a deepset network over this backbone instead: efficientnet-lite0 "
            "or -lite2 with the weights of its package, or timm/NAME with random ones.",
        ),
        click.option(
            "--frame-size",
            type=click.IntRange(16, 1024),
            show_default="112, or that of the backbone",
            help="The width and height of a frame in pixels.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def make_model(folder: Path, photos: list[bytes], options: ModelOptions | None = None) -> Path:
    """Save an untrained model whose predictions differ between users; return its path.

    Its heads are scaled to users with these photographs. Unscaled, they would give all users nearly
    the same probabilities, and comparing two predictions would show no difference. Of a network
    over embeddings only the head is untrained, if weights of the backbone come with a package.
    """
    torch.manual_seed(0)
    network = _build(options or ModelOptions()).eval()
    network.initialise()
    frames_FHWC = _frames(photos[:_PHOTOS], network.volume_spec)
    chance = random.Random(1)
    drawn_ND = torch.tensor(
        [chance.choices(range(len(frames_FHWC)), k=network.volume_spec.frames) for _ in range(32)]
    )
    with torch.inference_mode():
        if isinstance(network, EmbeddingSet):
            _spread_embeddings(network, frames_FHWC, drawn_ND)
        else:
            volumes = network.volume_spec.normalise(frames_FHWC[drawn_ND])
            _spread_logits(network.heads, network(volumes))
    path = folder / "model.safetensors"
    save_checkpoint(path, network, {})
    return path


def _build(options: ModelOptions) -> Network:
    schema, side = PRESETS["mex-a3t-2019"], options.frame_size
    if options.backbone is None:
        spec = network_spec(options.model, norm="batch")
        side = side or FRAME_SIDE
        return build_network(spec, VolumeSpec(height=side, width=side), schema)
    facts = backbone_facts(options.backbone)
    side = side or default_side(facts)
    network = EmbeddingSet(
        EmbeddingSetSpec(
            f"deepset-{facts.name}", backbone=facts.name, features=facts.features, pool="sum"
        ),
        VolumeSpec(height=side, width=side, mean=facts.mean, std=facts.std),
        schema,
    )
    if facts.name in PACKAGED:
        load_backbone_weights(network.backbone, facts, "package")
    return network


def _spread_embeddings(
    network: EmbeddingSet, frames_FHWC: torch.Tensor, drawn_ND: torch.Tensor
) -> None:
    """Fit the head to the embeddings of frames, as training does, and spread its logits."""
    head = network.head
    assert isinstance(head, EmbeddingHead)
    normalised = network.volume_spec.normalise_frames(frames_FHWC)
    embeddings_FC = network.embed(normalised)
    spread, mean = torch.std_mean(embeddings_FC, dim=0)
    head.standardise(mean, spread)
    _spread_logits(head.heads, head(embeddings_FC[drawn_ND]))


def _spread_logits(heads: torch.nn.Module, logits: Mapping[str, torch.Tensor]) -> None:
    """Give each logit a mean of 0 and a spread of 1 over some users."""
    for trait, each in logits.items():
        head = heads.get_submodule(f"head_{trait}")
        assert isinstance(head, torch.nn.Linear)
        spread, mean = torch.std_mean(each, dim=0)
        head.weight.div_(spread[:, None])
        head.bias.sub_(mean).div_(spread)


def _frames(photos: Sequence[bytes], spec: VolumeSpec) -> torch.Tensor:
    """Return the frames of images: (F, H, W, 3) uint8."""
    return torch.from_numpy(np.stack([_frame(photo, spec) for photo in photos]))


def _frame(photo: bytes, spec: VolumeSpec) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(photo)) as image:
        size = spec.width, spec.height
        return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))
