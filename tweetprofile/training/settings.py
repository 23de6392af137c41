"""What can be set in training, and the file that remembers it."""

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tweetprofile.checkpoints.header import MAX_MEMBERS
from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.protection import is_earlier
from tweetprofile.data.files.provenance import Kind
from tweetprofile.errors import OptionError, WriteError
from tweetprofile.job import DecoderName
from tweetprofile.networks import DeepSetSpec, NetworkSpec, Norm, network_spec
from tweetprofile.training.folds import MOST_FOLDS
from tweetprofile.training.recipes import RECIPES, Recipe, RecipeName, recipe_for
from tweetprofile.version import __version__
from tweetprofile.volumes.spec import Fill, VolumeSpec

SETTINGS = "train.toml"
"""Name of its file in a run's folder."""

_FROM_RECIPE = (
    "model", "norm", "dropout", "epochs", "patience", "members", "batch_size", "learning_rate",
    "weight_decay",
)  # fmt: skip
"""What the recipe decides unless told otherwise."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How `train_manifest` works; all of it is written to `train.toml`.

    Attributes:
        recipe: `default`, or `paper` as published.
        model: `deepset` (order-free), `deepset-resnet18`, `deepset-vgg11`, `deepset-vgg16`,
            `model1` or `model2`; None for the recipe's, as are the next eight.
        norm: `batch` normalisation, or `none` as in the paper.
        dropout: share of the features before the heads dropped in training.
        epochs: passes over the users, at most, of all members together.
        patience: epochs without a better mean macro-F1 after which a member has learnt enough.
        members: networks that learn one after the other and predict together.
        batch_size: users a step, over all devices.
        learning_rate: the highest.
        weight_decay: of AdamW and Muon.
        minutes: that training may take, decoding aside: it has as many epochs as fit in, going by
            the first; None for any.
        init: safetensors file of weights to start from.
        frame_size: side of a frame in pixels.
        frames: frames of a volume.
        fill: what fills a short user's volume: `repeat` or `zeros`.
        schema: `labels` (the classes found), a preset's name or a TOML file.
        val: manifest to validate on; None to set users of the training manifest aside.
        val_fraction: share of the users set aside where there is no `val`; 0 for none.
        folds: networks to train and test for a cross-validation, before the one that is kept; None
            for no cross-validation.
        seed: of weights, split, order and augmentation.
        devices: `auto`, `cpu`, `cuda`, `cuda:N`, or several with commas between; a process each.
        decoder: `auto`, `dali` or `pillow`.
        image_root: folder that image paths are relative to; None for each manifest's own.
        cache: folder that keeps decoded frames; None for the user's cache folder.
        cache_gb: gigabytes that the frames of all runs may take there.

    Raises:
        OptionError: a value out of range.
    """

    recipe: RecipeName = "default"
    model: str | None = None
    norm: Norm | None = None
    dropout: float | None = None
    epochs: int | None = None
    patience: int | None = None
    members: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    minutes: float | None = None
    init: str | None = None
    frame_size: int = 112
    frames: int = 11
    fill: Fill = "repeat"
    schema: str = "labels"
    val: str | None = None
    val_fraction: float = 0.1
    folds: int | None = None
    seed: int = 0
    devices: str = "auto"
    decoder: DecoderName = "auto"
    image_root: str | None = None
    cache: str | None = None
    cache_gb: float = 100.0

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise OptionError(
                f"--recipe {self.recipe} is unknown; give one of {', '.join(RECIPES)}."
            )
        if self.members is not None and not 1 <= self.members <= MAX_MEMBERS:
            raise OptionError(f"--members {self.members} must be from 1 to {MAX_MEMBERS}.")
        for name in ("epochs", "patience", "batch_size"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise OptionError(f"--{name.replace('_', '-')} must be at least 1.")
        if not 0.0 <= self.val_fraction < 1.0:
            raise OptionError(f"--val-fraction {self.val_fraction} must be at least 0 and below 1.")
        if self.folds is not None and not 2 <= self.folds <= MOST_FOLDS:
            raise OptionError(f"--folds {self.folds} must be from 2 to {MOST_FOLDS}.")
        # Written so that what is no number (NaN) fails, too.
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise OptionError(f"--learning-rate {self.learning_rate} must be above 0, and finite.")
        if self.weight_decay is not None and not 0 <= self.weight_decay < math.inf:
            raise OptionError(f"--weight-decay {self.weight_decay} must be 0 or more, and finite.")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise OptionError(f"--minutes {self.minutes:g} must be above 0, and finite.")
        if not 0 <= self.seed < 1 << 63:
            raise OptionError(f"--seed {self.seed} must be from 0 to {(1 << 63) - 1}.")

    @property
    def volume_spec(self) -> VolumeSpec:
        """The volumes these options ask for."""
        return VolumeSpec(self.frames, self.frame_size, self.frame_size, self.fill)

    @property
    def resolved(self) -> "TrainOptions":
        """The same options with nothing left to the recipe."""
        recipe = recipe_for(self.recipe, self.model)
        chosen = {
            name: getattr(recipe, name) for name in _FROM_RECIPE if getattr(self, name) is None
        }
        return replace(self, **chosen)

    @property
    def resolved_recipe(self) -> Recipe:
        """The recipe, with what these options change of it."""
        resolved = self.resolved
        chosen = {name: getattr(resolved, name) for name in _FROM_RECIPE}
        return replace(recipe_for(self.recipe, self.model), **chosen)

    @property
    def network_spec(self) -> NetworkSpec:
        """The network these options ask for.

        Raises:
            OptionError: no such network, or one that cannot be as asked for.
        """
        recipe = self.resolved_recipe
        changes: dict[str, object] = {"dropout": recipe.dropout}
        # The recipe's normalisation is for the paper's networks; the others have their own.
        if self.norm is not None or not isinstance(network_spec(recipe.model), DeepSetSpec):
            changes["norm"] = recipe.norm
        return network_spec(recipe.model, **changes)


def write_settings(path: Path, manifest: str | Path, options: TrainOptions) -> None:
    """Write `train.toml`, which `tweetprofile train --config` reads back.

    Raises:
        WriteError: it cannot be written.
    """
    lines = [f"# tweetprofile {__version__}: every setting of this run.", ""]
    settings = {"manifest": str(manifest), **asdict(options)}
    # A JSON string, number or truth value is a TOML one.
    lines += [
        f"{key} = {json.dumps(value)}" for key, value in settings.items() if value is not None
    ]
    try:
        write_atomically(path, ("\n".join(lines) + "\n").encode(), is_earlier(Kind.SETTINGS))
    except OSError as error:
        raise WriteError(
            f"{path} cannot be written ({error.strerror}); make room there, then give the same "
            "command with --resume."
        ) from error
