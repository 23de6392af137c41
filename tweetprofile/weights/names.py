"""The names of weights: from those of other libraries to timm's.

timm itself converts the names of OpenAI's CLIP, open_clip, DINOv2 and others, and resamples the
positional embeddings of transformers to another frame size. Added here are torchvision's networks
and the original code of EfficientNet-Lite. timm's ResNet has the names of torchvision's.
"""

import inspect
import re
import sys
from collections.abc import Callable, Mapping

import torch
from torch import nn

Tensors = dict[str, torch.Tensor]

_WRAPPERS = ("module.", "_orig_mod.", "model.", "state_dict.", "backbone.")
"""What all names begin with when a network was wrapped, for example for several GPUs."""

_FILTERS = ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained")
"""The names that timm's modules give to the function that converts names."""

_CLIP_NAMES = ("visual.class_embedding", "visual.conv1.weight")

Rule = tuple[str, str]
"""A pattern that a whole name matches, and what it becomes."""

_MOST_PIXELS = 64 * 64
"""The largest kernel of a convolution; timm takes minutes and all memory to resample larger ones to
the patches of a transformer."""


def unwrapped(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Return weights without the beginning that all their names share if a network was wrapped."""
    found = dict(tensors)
    while prefix := next((each for each in _WRAPPERS if _all_begin(found, each)), None):
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found


def are_clips(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Return whether weights have the names of OpenAI's CLIP."""
    return any(name in tensors for name in _CLIP_NAMES)


def timm_names(tensors: Mapping[str, torch.Tensor], backbone: nn.Module) -> Tensors:
    """Return weights by the names and in the shapes of a backbone of timm, as far as it is known.

    Args:
        tensors: Weights by the names of timm or of another library, unwrapped.
        backbone: The backbone that they are for.

    Raises:
        ValueError: The weights have impossible shapes.
    """
    for name, tensor in tensors.items():
        if name.endswith("weight") and tensor.ndim == 4 and tensor.shape[2:].numel() > _MOST_PIXELS:
            raise ValueError(f"'{name}' has an impossible shape")
    converted = dict(tensors)
    for sign, rules in _LAYOUTS.items():
        if sign in tensors:
            converted = _renamed(tensors, rules(tensors, backbone))
            break
    return _filtered(converted, backbone)


def _filtered(tensors: Tensors, backbone: nn.Module) -> Tensors:
    """Convert weights by the function that timm has for a kind of network."""
    module = sys.modules[type(backbone).__module__]
    filters = [getattr(module, name) for name in _FILTERS if hasattr(module, name)]
    if not filters:
        return tensors
    convert = filters[0]
    takes_network = len(inspect.signature(convert).parameters) > 1
    with torch.no_grad():
        return dict(convert(tensors, backbone) if takes_network else convert(tensors))


def _all_begin(tensors: Mapping[str, torch.Tensor], prefix: str) -> bool:
    return bool(tensors) and all(name.startswith(prefix) for name in tensors)


def _renamed(tensors: Mapping[str, torch.Tensor], rules: list[Rule]) -> Tensors:
    """Rename weights by the first rule that fits; the names of others stay as they are."""
    found: Tensors = {}
    for name, tensor in tensors.items():
        for pattern, becomes in rules:
            if match := re.fullmatch(pattern, name):
                # torchvision's scale of a layer has a height and a width of 1.
                found[match.expand(becomes)] = tensor.ravel() if "scale" in name else tensor
                break
        else:
            found[name] = tensor
    return found


def _lite_rules(tensors: Mapping[str, torch.Tensor], backbone: nn.Module) -> list[Rule]:
    """EfficientNet-Lite in its original code, whose blocks are numbered without stages."""
    rules = [
        (r"_conv_stem\.(.+)", r"conv_stem.\1"),
        (r"_bn0\.(.+)", r"bn1.\1"),
        (r"_conv_head\.(.+)", r"conv_head.\1"),
        (r"_bn1\.(.+)", r"bn2.\1"),
        (r"_fc\.(.+)", r"classifier.\1"),
    ]
    expanding = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
    for number, block in enumerate(_blocks(backbone)):
        if f"_blocks.{number}._expand_conv.weight" in tensors:
            pairs = zip(expanding, _EXPANDING, strict=True)
        else:
            pairs = zip(expanding[2:], _SEPARABLE, strict=True)
        rules += [(rf"_blocks\.{number}\.{old}\.(.+)", rf"{block}.{new}.\1") for old, new in pairs]
    return rules


_EXPANDING = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
_SEPARABLE = ("conv_dw", "bn1", "conv_pw", "bn2")
"""timm's names in a block of EfficientNet with and without a first convolution that expands."""


def _blocks(backbone: nn.Module) -> list[str]:
    """Return the names of the blocks of a backbone with stages, in their order."""
    names = (name for name, _ in backbone.named_modules())
    return [name for name in names if re.fullmatch(r"blocks\.\d+\.\d+", name)]


def _efficientnet_rules(tensors: Mapping[str, torch.Tensor], _: nn.Module) -> list[Rule]:
    """Torchvision's EfficientNet; each block is a sequence, with or without expansion."""
    stages = {int(name.split(".")[1]) for name in tensors if name.startswith("features.")}
    last = max(stages)
    rules = [
        (r"features\.0\.0\.(.+)", r"conv_stem.\1"),
        (r"features\.0\.1\.(.+)", r"bn1.\1"),
        (rf"features\.{last}\.0\.(.+)", r"conv_head.\1"),
        (rf"features\.{last}\.1\.(.+)", r"bn2.\1"),
        (r"classifier\.1\.(.+)", r"classifier.\1"),
    ]
    for stage in sorted(stages - {0, last}):
        expands = f"features.{stage}.0.block.3.0.weight" in tensors
        names = _EXPANDING if expands else _SEPARABLE
        excitation = 2 if expands else 1
        places = [each for each in range(len(names) // 2 + 1) if each != excitation]
        block = rf"features\.{stage}\.(\d+)\.block"
        becomes = rf"blocks.{stage - 1}.\1"
        for place, conv, norm in zip(places, names[::2], names[1::2], strict=True):
            rules.append((rf"{block}\.{place}\.0\.(.+)", rf"{becomes}.{conv}.\2"))
            rules.append((rf"{block}\.{place}\.1\.(.+)", rf"{becomes}.{norm}.\2"))
        rules.append((rf"{block}\.{excitation}\.fc1\.(.+)", rf"{becomes}.se.conv_reduce.\2"))
        rules.append((rf"{block}\.{excitation}\.fc2\.(.+)", rf"{becomes}.se.conv_expand.\2"))
    return rules


def _convnext_rules(_: Mapping[str, torch.Tensor], __: nn.Module) -> list[Rule]:
    """Torchvision's ConvNeXt, whose features alternate between downsampling and blocks."""
    rules = [
        (r"features\.0\.(.+)", r"stem.\1"),
        (r"classifier\.0\.(.+)", r"head.norm.\1"),
        (r"classifier\.2\.(.+)", r"head.fc.\1"),
    ]
    inner = {"0": "conv_dw", "2": "norm", "3": "mlp.fc1", "5": "mlp.fc2"}
    for stage in range(4):
        block, becomes = rf"features\.{2 * stage + 1}\.(\d+)", rf"stages.{stage}.blocks.\1"
        rules += [
            (rf"{block}\.block\.{old}\.(.+)", rf"{becomes}.{new}.\2") for old, new in inner.items()
        ]
        rules.append((rf"{block}\.layer_scale", rf"{becomes}.gamma"))
        rules.append((rf"features\.{2 * stage}\.(.+)", rf"stages.{stage}.downsample.\1"))
    return rules


def _vit_rules(_: Mapping[str, torch.Tensor], __: nn.Module) -> list[Rule]:
    """Torchvision's vision transformer."""
    layer, block = r"encoder\.layers\.encoder_layer_(\d+)", r"blocks.\1"
    inner = {
        r"ln_1": "norm1",
        r"ln_2": "norm2",
        r"self_attention\.out_proj": "attn.proj",
        r"mlp\.(?:linear_1|0)": "mlp.fc1",
        r"mlp\.(?:linear_2|3)": "mlp.fc2",
    }
    return [
        (r"class_token", r"cls_token"),
        (r"conv_proj\.(.+)", r"patch_embed.proj.\1"),
        (r"encoder\.pos_embedding", r"pos_embed"),
        (r"encoder\.ln\.(.+)", r"norm.\1"),
        (r"heads\.head\.(.+)", r"head.\1"),
        (rf"{layer}\.self_attention\.in_proj_(.+)", rf"{block}.attn.qkv.\2"),
        *((rf"{layer}\.{old}\.(.+)", rf"{block}.{new}.\2") for old, new in inner.items()),
    ]


_LAYOUTS: dict[str, Callable[[Mapping[str, torch.Tensor], nn.Module], list[Rule]]] = {
    "_conv_stem.weight": _lite_rules,
    "encoder.pos_embedding": _vit_rules,
    "features.1.0.layer_scale": _convnext_rules,
    "features.1.0.block.0.0.weight": _efficientnet_rules,
}
"""The rules of each layout, by the name of a weight that only this layout has."""
