"""What follows a convolution, computed along with it: the same numbers in fewer steps.

Batch normalisation is folded into the weights of the convolution before it. On processors, the
activation is then applied to each result before it leaves the caches.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tweetprofile.networks.timm_backbones import import_timm


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


def fold_batch_norms(network: nn.Module) -> None:
    """Fold the batch normalisation of a network of timm, in place; only valid in eval mode.

    A normalisation is folded where a trace of the network proves that it is the only one to use the
    result of a convolution. Everything else stays as it is, as does a network that cannot be
    traced: its result is the same, and takes longer.
    """
    kinds = _FoldableKinds()
    if not any(type(module) in kinds.norms for module in network.modules()):
        return
    try:
        graph = _Tracer(kinds).trace(network)
    except Exception:  # a trace runs the network's own code, which raises whatever it likes
        return
    for conv_name, norm_name in _pairs(graph, network, kinds.convs, kinds.norms):
        norm = network.get_submodule(norm_name)
        conv, nothing = folded(network.get_submodule(conv_name), norm)
        network.set_submodule(conv_name, conv)
        # timm's normalisation includes the activation after it.
        network.set_submodule(norm_name, getattr(norm, "act", nothing))


def fuse_activations(network: nn.Module) -> None:
    """Let the convolutions of a network of timm apply the activations that follow them, in place.

    Only valid in eval mode. This takes effect for float32 on processors: with efficientnet-lite0,
    groups of 8 frames of 128 pixels take a fifth less time, and frames of 224 pixels 3% less
    (2026-11-29, two Intel Xeon processors). Where oneDNN is missing, or where a trace does not
    prove that an activation alone uses the result of a convolution, nothing changes.
    """
    if not hasattr(torch.ops.mkldnn, _FUSED):
        return
    kinds = _FoldableKinds()
    try:
        graph = _Tracer(kinds).trace(network)
    except Exception:  # as in `fold_batch_norms`
        return
    for conv_name, activation_name in _pairs(graph, network, kinds.convs, tuple(_ACTIVATIONS)):
        conv, activation = network.get_submodule(conv_name), network.get_submodule(activation_name)
        assert isinstance(conv, nn.Conv2d)
        if conv.padding_mode == "zeros" and not isinstance(conv.padding, str):
            network.set_submodule(conv_name, _FusedConv(conv, activation, kinds))
            network.set_submodule(activation_name, nn.Identity())


_FUSED = "_convolution_pointwise"
"""The operator that PyTorch's own compiler uses to let oneDNN apply an activation."""

_ACTIVATIONS: Mapping[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.SiLU: ("swish", []),
    nn.Hardswish: ("hardswish", []),
}
"""Activations, as the operator calls them, with their numbers."""


class _FusedConv(nn.Module):
    """A convolution that applies an activation to its result."""

    def __init__(self, conv: nn.Conv2d, activation: nn.Module, kinds: "_FoldableKinds") -> None:
        super().__init__()
        self.conv, self.activation = conv, activation
        self._named = _ACTIVATIONS[type(activation)]
        self._pad = kinds.pad_same if type(conv) is kinds.same_conv else None

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        conv = self.conv
        if not (frames.is_cpu and frames.dtype == torch.float32):
            activated: torch.Tensor = self.activation(conv(frames))
            return activated
        if self._pad is not None:
            frames = self._pad(frames, conv.kernel_size, conv.stride, conv.dilation)
        shape = conv.padding, conv.stride, conv.dilation, conv.groups
        fused: torch.Tensor = getattr(torch.ops.mkldnn, _FUSED)(
            frames, conv.weight, conv.bias, *shape, *self._named, ""
        )
        return fused


class _FoldableKinds:
    """The classes of modules that can be folded.

    Subclasses are left out, because some change their weights in the forward pass.
    """

    def __init__(self) -> None:
        import_timm()
        from timm import layers  # noqa: PLC0415 - slow, and only needed here

        self.same_conv, self.pad_same = layers.Conv2dSame, layers.pad_same
        self.convs = (nn.Conv2d, layers.Conv2dSame)
        self.norms = (nn.BatchNorm2d, layers.BatchNormAct2d)
        self.untraceable = tuple(layers.get_notrace_modules())
        self.functions = tuple(layers.get_notrace_functions())


class _Tracer(fx.Tracer):
    """Records which module uses the result of which other one."""

    def __init__(self, kinds: _FoldableKinds) -> None:
        super().__init__(autowrap_functions=kinds.functions)
        self._leaves = (*kinds.convs, *kinds.norms, *kinds.untraceable)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in self._leaves or super().is_leaf_module(m, module_qualified_name)


def _pairs(
    graph: fx.Graph,
    network: nn.Module,
    convs: tuple[type[nn.Module], ...],
    followers: tuple[type[nn.Module], ...],
) -> Iterator[tuple[str, str]]:
    """Yield the names of convolutions and of the modules that alone use their results.

    Args:
        graph: A trace of the network.
        network: The network.
        convs: The classes of the convolutions.
        followers: The classes of the modules that may follow.
    """
    calls = [node for node in graph.nodes if node.op == "call_module"]
    times = Counter(id(network.get_submodule(str(node.target))) for node in calls)

    def is_single(node: fx.Node, classes: tuple[type[nn.Module], ...]) -> bool:
        module = network.get_submodule(str(node.target))
        return type(module) in classes and times[id(module)] == 1

    def source_of(node: fx.Node) -> fx.Node | None:
        """Return the call whose result alone a call works on, over identities in between."""
        source = node.args[0] if node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
            return None
        return source_of(source) if is_single(source, (nn.Identity,)) else source

    for follower in calls:
        conv = source_of(follower)
        if conv is not None and is_single(conv, convs) and is_single(follower, followers):
            yield str(conv.target), str(follower.target)
