"""The 2D CNNs that process single frames: a frame in, one vector of features out.

Their modules have the names of torchvision's `resnet18` and `vgg11_bn`, so that weights pretrained
on other images can be loaded into them (`training/pretrained.py`). A further backbone is a class
here, a value of `DeepSetSpec.backbone`, and a preset in `specs.py`.

Shapes: M frames, C channels, H, W.
"""

import torch
from torch import nn

from tweetprofile.networks.folding import Foldable, folded
from tweetprofile.networks.specs import DeepSetSpec, Norm


def build_cnn(spec: DeepSetSpec) -> nn.Module:
    """Build the backbone of a spec: (M, 3, H, W) to (M, spec.widths[-1])."""
    return ResNet(spec) if spec.backbone == "residual" else Vgg(spec)


class ResNet(Foldable):
    """Stages of residual blocks (He et al. 2016); each stage but the first halves the frame."""

    def __init__(self, spec: DeepSetSpec) -> None:
        super().__init__()
        first = spec.widths[0]
        large = spec.stem == "large"
        side = 7 if large else 3
        self.conv1: nn.Module = nn.Conv2d(3, first, side, 2, side // 2, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(first)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        inputs, self.stages = first, []
        for number, (width, blocks) in enumerate(zip(spec.widths, spec.layers, strict=True), 1):
            stage = [ResidualBlock(inputs, width, stride=1 if number == 1 else 2)]
            stage += [ResidualBlock(width, width) for _ in range(blocks - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*stage))
            self.stages.append(f"layer{number}")
            inputs = width

    def forward(self, frames_MCHW: torch.Tensor) -> torch.Tensor:
        """Return the features of each frame: (M, C)."""
        x: torch.Tensor = self.maxpool(self.bn1(self.conv1(frames_MCHW)).relu_())
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        return x.mean(dim=(2, 3))

    def fold(self) -> None:
        """Fold the stem; the blocks are folded by themselves."""
        self.conv1, self.bn1 = folded(self.conv1, self.bn1)


class ResidualBlock(Foldable):
    """Two convolutions and a shortcut around them."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1: nn.Module = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(outputs)
        self.conv2: nn.Module = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2: nn.Module = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (M, C, H, W) to (M, outputs, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        inner = self.bn1(self.conv1(x)).relu_()
        result: torch.Tensor = (self.bn2(self.conv2(inner)) + shortcut).relu_()
        return result

    def fold(self) -> None:
        """Fold both convolutions and that of the shortcut."""
        self.conv1, self.bn1 = folded(self.conv1, self.bn1)
        self.conv2, self.bn2 = folded(self.conv2, self.bn2)
        if self.downsample is not None:
            self.downsample = nn.Sequential(*folded(*self.downsample))


class Vgg(Foldable):
    """Stages of plain convolutions (Simonyan and Zisserman 2015), each followed by a pool."""

    def __init__(self, spec: DeepSetSpec) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width, convolutions in zip(spec.widths, spec.layers, strict=True):
            for _ in range(convolutions):
                layers += _vgg_layer(inputs, width, spec.norm)
                inputs = width
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        self.features = nn.Sequential(*layers)

    def forward(self, frames_MCHW: torch.Tensor) -> torch.Tensor:
        """Return the features of each frame: (M, C)."""
        features: torch.Tensor = self.features(frames_MCHW)
        return features.mean(dim=(2, 3))

    def fold(self) -> None:
        """Fold every normalisation into the convolution before it."""
        for position in range(len(self.features) - 1):
            pair = self.features[position], self.features[position + 1]
            self.features[position], self.features[position + 1] = folded(*pair)


def _vgg_layer(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    # The convolution has a bias even before normalisation, as in torchvision.
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)
    return [conv, nn.ReLU()] if norm == "none" else [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
