"""Batch normalisation folded into the convolution before it: the same numbers, half the passes."""

from abc import ABC, abstractmethod

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Foldable(nn.Module, ABC):
    """A module with convolutions that are followed by batch normalisation."""

    @abstractmethod
    def fold(self) -> None:
        """Fold each normalisation into its convolution, in place; in eval mode only."""


def folded(conv: nn.Module, norm: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A convolution that does both, and what is left of the normalisation: nothing."""
    if isinstance(norm, (nn.BatchNorm2d, nn.BatchNorm3d)):
        assert isinstance(conv, (nn.Conv2d, nn.Conv3d))
        return fuse_conv_bn_eval(conv, norm), nn.Identity()
    return conv, norm
