"""The options of a training, and the file that stores them."""

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tweetprofile.checkpoints.header import MAX_MEMBERS
from tweetprofile.data.files.atomic import write_atomically
from tweetprofile.data.files.protection import is_earlier
from tweetprofile.data.files.provenance import Kind
from tweetprofile.data.manifests.texts import MAX_TEXT_BYTES, MAX_TEXTS, LimitsTexts
from tweetprofile.errors import OptionError, WriteError
from tweetprofile.job import DETAIL, FRAME_SIDE, DecoderName, Detail, check_detail
from tweetprofile.networks import DeepSetSpec, Learned, NetworkSpec, Norm, network_spec
from tweetprofile.networks.frame_sides import default_side
from tweetprofile.networks.timm_backbones import backbone_facts
from tweetprofile.training.backbones import (
    BackboneOptions,
    HeadName,
    check_backbone,
    embedding_spec,
    learned_of,
)
from tweetprofile.training.curves import LogTo
from tweetprofile.training.folds import MOST_FOLDS
from tweetprofile.training.recipes import HEADS, MOST_HEADS, RECIPES, Recipe, RecipeName, recipe_for
from tweetprofile.version import __version__
from tweetprofile.volumes.spec import Fill, VolumeSpec

Use = Literal["images", "texts", "both"]
"""What a model sees of users."""

SETTINGS = "train.toml"
"""The name of the file in a run folder."""

_FROM_RECIPE = (
    "model", "norm", "dropout", "epochs", "patience", "members", "batch_size", "learning_rate",
    "weight_decay",
)  # fmt: skip
"""The options whose default the recipe decides."""


@dataclass(frozen=True, slots=True)
class TrainOptions(LimitsTexts):
    """The options of `train_manifest`; all of them are written to `train.toml`.

    Attributes:
        recipe: The hyperparameters: `default`, or `paper` as published.
        model: The network: `deepset` (order-free), `model1` or `model2`. None for the recipe's, as
            for the other options that a recipe sets.
        backbone: The pretrained backbone of a deepset network: `efficientnet-lite0`,
            `efficientnet-lite2`, or `timm/` and a name of timm; None for the network's own layers.
        weights: The weights of the backbone: `package` (of efficientnet-lite0 and -lite2), a file,
            `cache` (the local cache of the Hugging Face hub) or `hub`; None for random ones.
        freeze: Whether the backbone stays as it is, so that only a head is trained on embeddings
            that are computed once; None to do so if it has weights.
        fine_tune: Whether to train the last stages of the backbone after the head, and to keep the
            result if it is better on the held-out users.
        head: What combines the embeddings of a user's images: `sum`, `clusters`, `topics`,
            `attention` or `linear`; `auto` for the best of them in a cross-validation on the
            training users.
        embed_views: The number of views of each image that a head learns from: 2 adds the mirrored
            image, 4 the enlarged middle of both.
        use: What the model sees of users: `images`, `texts` or `both`; None for what the manifest
            has.
        max_texts: The largest number of texts per user; of more, the last ones are read, which are
            the newest.
        max_text_bytes: The largest size of a text; a longer one is cut.
        profile_fields: Whether to read `name`, `screen_name` and `description` of users' own
            profiles as texts, too, as far as the manifest has these columns.
        keep_vocabulary: Whether to write the n-grams that speak most for each class, which many
            users wrote, next to the model.
        norm: The normalisation: `batch`, or `none` as in the paper.
        dropout: The share of the features before the heads that is dropped in training.
        epochs: The largest number of passes over the users, of all members together.
        patience: The number of epochs without a better mean macro-F1 after which a member stops.
        members: The number of networks that are trained one after the other and averaged.
        batch_size: The number of users per step, over all devices.
        learning_rate: The peak learning rate.
        weight_decay: The weight decay of AdamW and Muon.
        minutes: The time that training may take, without decoding; the duration of the first epoch
            decides how many epochs fit in. None for any.
        init: The safetensors file of initial weights; None for random ones.
        frame_size: The width and height of a frame in pixels; None for 112, or for what suits the
            backbone.
        frames: The number of frames per volume.
        fill: What fills the volume of a user with too few frames: `repeat` or `zeros`.
        schema: The schema: `labels` (the classes found), the name of a preset, or a TOML file.
        val: The manifest of the held-out users; None to hold out users of the training manifest.
        val_fraction: The share of the users to hold out if there is no `val`; 0 for none.
        folds: The number of folds of a cross-validation that precedes the training; None for no
            cross-validation.
        seed: The seed of weights, split, order and augmentation.
        devices: The devices, one process each: `auto`, `cpu`, `cuda`, `cuda:N`, or several
            separated by commas.
        decoder: The decoder: `auto`, `dali` or `pillow`.
        detail: How much of an image is decoded: all of it (`full`), or as much as a frame of this
            size can show (`frame`).
        image_root: The image root; None for the folder of each manifest.
        cache: The folder that keeps decoded frames; None for the user's cache folder.
        cache_gb: The gigabytes that the decoded frames of all runs may take there.
        log_to: Where the losses and scores of epochs go besides `metrics.jsonl`: `tensorboard`,
            into a subfolder of the run folder; None for nowhere.

    Raises:
        OptionError: A value is out of range.
    """

    recipe: RecipeName = "default"
    model: str | None = None
    backbone: str | None = None
    weights: str | None = None
    freeze: bool | None = None
    fine_tune: bool = False
    head: HeadName = "auto"
    embed_views: int = 1
    use: Use | None = None
    max_texts: int = MAX_TEXTS
    max_text_bytes: int = MAX_TEXT_BYTES
    profile_fields: bool = False
    keep_vocabulary: bool = False
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
    frame_size: int | None = None
    frames: int = 11
    fill: Fill = "repeat"
    schema: str = "labels"
    val: str | None = None
    val_fraction: float = 0.1
    folds: int | None = None
    seed: int = 0
    devices: str = "auto"
    decoder: DecoderName = "auto"
    detail: Detail = DETAIL
    image_root: str | None = None
    cache: str | None = None
    cache_gb: float = 100.0
    log_to: LogTo | None = None

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise OptionError(
                f"`recipe` is {self.recipe}, which is unknown; give one of {', '.join(RECIPES)}."
            )
        if self.log_to not in (None, *get_args(LogTo)):
            raise OptionError(
                f"`log_to` is {self.log_to}, which is unknown; give {', '.join(get_args(LogTo))}."
            )
        if self.members is not None and not 1 <= self.members <= MAX_MEMBERS:
            raise OptionError(f"`members` is {self.members}; it must be from 1 to {MAX_MEMBERS}.")
        for name in ("epochs", "patience", "batch_size"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise OptionError(f"`{name}` is {value}; it must be at least 1.")
        if not 0.0 <= self.val_fraction < 1.0:
            raise OptionError(
                f"`val_fraction` is {self.val_fraction}; it must be at least 0 and below 1."
            )
        if self.folds is not None and not 2 <= self.folds <= MOST_FOLDS:
            raise OptionError(f"`folds` is {self.folds}; it must be from 2 to {MOST_FOLDS}.")
        # Each comparison is written so that NaN fails, too.
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise OptionError(
                f"`learning_rate` is {self.learning_rate}; it must be above 0 and finite."
            )
        if self.weight_decay is not None and not 0 <= self.weight_decay < math.inf:
            raise OptionError(
                f"`weight_decay` is {self.weight_decay}; it must be at least 0 and finite."
            )
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise OptionError(f"`minutes` is {self.minutes:g}; it must be above 0 and finite.")
        if self.use not in (None, *get_args(Use)):
            raise OptionError(f"`use` is {self.use}; it must be images, texts or both.")
        _ = self.text_limits  # which checks them
        check_detail(self.detail)
        check_backbone(self.backbone_options)
        if not 0 <= self.seed < 1 << 63:
            raise OptionError(f"`seed` is {self.seed}; it must be from 0 to {(1 << 63) - 1}.")

    @property
    def backbone_options(self) -> BackboneOptions:
        """The options that concern a backbone."""
        return BackboneOptions(
            **{each.name: getattr(self, each.name) for each in fields(BackboneOptions)}
        )

    @property
    def learned(self) -> Learned | None:
        """What is trained of a network with a backbone; None for networks without."""
        return None if self.backbone is None else learned_of(self.backbone_options)

    @property
    def volume_spec(self) -> VolumeSpec:
        """The volumes that the network takes.

        Raises:
            OptionError: A value is out of range, or the backbone is unknown.
        """
        if self.backbone is None:
            side = self.frame_size or FRAME_SIDE
            return VolumeSpec(self.frames, side, side, self.fill, detail=self.detail)
        facts = backbone_facts(self.backbone)
        side = self.frame_size or default_side(facts)
        return VolumeSpec(
            self.frames, side, side, self.fill, mean=facts.mean, std=facts.std, detail=self.detail
        )

    @property
    def recipe_as_published(self) -> Recipe:
        """The recipe as it applies to the network, without the changes of these options."""
        pretrained = self.learned == "all" and self.weights is not None
        learned = "last" if pretrained else self.learned
        return recipe_for(self.recipe, self.model, learned, heads=self._heads)

    @property
    def _heads(self) -> int:
        """The number of heads: two per part of the users that is held out, if it is not given."""
        if self.members is not None:
            return self.members
        if self.val is not None or not self.val_fraction:
            return HEADS
        return min(MOST_HEADS, 2 * max(2, round(1 / self.val_fraction)))

    @property
    def resolved(self) -> "TrainOptions":
        """The same options, with the values that the recipe and the backbone set."""
        recipe = self.recipe_as_published
        chosen: dict[str, Any] = {
            name: getattr(recipe, name) for name in _FROM_RECIPE if getattr(self, name) is None
        }
        if self.backbone is not None:
            chosen = {**chosen, "norm": None, "freeze": self.learned == "head"}
        return replace(self, **chosen, frame_size=self.volume_spec.height)

    @property
    def resolved_recipe(self) -> Recipe:
        """The recipe with the changes of these options."""
        resolved, recipe = self.resolved, self.recipe_as_published
        chosen = {
            name: value for name in _FROM_RECIPE if (value := getattr(resolved, name)) is not None
        }
        return replace(recipe, **chosen)

    @property
    def network_spec(self) -> NetworkSpec:
        """The network.

        Raises:
            OptionError: The network or backbone is unknown, or does not support an option.
        """
        recipe = self.resolved_recipe
        if self.backbone is not None:
            return embedding_spec(self.backbone_options, recipe.dropout)
        changes: dict[str, object] = {"dropout": recipe.dropout}
        # The recipe's normalisation is meant for the paper's networks; the others have their own.
        if self.norm is not None or not isinstance(network_spec(recipe.model), DeepSetSpec):
            changes["norm"] = recipe.norm
        return network_spec(recipe.model, **changes)


def write_settings(path: Path, manifest: str | Path, options: TrainOptions) -> None:
    """Write `train.toml`, which `tweetprofile train --config` reads.

    Args:
        path: The file to write.
        manifest: The training manifest as it was given.
        options: The options to store.

    Raises:
        WriteError: The file cannot be written.
    """
    lines = [f"# tweetprofile {__version__}: every setting of this run.", ""]
    settings = {"manifest": str(manifest), **asdict(options)}
    # JSON strings, numbers and truth values are also TOML.
    lines += [
        f"{key} = {json.dumps(value)}" for key, value in settings.items() if value is not None
    ]
    try:
        write_atomically(path, ("\n".join(lines) + "\n").encode(), is_earlier(Kind.SETTINGS))
    except OSError as error:
        raise WriteError(
            f"cannot write {path} ({error.strerror}); make room there, then run the same command "
            "with `resume=True`."
        ) from error
