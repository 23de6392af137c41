"""A backbone with the weights of others, in a temporary file for workers to read."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tweetprofile.checkpoints.backbone import Backbone
from tweetprofile.checkpoints.weights_record import WeightsRecord
from tweetprofile.data.files.scratch import no_room
from tweetprofile.networks.frame_sides import default_side
from tweetprofile.networks.timm_backbones import backbone_facts, build_backbone
from tweetprofile.volumes.spec import VolumeSpec
from tweetprofile.weights.loading import load_backbone_weights


def load_backbone_of(
    name: str, source: str, volume_spec: VolumeSpec
) -> tuple[Backbone, WeightsRecord]:
    """Return a backbone with the weights of a source, and where these come from.

    Args:
        name: The name of the backbone.
        source: The source of its weights; see `load_backbone_weights`.
        volume_spec: The frames that it takes.

    Raises:
        OptionError: The backbone or the source is unknown, or a package is missing.
        CheckpointError: The weights cannot be used.
    """
    facts = backbone_facts(name)
    network = build_backbone(name, volume_spec.height, volume_spec.width)
    record = load_backbone_weights(network, facts, source)
    backbone = Backbone(
        name=name,
        features=facts.features,
        volume_spec=volume_spec,
        state=network.state_dict(),
    )
    return backbone, record


@contextmanager
def temporary_file(backbone: Backbone) -> Iterator[Path]:
    """Write a backbone to a file, which is removed at the end of the block.

    Raises:
        WriteError: The file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="tweetprofile-") as folder:
        path = Path(folder) / "backbone.safetensors"
        try:
            backbone.save(path)
        except OSError as error:
            raise no_room(error) from error
        yield path


@contextmanager
def backbone_file(name: str, source: str, side: int | None) -> Iterator[tuple[Path, WeightsRecord]]:
    """Write a backbone with its weights to a file, which is removed at the end of the block.

    Args:
        name: The name of the backbone.
        source: The source of its weights; see `load_backbone_weights`.
        side: The width and height of its frames; None for what suits the backbone.

    Yields:
        The file, and where its weights come from.

    Raises:
        OptionError: The backbone or the source is unknown, or a package is missing.
        CheckpointError: The weights cannot be used.
        WriteError: The file cannot be written.
    """
    facts = backbone_facts(name)
    side = side or default_side(facts)
    spec = VolumeSpec(height=side, width=side, mean=facts.mean, std=facts.std)
    backbone, record = load_backbone_of(name, source, spec)
    with temporary_file(backbone) as path:
        yield path, record
