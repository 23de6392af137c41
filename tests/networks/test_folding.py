"""What follows the convolutions of timm's networks is computed along, without changing a result."""

import pytest
import torch
from torch import nn

from tweetprofile.networks.folding import fold_batch_norms, fuse_activations
from tweetprofile.networks.timm_backbones import build_backbone

CONVOLUTIONAL = {
    "timm/test_resnet": 0,
    "timm/test_efficientnet": 0,
    "efficientnet-lite0": 0,
    "timm/mobilenetv3_small_050": 0,
    "timm/regnetx_002": 0,
    "timm/test_byobnet": 0,
    "timm/repvgg_a0": 17,  # a branch that is a normalisation alone
    "timm/mobilevit_xxs": 9,  # normalisation after a concatenation
    "timm/resnetv2_18": 9,  # normalisation before convolutions
}
"""Networks, and how many of their normalisations no convolution precedes."""


def norms(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def trained(name: str) -> nn.Module:
    """A backbone whose normalisations have statistics, as after training."""
    torch.manual_seed(0)
    network = build_backbone(name, 64, 64).eval()
    for norm in norms(network):
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.1)
    return network


@pytest.mark.parametrize(("name", "left"), CONVOLUTIONAL.items())
def test_folding_changes_no_vector_and_leaves_what_no_convolution_precedes(
    name: str, left: int
) -> None:
    network = trained(name)
    frames = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = network(frames)
        fold_batch_norms(network)
        found = network(frames)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert len(norms(network)) == left


FUSED = {
    "timm/test_resnet": 8,
    "timm/test_efficientnet": 11,
    "efficientnet-lite0": 33,
    "timm/mobilenetv3_small_050": 33,
    "timm/regnetx_002": 27,
    "timm/repvgg_a0": 0,  # its branches are added up first
    "timm/test_vit": 0,
}
"""Networks, and how many of their convolutions apply an activation."""


@pytest.mark.parametrize(("name", "count"), FUSED.items())
def test_convolutions_that_apply_activations_change_no_vector(name: str, count: int) -> None:
    network = trained(name)
    fold_batch_norms(network)
    frames = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = network(frames)
        fuse_activations(network)
        found = network(frames)
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
        other = network.bfloat16()(frames.bfloat16()).float()  # which applies them afterwards
    assert (other - expected).abs().max() <= 0.1 * expected.abs().max()
    assert sum(type(module).__name__ == "_FusedConv" for module in network.modules()) == count


def test_a_network_without_batch_normalisation_stays_as_it_is() -> None:
    network = build_backbone("timm/test_vit", 64, 64).eval()
    expected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fold_batch_norms(network)
    fuse_activations(network)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, expected[name])


class _Shared(nn.Module):
    """A convolution whose result is used twice, one that is called twice, and an odd one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.conv2, self.bn2 = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.conv3, self.bn3 = _Standardised(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.conv4, self.act = nn.Conv2d(3, 3, 1), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        x = x + self.bn1(x)
        x = self.bn2(self.conv2(self.conv2(x)))
        result: torch.Tensor = self.bn3(self.conv3(x))
        seen: torch.Tensor = self.conv4(result)  # once as it is, and once activated
        activated: torch.Tensor = self.act(seen)
        return activated + seen.sum()


class _Standardised(nn.Conv2d):
    """A convolution that computes with other weights than it has, as some of timm's do."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weight = self.weight / self.weight.std()
        return nn.functional.conv2d(input, weight, self.bias, padding=1)


def test_a_convolution_that_does_more_than_feed_a_normalisation_stays_as_it_is() -> None:
    torch.manual_seed(0)
    network = _Shared()
    frames = torch.randn(8, 3, 16, 16)
    network(frames)
    expected = network.eval()(frames)
    fold_batch_norms(network)
    fuse_activations(network)
    assert torch.equal(network(frames), expected)
    assert len(norms(network)) == 3
