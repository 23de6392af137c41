"""The paper's networks: a volume in, one vector of logits per trait out.

Both are 3D CNNs of Valdez-Rodriguez, Calvo and Felipe-Riveron, "Author Profiling From Images
Using 3D Convolutional Neural Networks" (MEX-A3T at IberLEF 2019): kernels of 2 x 3 x 3 with "same"
padding, ReLU, max-pooling that keeps the remainder at an edge (ceil mode), a fully connected ReLU
stage, and one linear head per trait. The paper gives no channel widths, no hidden width and no
normalisation: those are our choice, and `Cnn3dSpec` holds all of them.

Shapes: N users, C channels, D frames of a volume, H, W.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import pad

from tweetprofile.networks.folding import Foldable, folded
from tweetprofile.networks.heads import Heads
from tweetprofile.networks.specs import Cnn3dSpec, Norm, Pool
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes.spec import VolumeSpec

KERNEL = (2, 3, 3)
"""The kernel of every convolution, D x H x W (the paper, section 3)."""

_ONE_FRAME_AFTER = (0, 0, 0, 0, 0, 1)
_ONE_PIXEL_AROUND = (0, 1, 1)
"""Together the "same" padding of `KERNEL`: before and after W, H and D, then on both sides of D x H
x W. Torch pads in the same two steps for `padding="same"`, but warns about the even kernel."""

NEXT_FRAME = 0.1
"""The initial size of a kernel's weights for the next frame, relative to the same frame's."""


class Cnn3d(nn.Module):
    """A 3D CNN over volumes with one head per trait.

    Args:
        spec: The layers of the network.
        volume_spec: The volumes that the network takes.
        schema: The traits that the network predicts.
    """

    def __init__(self, spec: Cnn3dSpec, volume_spec: VolumeSpec, schema: TraitSchema) -> None:
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
        self.heads = Heads(spec.hidden, schema)

    def initialise(self) -> None:
        """Draw the initial weights of a training from torch's random numbers.

        The constructor does not, because loading a checkpoint calls it, too.
        """
        self.apply(_initialise)
        self.heads.initialise()

    def forward(
        self,
        volumes_NCDHW: torch.Tensor,
        mask_ND: torch.Tensor | None = None,
        own_M: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return the logits of every trait.

        Args:
            volumes_NCDHW: The (N, 3, D, H, W) volumes, normalised by the volume spec.
            mask_ND: Ignored: this network treats frames that only fill a volume like any others.
            own_M: Ignored as well.

        Returns:
            The (N, classes) logits by trait name, in schema order.
        """
        volumes = volumes_NCDHW.contiguous(memory_format=torch.channels_last_3d)
        hidden = self.hidden(self.blocks(volumes).flatten(1))
        logits: dict[str, torch.Tensor] = self.heads(hidden)
        return logits

    def compute_in(self, dtype: torch.dtype) -> None:
        """Let the convolutions compute in `dtype`, with channels-last weights, as volumes are.

        The last convolution and everything after it stay in float32, which costs a fiftieth of a
        run's time and halves the error of bf16.
        """
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        *early, last = self.blocks
        self.blocks = nn.Sequential(*(block.to(dtype) for block in early), _ToFloat32(), last)


class _ToFloat32(nn.Module):
    """Ends the part of the network that computes in lower precision."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float()


class _ConvBlock(Foldable):
    """A convolution, an optional normalisation, ReLU and max-pooling."""

    def __init__(self, inputs: int, outputs: int, pool: Pool, norm: Norm) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Conv3d(
            inputs, outputs, KERNEL, padding=_ONE_PIXEL_AROUND, bias=norm == "none"
        )
        self.norm: nn.Module = nn.BatchNorm3d(outputs) if norm == "batch" else nn.Identity()
        self.pool = nn.MaxPool3d(pool, ceil_mode=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # ReLU and maximum commute, and after the pool an eighth of the ReLU's work is left.
        pooled: torch.Tensor = self.pool(self.norm(self.conv(pad(x, _ONE_FRAME_AFTER))))
        return pooled.relu_()

    def fold(self) -> None:
        """Fold the normalisation into the convolution."""
        self.conv, self.norm = folded(self.conv, self.norm)


def _pooled(shape: Sequence[int], pools: Sequence[Pool]) -> tuple[int, ...]:
    """Return (D, H, W) after all pools, each rounding up."""
    for pool in pools:
        shape = [math.ceil(side / step) for side, step in zip(shape, pool, strict=True)]
    return tuple(shape)


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    """Initialise as He et al. do, which keeps the variance through ReLU layers.

    The order of a volume's frames carries no meaning. Kernels therefore start almost as 2D kernels,
    with small weights for the next frame, and the network first learns from single frames.
    """
    if not isinstance(module, (nn.Conv3d, nn.Linear)):
        return
    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    if isinstance(module, nn.Conv3d):
        shares = module.weight.new_tensor([1.0, NEXT_FRAME])
        module.weight *= (shares / shares.square().mean().sqrt())[:, None, None]
    if module.bias is not None:
        nn.init.zeros_(module.bias)
