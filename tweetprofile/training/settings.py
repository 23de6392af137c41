"""What can be set in training, and the file that remembers it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tweetprofile.errors import OptionError
from tweetprofile.job import DecoderName
from tweetprofile.networks import Norm
from tweetprofile.version import __version__
from tweetprofile.volumes import Fill, VolumeSpec

ModelName = Literal["model1", "model2"]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How `train_manifest` works; all of it is written to `train.toml`.

    Attributes:
        model: `model1` or `model2`.
        norm: `batch` normalisation, or `none` as in the paper.
        dropout: share of the fully connected stage dropped in training.
        frame_size: side of a frame in pixels.
        frames: frames of a volume.
        fill: what fills a short user's volume: `repeat` or `zeros`.
        schema: `labels` (the classes found), a preset's name or a TOML file.
        val: manifest to validate on; None to set users of the training manifest aside.
        val_fraction: share of the users set aside where there is no `val`; 0 for none.
        epochs: passes over the users.
        batch_size: users a step.
        learning_rate: the highest; it falls to 0 along a cosine.
        weight_decay: of AdamW.
        seed: of weights, split and order.
        devices: `auto`, `cpu`, `cuda` or `cuda:N`.
        decoder: `auto`, `dali` or `pillow`.
        image_root: folder that image paths are relative to; None for each manifest's own.

    Raises:
        OptionError: a value out of range.
    """

    model: ModelName = "model1"
    norm: Norm = "batch"
    dropout: float = 0.3
    frame_size: int = 112
    frames: int = 11
    fill: Fill = "repeat"
    schema: str = "labels"
    val: str | None = None
    val_fraction: float = 0.15
    epochs: int = 20
    batch_size: int = 16
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    seed: int = 0
    devices: str = "auto"
    decoder: DecoderName = "auto"
    image_root: str | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise OptionError(f"--{name.replace('_', '-')} must be at least 1.")
        if not 0.0 <= self.val_fraction < 1.0:
            raise OptionError(f"--val-fraction {self.val_fraction} must be at least 0 and below 1.")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise OptionError("--learning-rate must be above 0 and weight decay not below 0.")

    @property
    def volume_spec(self) -> VolumeSpec:
        """The volumes these options ask for."""
        return VolumeSpec(self.frames, self.frame_size, self.frame_size, self.fill)


def write_settings(path: Path, manifest: str | Path, options: TrainOptions) -> None:
    """Write `train.toml`, which `tweetprofile train --config` reads back."""
    lines = [f"# tweetprofile {__version__}: every setting of this run.", ""]
    settings = {"manifest": str(manifest), **asdict(options)}
    # A JSON string, number or truth value is a TOML one.
    lines += [
        f"{key} = {json.dumps(value)}" for key, value in settings.items() if value is not None
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
