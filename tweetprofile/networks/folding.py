"""Batch normalisation folded into the convolution before it: the same numbers in half the steps."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator

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
    for conv_name, norm_name in _pairs(graph, network, kinds):
        norm = network.get_submodule(norm_name)
        conv, nothing = folded(network.get_submodule(conv_name), norm)
        network.set_submodule(conv_name, conv)
        # timm's normalisation includes the activation after it.
        network.set_submodule(norm_name, getattr(norm, "act", nothing))


class _FoldableKinds:
    """The classes of modules that can be folded.

    Subclasses are left out, because some change their weights in the forward pass.
    """

    def __init__(self) -> None:
        import_timm()
        from timm import layers  # noqa: PLC0415 - slow, and only needed here

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


def _pairs(graph: fx.Graph, network: nn.Module, kinds: _FoldableKinds) -> Iterator[tuple[str, str]]:
    """Yield the names of convolutions and of the normalisations that alone use their results."""
    calls = [node for node in graph.nodes if node.op == "call_module"]
    times = Counter(id(network.get_submodule(str(node.target))) for node in calls)

    def is_single(node: fx.Node, classes: tuple[type[nn.Module], ...]) -> bool:
        module = network.get_submodule(str(node.target))
        return type(module) in classes and times[id(module)] == 1

    for norm in calls:
        conv = norm.args[0] if norm.args else None
        if (
            isinstance(conv, fx.Node)
            and conv.op == "call_module"
            and len(conv.users) == 1
            and is_single(conv, kinds.convs)
            and is_single(norm, kinds.norms)
        ):
            yield str(conv.target), str(norm.target)
