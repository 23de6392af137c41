"""Shows a checkpoint for `info`."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table

from tweetprofile.checkpoints.checkpoint import Checkpoint
from tweetprofile.checkpoints.header import describe_origin
from tweetprofile.checkpoints.text_part import TextPart
from tweetprofile.cli import console
from tweetprofile.cli.console import OUTPUT
from tweetprofile.networks import (
    Cnn3dSpec,
    DeepSetSpec,
    EmbeddingSetSpec,
    NetworkSpec,
    NoImagesSpec,
    spec_to_dict,
)
from tweetprofile.plurals import count_of
from tweetprofile.untrusted.text import printable
from tweetprofile.volumes.spec import VolumeSpec

_LONGEST_NAME, _GAP = 14, 2
"""Columns for the name of a trait, and between the columns: with a checksum, 80 in all."""

_FILLS = {"repeat": "repeated frames", "zeros": "zeros"}
"""What fills the volume of a user with too few images."""


def print_json(checkpoint: Checkpoint) -> None:
    """Print the description of a checkpoint as JSON to stdout."""
    console.print_json(_checkpoint_facts(checkpoint))


def show_checkpoint(checkpoint: Checkpoint) -> None:
    """Print the description of a checkpoint as a table to stdout."""
    spec, volume = checkpoint.network_spec, checkpoint.volume_spec
    weights = sum(tensor.numel() for tensor in checkpoint.state.values())
    OUTPUT.print(OUTPUT.text(str(checkpoint.path), "bold"))
    # Without lines, so that a checksum fits into 80 columns.
    table = Table(box=None, show_header=False, padding=(0, _GAP, 0, 0), pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    members = f", mean of {checkpoint.members} networks" if checkpoint.members > 1 else ""
    if not isinstance(spec, NoImagesSpec):
        norm = "" if isinstance(spec, EmbeddingSetSpec) else f", normalisation {spec.norm}"
        table.add_row("network", f"{spec.name}{members}, {count_of(weights, 'weight')}{norm}")
        table.add_row("layers", _layers(spec))
        table.add_row("volume", _volume(spec, volume))
    if checkpoint.texts is not None:
        table.add_row("texts", _texts(checkpoint.texts))
    scores = checkpoint.training.get("best", {}).get("scores", {})
    for trait in checkpoint.schema:
        temperature = _temperatures(checkpoint)[trait.name]
        table.add_row(OUTPUT.cut_name(trait.name, _LONGEST_NAME), ", ".join(trait.classes))
        if score := scores.get(trait.name):
            table.add_row("", _score(score, temperature))
    if source := checkpoint.training.get("weights"):
        table.add_row("backbone", _backbone(source))
    table.add_row("trained", _training(checkpoint))
    table.add_row("sha256", checkpoint.sha256)
    OUTPUT.print(table)


def _volume(spec: NetworkSpec, volume: VolumeSpec) -> str:
    size = f"{count_of(volume.frames, 'frame')} of {volume.width} x {volume.height}"
    filled = (
        ""
        if isinstance(spec, DeepSetSpec | EmbeddingSetSpec)
        else f", filled with {_FILLS.get(volume.fill, volume.fill)}"
    )
    return f"{size}{filled}, detail {volume.detail}"


def _texts(texts: TextPart) -> str:
    """Describe what a model counts in texts."""
    blocks = (block.kind for block in texts.header.spec.blocks)
    known = len(texts.model.terms.buckets_F)
    return f"a linear model of {count_of(known, 'n-gram')}, hashed ({'; '.join(blocks)})"


def _layers(spec: Cnn3dSpec | DeepSetSpec | EmbeddingSetSpec) -> str:
    if isinstance(spec, EmbeddingSetSpec):
        made = f"{spec.backbone} makes {count_of(spec.features, 'feature')} of each frame"
        if spec.pool == "topics":
            return f"{made}; frames are of {spec.hidden} topics, each chosen for one trait or none"
        if spec.pool == "clusters":
            return f"{made}; frames are counted by {spec.hidden} clusters"
        hidden = f"a layer of {spec.hidden}, " if spec.hidden else ""
        return f"{made}; {hidden}then the {spec.pool} over frames"
    widths = " ".join(map(str, spec.widths))
    if isinstance(spec, DeepSetSpec):
        return f"{widths} ({spec.backbone}, each frame by itself), then the {spec.pool} over frames"
    return f"{widths}, then {spec.hidden}"


def _backbone(source: Mapping[str, Any]) -> str:
    """Describe the initial weights of a backbone."""
    licence = printable(source.get("license") or "unknown licence", 100)
    return f"weights from {printable(source['source'], 200)}, {licence}"


def _score(score: dict[str, Any], temperature: float) -> str:
    return (
        f"accuracy {score['accuracy']:.3f}, macro-F1 {score.get('macro_f1', math.nan):.3f} on "
        f"{count_of(score['users'], 'held-out user')} (majority baseline: "
        f"{score['majority']:.3f}); temperature {temperature:.2f}"
    )


def _temperatures(checkpoint: Checkpoint) -> Mapping[str, float]:
    """Return the temperatures of the network, or of the texts if the model reads these alone."""
    if checkpoint.texts is not None and not checkpoint.sees_images:
        return checkpoint.texts.header.temperatures
    return checkpoint.temperatures


def _training(checkpoint: Checkpoint) -> str:
    training = checkpoint.training
    if not checkpoint.sees_images:  # there are no epochs
        return f"{describe_origin(training)}; tweetprofile {training.get('version', '?')}"
    kept = training.get("kept_epochs", [training.get("best", {}).get("epoch", "?")])
    epochs = training.get("epochs")
    most = "? epochs" if epochs is None else count_of(epochs, "epoch")
    return (
        f"{describe_origin(training)}; kept {console.kept_epochs(kept)}, of at most {most}; "
        f"tweetprofile {training.get('version', '?')}"
    )


def _readable(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about a training without the fingerprints of its users and images."""
    shown = dict(training)
    if "seen" in shown:
        parts = {name: shown["seen"][name]["items"] for name in ("users", "images")}
        shown["seen"] = {**parts, "manifests": shown["seen"]["manifests"]}
    return shown


def _checkpoint_facts(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "path": str(checkpoint.path),
        "sha256": checkpoint.sha256,
        "network": spec_to_dict(checkpoint.network_spec),
        "members": checkpoint.members,
        "volume": asdict(checkpoint.volume_spec),
        "schema": checkpoint.schema.to_dict(),
        "training": _readable(checkpoint.training),
        "temperatures": dict(checkpoint.temperatures),
        "texts": None if checkpoint.texts is None else checkpoint.texts.header.to_dict(),
    }
