"""What a file of weights says about its input, compared with what the backbone is given.

Weights that get frames of another normalisation than they were trained with load without an error,
and give worse features. So a file next to the weights that says it is believed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from tweetprofile.errors import CheckpointError
from tweetprofile.networks.timm_backbones import BackboneFacts, Channels, normalisations
from tweetprofile.plurals import count_of
from tweetprofile.untrusted.fields import (
    FieldError,
    list_of,
    number,
    optional,
    parse_json,
    read_known,
    text,
)
from tweetprofile.untrusted.text import printable
from tweetprofile.weights.names import are_clips

CONFIGS = ("config.json", "open_clip_config.json", "preprocessor_config.json")
"""The files of timm, open_clip and transformers that say how images are normalised."""

_MAX_BYTES = 1 << 20

_CLOSE = 0.6
"""The largest difference in grey levels that is none: timm rounds 127 of 255 to a half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How the images were normalised that weights were trained with.

    Attributes:
        told_by: What says so.
        mean: The mean of each channel, in grey levels.
        std: The deviation of each channel, in grey levels.
    """

    told_by: str
    mean: Channels
    std: Channels


_CLIP = Preprocessing(
    told_by="CLIP, whose names its weights have,",
    mean=(122.770938, 116.746013, 104.093736),
    std=(68.500533, 66.632158, 70.323163),
)


def told_license(path: Path) -> str | None:
    """Return the licence that timm's configuration next to a file of weights names, if any.

    Raises:
        CheckpointError: The configuration is not readable.
    """
    found = _read(path.parent / CONFIGS[0])
    inner = found.get("pretrained_cfg")
    try:
        fields = read_known(inner if isinstance(inner, dict) else {}, "", {"license": text})
    except FieldError:
        return None
    license_name = fields.get("license")
    return None if license_name is None else printable(license_name, 100)


def check_preprocessing(
    path: Path, tensors: Mapping[str, torch.Tensor], facts: BackboneFacts
) -> None:
    """Refuse weights that were trained with another normalisation than their backbone is given.

    Args:
        path: The file of the weights.
        tensors: The weights by the names that they have in the file.
        facts: What is known of the backbone.

    Raises:
        CheckpointError: The normalisation differs, or a configuration is not readable.
    """
    told = [each for name in CONFIGS if (each := _told(path.parent / name)) is not None]
    # Some trainings of CLIP's networks have another mean, and naming one of them says so.
    chosen = "clip" in facts.name and "." in facts.name
    if not told and are_clips(tensors) and not chosen:
        told = [_CLIP]
    for each in told:
        if not _is_close(each, facts.mean, facts.std):
            raise CheckpointError(
                f"{path} was trained with another normalisation than '{facts.name}': "
                f"{each.told_by} has mean {_shown(each.mean)} and deviation {_shown(each.std)} "
                f"instead of {_shown(facts.mean)} and {_shown(facts.std)}; {_remedy(each, facts)}."
            )


def _remedy(told: Preprocessing, facts: BackboneFacts) -> str:
    if told is _CLIP:
        return "use one of CLIP's backbones, such as timm/vit_base_patch16_clip_224.openai"
    known = normalisations(facts.name).items()
    fitting = [name for name, (mean, std) in known if _is_close(told, mean, std)]
    if fitting:
        return f"use the backbone {' or '.join(fitting[:3])}"
    return "use the backbone that it was made for"


def _is_close(told: Preprocessing, mean: Channels, std: Channels) -> bool:
    pairs = zip((*told.mean, *told.std), (*mean, *std), strict=True)
    return all(abs(one - other) <= _CLOSE for one, other in pairs)


def _told(path: Path) -> Preprocessing | None:
    """Return the normalisation that a configuration tells; None if it tells none."""
    found = _read(path)
    inner = found.get("pretrained_cfg") or found.get("preprocess_cfg") or found
    names = ("image_mean", "image_std") if "image_mean" in found else ("mean", "std")
    if not isinstance(inner, dict) or not all(name in inner for name in names):
        return None
    try:
        shares = read_known(inner, path.name, dict.fromkeys(names, optional(list_of(number))))
        mean, std = (_grey_levels(shares[name], f"{path.name}.{name}") for name in names)
    except FieldError as error:
        _refuse(path, error)
    return (
        None
        if mean is None or std is None
        else Preprocessing(told_by=path.name, mean=mean, std=std)
    )


def _grey_levels(shares: tuple[float, ...] | None, what: str) -> Channels | None:
    if shares is None:
        return None
    if len(shares) != 3:
        raise FieldError(f"{what} has {count_of(len(shares), 'value')} and must have 3")
    red, green, blue = (255 * share for share in shares)
    return red, green, blue


def _read(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            return {}
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise FieldError(f"it has more than {_MAX_BYTES:,} bytes")
        found = parse_json(data, "it")
    except (FieldError, OSError) as error:
        _refuse(path, error)
    return found if isinstance(found, dict) else {}


def _refuse(path: Path, error: Exception) -> NoReturn:
    reason = getattr(error, "strerror", None) or str(error)
    raise CheckpointError(
        f"{path}, which may say how the weights next to it were trained, is not readable "
        f"({printable(reason, 200)}); repair it, or move the weights to a folder of their own."
    ) from None


def _shown(values: Channels) -> str:
    return "/".join(f"{value:.4g}" for value in values)
