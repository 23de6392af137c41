"""The networks: volumes in, one vector of logits a trait out.

Both are the 3D CNNs of Valdez-Rodriguez, Calvo and Felipe-Riveron, "Author Profiling From Images
Using 3D Convolutional Neural Networks" (MEX-A3T at IberLEF 2019): kernels of 2 x 3 x 3 with "same"
padding, ReLU, max-pooling that keeps what is left over at an edge (ceil mode), a fully connected
ReLU stage, one linear head a trait. The paper gives no channel widths, no hidden width and no
normalisation: those are ours, and all of them stand in a `NetworkSpec`.

Shapes: N users, C channels, D frames of a volume, H, W.
"""

import copy
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tweetprofile.errors import OptionError
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes import VolumeSpec

# "Same" padding of an even kernel pads one side only, which torch thinks worth a warning.
warnings.filterwarnings("ignore", message="Using padding='same' with even kernel")

Pool = tuple[int, int, int]
Norm = Literal["none", "batch"]

KERNEL = (2, 3, 3)
"""Kernel of every convolution, D x H x W (the paper, section 3)."""

POOL_ALL: Pool = (2, 2, 2)
POOL_FRAME: Pool = (1, 2, 2)
"""Reduces H and W and leaves the depth alone."""

_MAX_WIDTH = 4096
_MAX_LAYERS = 64


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Everything that makes a network but its weights; stored in the checkpoint.

    Attributes:
        name: what users call it.
        widths: output channels of each convolutional layer.
        pools: max-pooling after each convolutional layer, D x H x W.
        hidden: width of the fully connected stage.
        norm: `batch` normalisation between convolution and ReLU, or `none` as in the paper.
        dropout: share of the fully connected stage that is dropped in training.

    Raises:
        OptionError: a value out of range.
    """

    name: str
    widths: tuple[int, ...]
    pools: tuple[Pool, ...]
    hidden: int = 256
    norm: Norm = "none"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        sizes = (*self.widths, self.hidden)
        if not all(isinstance(size, int) and 1 <= size <= _MAX_WIDTH for size in sizes):
            raise OptionError(
                f"network widths {sizes} must be whole numbers from 1 to {_MAX_WIDTH}."
            )
        if len(self.pools) != len(self.widths) or not 1 <= len(self.widths) <= _MAX_LAYERS:
            raise OptionError(f"a network needs 1 to {_MAX_LAYERS} layers and a pool for each.")
        if any(len(pool) != 3 or not all(side in (1, 2) for side in pool) for pool in self.pools):
            raise OptionError(f"network pools {self.pools} must be triples of 1 and 2.")
        if self.norm not in ("none", "batch"):
            raise OptionError(f"norm '{self.norm}' is unknown; give 'none' or 'batch'.")
        if not 0.0 <= self.dropout < 1.0:
            raise OptionError(f"dropout {self.dropout} must be at least 0 and below 1.")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "NetworkSpec":
        """The inverse of `dataclasses.asdict`, from JSON's lists."""
        pools = tuple(tuple(pool) for pool in data["pools"])
        return cls(**{**data, "widths": tuple(data["widths"]), "pools": pools})


PRESETS: Mapping[str, NetworkSpec] = {
    # After Ji et al. 2010: four layers, each pooled in all directions (depth 11, 6, 3, 2, 1).
    "model1": NetworkSpec("model1", widths=(16, 32, 64, 128), pools=(POOL_ALL,) * 4),
    # After Hou et al. 2017: seven layers; once four pools have brought the depth to 1, the last
    # three reduce height and width only.
    "model2": NetworkSpec(
        "model2",
        widths=(16, 32, 64, 128, 128, 128, 128),
        pools=(POOL_ALL,) * 4 + (POOL_FRAME,) * 3,
    ),
}
"""The networks that can be asked for by name."""


def network_spec(name: str, **changes: Any) -> NetworkSpec:
    """The preset of that name, with some of its fields changed.

    Raises:
        OptionError: no such preset.
    """
    if name not in PRESETS:
        raise OptionError(f"network '{name}' is unknown; give one of {', '.join(PRESETS)}.")
    return replace(PRESETS[name], **changes)


class VolumeNetwork(nn.Module):
    """A 3D CNN over volumes with one head a trait.

    Args:
        spec: its layers.
        volume_spec: the volumes it takes.
        schema: the traits it predicts.
    """

    def __init__(self, spec: NetworkSpec, volume_spec: VolumeSpec, schema: TraitSchema) -> None:
        super().__init__()
        self.spec = spec
        self.volume_spec = volume_spec
        self.schema = schema
        channels = (3, *spec.widths)
        self.blocks = nn.Sequential(
            *(
                _ConvBlock(channels[layer], channels[layer + 1], spec.pools[layer], spec.norm)
                for layer in range(len(spec.widths))
            )
        )
        features = spec.widths[-1] * math.prod(_pooled(volume_spec.shape, spec.pools))
        self.hidden = nn.Sequential(
            nn.Linear(features, spec.hidden), nn.ReLU(), nn.Dropout(spec.dropout)
        )
        # Prefixed, since a module cannot hold a child named as one of its methods ("type").
        self.heads = nn.ModuleDict(
            {f"head_{trait.name}": nn.Linear(spec.hidden, len(trait.classes)) for trait in schema}
        )

    def initialise(self) -> None:
        """Draw the weights that training begins with, from torch's random numbers.

        Apart from the constructor, which loading a checkpoint goes through, too.
        """
        self.apply(_initialise)
        for head in self.heads.values():
            assert isinstance(head, nn.Linear)
            # Near-zero logits: training begins at chance, not at a confident mistake.
            nn.init.normal_(head.weight, std=0.01)

    def forward(self, volumes_NCDHW: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits of every trait.

        Args:
            volumes_NCDHW: (N, 3, D, H, W) float, normalised by the volume spec.

        Returns:
            Trait name to (N, classes), in schema order.
        """
        hidden = self.hidden(self.blocks(volumes_NCDHW).flatten(1))
        return {name: self.heads[f"head_{name}"](hidden) for name in self.schema.names}


def fold_normalisation(network: VolumeNetwork) -> VolumeNetwork:
    """A copy in eval mode whose batch normalisation is folded into its convolutions."""
    folded = copy.deepcopy(network).eval()
    for block in folded.blocks:
        assert isinstance(block, _ConvBlock)
        if isinstance(block.norm, nn.BatchNorm3d):
            block.conv = fuse_conv_bn_eval(block.conv, block.norm)
            block.norm = nn.Identity()
    return folded


def for_inference(
    network: VolumeNetwork, device: torch.device, dtype: torch.dtype
) -> VolumeNetwork:
    """A copy on a device whose convolutions compute in `dtype`; it takes volumes of that type.

    The last convolution and all after it stay in float32: that costs a fiftieth of a run and halves
    the error of bf16. The convolutions' weights are channels-last, as volumes are. Autocast would
    convert them at every pass, and the result of every convolution.
    """
    copied: VolumeNetwork = copy.deepcopy(network).to(
        device,
        memory_format=torch.channels_last_3d,  # type: ignore[call-overload]
    )
    *lower, last = copied.blocks
    copied.blocks = nn.Sequential(*(block.to(dtype) for block in lower), _ToFloat32(), last)
    return copied


class _ToFloat32(nn.Module):
    """Ends the part that computes in lower precision."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float()


class _ConvBlock(nn.Module):
    """Convolution, normalisation if any, ReLU, max-pooling."""

    def __init__(self, inputs: int, outputs: int, pool: Pool, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, KERNEL, padding="same", bias=norm == "none")
        self.norm = nn.BatchNorm3d(outputs) if norm == "batch" else nn.Identity()
        self.pool = nn.MaxPool3d(pool, ceil_mode=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # ReLU and maximum can be swapped; after the pool there is an eighth of it to do.
        pooled: torch.Tensor = self.pool(self.norm(self.conv(x)))
        return pooled.relu_()


def _pooled(shape: Sequence[int], pools: Sequence[Pool]) -> tuple[int, ...]:
    """(D, H, W) after all pools, rounding up."""
    for pool in pools:
        shape = [math.ceil(side / step) for side, step in zip(shape, pool, strict=True)]
    return tuple(shape)


def _initialise(module: nn.Module) -> None:
    """He initialisation, which keeps the variance through ReLU layers without normalisation."""
    if isinstance(module, (nn.Conv3d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
