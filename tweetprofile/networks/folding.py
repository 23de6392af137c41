"""Batch normalisation folded into the convolution before it: the same numbers in half the steps."""

from abc import ABC, abstractmethod

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Foldable(nn.Module, ABC):
    """A module in which batch normalisation follows convolutions."""

    @abstractmethod
    def fold(self) -> None:
        """Fold each normalisation into its convolution, in place; only valid in eval mode."""


def folded(conv: nn.Module, norm: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Return a convolution that does the work of both, and an identity for the normalisation."""
    if isinstance(norm, (nn.BatchNorm2d, nn.BatchNorm3d)):
        assert isinstance(conv, (nn.Conv2d, nn.Conv3d))
        return fuse_conv_bn_eval(conv, norm), nn.Identity()
    return conv, norm


def fold_batch_norms(module: nn.Module) -> None:
    """Stub."""
