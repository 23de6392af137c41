"""Everything that defines a network except its weights: the specs in checkpoints, and the presets.

A new kind of network adds a dataclass here, and its entry in `_KINDS` and `_READERS`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from tweetprofile.errors import OptionError
from tweetprofile.job import TEXTS_ALONE
from tweetprofile.untrusted.fields import Reader, build, list_of, number, text, whole
from tweetprofile.untrusted.text import printable

Pool = tuple[int, int, int]
Norm = Literal["none", "batch"]
Backbone = Literal["residual", "vgg"]
FramePool = Literal["sum", "mean"]
HeadPool = Literal["sum", "mean", "attention", "clusters", "topics"]

COUNTED: tuple[HeadPool, ...] = ("clusters", "topics")
"""The pools whose hidden layer tells how much a frame belongs to clusters of similar frames."""

WEIGHED_TOGETHER: tuple[HeadPool, ...] = ("attention", "topics")
"""The pools with which what a frame contributes depends on the user's other frames."""

POOL_ALL: Pool = (2, 2, 2)
POOL_FRAME: Pool = (1, 2, 2)
"""A pool that reduces H and W and keeps the depth."""

_MAX_WIDTH = 4096
_MAX_LAYERS = 64
_MAX_STAGES = 5
"""Each stage halves a frame, and the sides of the smallest frame have 16 pixels."""

_LONGEST_NAME = 100
"""The largest number of characters in a network's name."""


def _check_common(name: str, widths: tuple[int, ...], norm: str, dropout: float) -> None:
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise OptionError(f"the name of a network must have 1 to {_LONGEST_NAME} characters.")
    if not all(isinstance(size, int) and 1 <= size <= _MAX_WIDTH for size in widths):
        raise OptionError(f"network widths must be whole numbers from 1 to {_MAX_WIDTH}.")
    if norm not in ("none", "batch"):
        raise OptionError(f"norm '{norm}' is unknown; use 'none' or 'batch'.")
    if not 0.0 <= dropout < 1.0:
        raise OptionError(f"dropout {dropout} must be at least 0 and below 1.")


@dataclass(frozen=True, slots=True)
class Cnn3dSpec:
    """A 3D CNN over volumes.

    Attributes:
        name: The name of the network, as options and reports show it.
        widths: The output channels of each convolutional layer.
        pools: The max-pooling after each convolutional layer, D x H x W.
        hidden: The width of the fully connected stage.
        norm: `batch` for normalisation between convolution and ReLU, or `none` as in the paper.
        dropout: The share of the fully connected stage that is dropped in training.

    Raises:
        OptionError: A value is out of range.
    """

    name: str
    widths: tuple[int, ...]
    pools: tuple[Pool, ...]
    hidden: int = 256
    norm: Norm = "none"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check_common(self.name, (*self.widths, self.hidden), self.norm, self.dropout)
        if len(self.pools) != len(self.widths) or not 1 <= len(self.widths) <= _MAX_LAYERS:
            raise OptionError(f"a network needs 1 to {_MAX_LAYERS} layers and a pool for each.")
        if any(len(pool) != 3 or not all(side in (1, 2) for side in pool) for pool in self.pools):
            raise OptionError("network pools must be triples of 1 and 2.")


@dataclass(frozen=True, slots=True)
class DeepSetSpec:
    """A network over the set of a user's frames, whose order does not matter.

    Attributes:
        name: The name of the network, as options and reports show it.
        widths: The channels of each stage of the 2D backbone, which processes every frame.
        layers: The number of blocks (residual) or convolutions (vgg) per stage.
        backbone: `residual` as in ResNet-18, or `vgg`.
        stem: `small` (one convolution, which halves a frame) or `large` (that of ResNet, which
            quarters it); `small` for VGG, which has no stem.
        norm: `batch` for normalisation, or `none` (only with `vgg`).
        dropout: The share of a user's features that is dropped in training.
        pool: How the features of a user's frames are combined: by their `sum`, in units of a full
            volume's mean, to which each frame adds its evidence, or by their `mean`, which is as
            confident with three frames as with eleven. Checkpoints that name no pool use the mean.

    Raises:
        OptionError: A value is out of range.
    """

    name: str
    widths: tuple[int, ...]
    layers: tuple[int, ...]
    backbone: Backbone = "residual"
    stem: Literal["small", "large"] = "small"
    norm: Norm = "batch"
    dropout: float = 0.0
    pool: FramePool = "mean"

    def __post_init__(self) -> None:
        _check_common(self.name, self.widths, self.norm, self.dropout)
        if len(self.layers) != len(self.widths) or not 1 <= len(self.widths) <= _MAX_STAGES:
            raise OptionError(f"a backbone needs 1 to {_MAX_STAGES} stages with layers for each.")
        if not all(isinstance(count, int) and 1 <= count <= _MAX_LAYERS for count in self.layers):
            raise OptionError(f"a stage needs 1 to {_MAX_LAYERS} layers.")
        if self.backbone not in ("residual", "vgg") or self.stem not in ("small", "large"):
            raise OptionError(f"backbone '{self.backbone}' with stem '{self.stem}' is unknown.")
        if self.backbone == "residual" and self.norm == "none":
            raise OptionError(f'{self.name} needs normalisation; pass `norm="batch"`.')
        if self.pool not in ("sum", "mean"):
            raise OptionError(f"pool '{self.pool}' is unknown; use 'sum' or 'mean'.")


@dataclass(frozen=True, slots=True)
class EmbeddingSetSpec:
    """A backbone that others have designed, and a head over the set of a user's embeddings.

    Attributes:
        name: The name of the network, as options and reports show it.
        backbone: The backbone: a packaged one, or `timm/` and a name of timm.
        features: The length of an embedding, the vector that the backbone makes of a frame.
        hidden: The width of the layer that each embedding passes by itself; 0 for none, so that
            the network is linear in the embeddings.
        dropout: The share of the hidden layer, or of the embeddings without one, that is dropped in
            training; with `clusters` and `topics`, nothing is dropped.
        pool: How the results for a user's frames are combined: by their `sum`, in units of a full
            volume's mean, by their `mean`, or by `attention`, a mean whose weights are learnt. With
            `clusters`, the hidden layer tells how much a frame belongs to each of `hidden` clusters
            of similar frames, and the sum counts a user's frames per cluster. With `topics`, these
            clusters are what frames are chosen from for one of the user's traits (`topics.py`).

    Raises:
        OptionError: A value is out of range.
    """

    name: str
    backbone: str
    features: int
    hidden: int = 128
    dropout: float = 0.5
    pool: HeadPool = "sum"

    def __post_init__(self) -> None:
        _check_common(self.name, (self.features,), "none", self.dropout)
        if not 1 <= len(self.backbone) <= _LONGEST_NAME:
            raise OptionError(f"the name of a backbone must have 1 to {_LONGEST_NAME} characters.")
        if not 0 <= self.hidden <= _MAX_WIDTH:
            raise OptionError(f"hidden {self.hidden} is out of range; use 0 to {_MAX_WIDTH}.")
        if self.pool not in get_args(HeadPool):
            raise OptionError(
                f"pool '{self.pool}' is unknown; use one of {', '.join(get_args(HeadPool))}."
            )
        if self.pool in COUNTED and self.hidden < 2:
            raise OptionError(f"hidden {self.hidden} is out of range; use 2 clusters or more.")


OwnSpec = Cnn3dSpec | DeepSetSpec
"""A network whose layers are all described here."""


@dataclass(frozen=True, slots=True)
class NoImagesSpec:
    """A model that looks at no images, and reads texts.

    Attributes:
        name: The name of the model, as reports show it.

    Raises:
        OptionError: The name is too long.
    """

    name: str = TEXTS_ALONE

    def __post_init__(self) -> None:
        _check_common(self.name, (), "none", 0.0)


NetworkSpec = OwnSpec | EmbeddingSetSpec | NoImagesSpec

PRESETS: Mapping[str, OwnSpec] = {
    "deepset": DeepSetSpec("deepset", (32, 64, 128, 256), (1, 1, 1, 1), pool="sum"),
    # The layouts of torchvision's resnet18, vgg11_bn and vgg16_bn, for which weights exist.
    "deepset-resnet18": DeepSetSpec(
        "deepset-resnet18", (64, 128, 256, 512), (2, 2, 2, 2), stem="large", pool="sum"
    ),
    "deepset-vgg11": DeepSetSpec(
        "deepset-vgg11", (64, 128, 256, 512, 512), (1, 1, 2, 2, 2), backbone="vgg", pool="sum"
    ),
    "deepset-vgg16": DeepSetSpec(
        "deepset-vgg16", (64, 128, 256, 512, 512), (2, 2, 3, 3, 3), backbone="vgg", pool="sum"
    ),
    # After Ji et al. 2010: four layers, each pooled in all directions (depth 11, 6, 3, 2, 1).
    "model1": Cnn3dSpec("model1", widths=(16, 32, 64, 128), pools=(POOL_ALL,) * 4),
    # After Hou et al. 2017: seven layers; four pools reduce the depth to 1, and the last three
    # reduce only height and width.
    "model2": Cnn3dSpec(
        "model2",
        widths=(16, 32, 64, 128, 128, 128, 128),
        pools=(POOL_ALL,) * 4 + (POOL_FRAME,) * 3,
    ),
}
"""The networks that have a name."""

_KINDS: Mapping[
    str, type[Cnn3dSpec] | type[DeepSetSpec] | type[EmbeddingSetSpec] | type[NoImagesSpec]
] = {
    "volume": Cnn3dSpec,
    "deepset": DeepSetSpec,
    "embeddings": EmbeddingSetSpec,
    "none": NoImagesSpec,
}

_READERS: Mapping[str, Mapping[str, Reader]] = {
    "volume": {
        "name": text,
        "widths": list_of(whole),
        "pools": list_of(list_of(whole)),
        "hidden": whole,
        "norm": text,
        "dropout": number,
    },
    "deepset": {
        "name": text,
        "widths": list_of(whole),
        "layers": list_of(whole),
        "backbone": text,
        "stem": text,
        "norm": text,
        "dropout": number,
        "pool": text,
    },
    "embeddings": {
        "name": text,
        "backbone": text,
        "features": whole,
        "hidden": whole,
        "dropout": number,
        "pool": text,
    },
    "none": {"name": text},
}
"""The fields that the JSON of each kind of network may have."""


def network_spec(name: str, **changes: Any) -> OwnSpec:
    """Return the preset of that name, with some of its fields changed.

    Raises:
        OptionError: There is no such preset, or a changed value is out of range.
    """
    if name not in PRESETS:
        raise OptionError(f"network '{name}' is unknown; choose one of {', '.join(PRESETS)}.")
    return replace(PRESETS[name], **changes)


def spec_to_dict(spec: NetworkSpec) -> dict[str, Any]:
    """Return a spec as JSON."""
    kind = next(kind for kind, family in _KINDS.items() if isinstance(spec, family))
    return {"kind": kind, **asdict(spec)}


def spec_from_dict(data: Mapping[str, Any]) -> NetworkSpec:
    """Return the spec that untrusted JSON describes; without a kind, it is a 3D CNN.

    Raises:
        FieldError: A field is missing, unknown or of another type.
        OptionError: A value is out of range.
    """
    fields = dict(data)
    kind = text(fields.pop("kind", "volume"), "network.kind")
    if kind not in _KINDS:
        raise OptionError(
            f"a network of kind '{printable(kind, 40)}' is unknown; upgrade tweetprofile."
        )
    return build(_KINDS[kind], fields, "network", _READERS[kind])
