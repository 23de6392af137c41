"""Fill a backbone with the weights that others have trained, wholly or not at all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import torch
from torch import nn

from tweetprofile.checkpoints.tensors import TensorKind, first_not_finite
from tweetprofile.checkpoints.weights_record import WeightsRecord
from tweetprofile.errors import CheckpointError
from tweetprofile.networks.timm_backbones import BackboneFacts, classifier_names
from tweetprofile.untrusted.text import printable
from tweetprofile.weights.files import read_weights_file
from tweetprofile.weights.names import timm_names, unwrapped
from tweetprofile.weights.preprocessing import check_preprocessing
from tweetprofile.weights.sources import find_weights

_MOST_NAMES = 10

_PROJECTIONS = frozenset({"head.weight", "head.bias", "head.fc.weight", "head.fc.bias"})
"""timm's names for CLIP's projection to the space of text, also in networks without classes."""


def load_backbone_weights(backbone: nn.Module, facts: BackboneFacts, source: str) -> WeightsRecord:
    """Fill a backbone with weights, all of them or none.

    Args:
        backbone: The backbone, with memory for its weights.
        facts: What is known of the backbone.
        source: `package`, `hub` or `hub@COMMIT`, `cache` or `cache@COMMIT`, or the path of a file.
            Only `hub` uses the network.

    Raises:
        CheckpointError: There are no such weights, they are damaged, do not fit the backbone, or
            were trained with another normalisation.
        OptionError: The source does not fit the backbone, or needs a package that is missing.
    """
    found = find_weights(facts, source)
    file = read_weights_file(found.path)
    tensors = unwrapped(file.tensors)
    check_preprocessing(found.path, tensors, facts)
    wanted = backbone.state_dict()
    given = _converted(found.path, tensors, backbone, facts)
    _check_names(found.path, given, wanted, facts)
    state = {name: given[name].to(wanted[name].dtype) for name in wanted if name in given}
    _check_numbers(found.path, state)
    # The number of batches that a normalisation has seen is no weight, and older files lack it.
    backbone.load_state_dict(state, strict=False)
    return WeightsRecord(source=found.source, license=found.license, sha256=file.sha256)


def _converted(
    path: Path, tensors: Mapping[str, torch.Tensor], backbone: nn.Module, facts: BackboneFacts
) -> dict[str, torch.Tensor]:
    try:
        converted = timm_names(tensors, backbone)
    except Exception as error:  # timm converts what it expects, and stumbles over anything else
        _refuse(path, facts, f"its weights cannot be converted ({printable(str(error), 200)})")
    unneeded = (classifier_names(facts.name) | _PROJECTIONS) - backbone.state_dict().keys()
    return {name: tensor for name, tensor in converted.items() if name not in unneeded}


def _check_names(
    path: Path,
    given: Mapping[str, torch.Tensor],
    wanted: Mapping[str, torch.Tensor],
    facts: BackboneFacts,
) -> None:
    """Refuse weights that would fill only a part of a backbone, or of which a part is left over."""
    missing = [
        name for name in wanted if name not in given and not name.endswith("num_batches_tracked")
    ]
    unexpected = [name for name in given if name not in wanted]
    others = [
        f"{name} as {TensorKind.of(given[name])} instead of {TensorKind.of(tensor)}"
        for name, tensor in wanted.items()
        if name in given and not _fits(given[name], tensor)
    ]
    faults = {"it lacks ": missing, "it has, in addition, ": unexpected, "it has ": others}
    kinds = sum(map(bool, faults.values()))
    if kinds:
        most = _MOST_NAMES // kinds
        listed = (what + _listed(names, most) for what, names in faults.items() if names)
        resized = not (missing or unexpected or facts.any_side)
        _refuse(path, facts, ", and ".join(listed), resized=resized)


def _fits(given: torch.Tensor, wanted: torch.Tensor) -> bool:
    same_kind = given.is_floating_point() == wanted.is_floating_point()
    return same_kind and given.shape == wanted.shape


def _listed(names: Sequence[str], most: int) -> str:
    shown = ", ".join(printable(name, 120) for name in names[:most])
    more = len(names) - most
    return f"{shown} and {more:,} more" if more > 0 else shown


def _check_numbers(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    name, what = first_not_finite(state), "infinite values or NaN"
    if name is None:
        variances = (name for name in state if name.endswith("running_var"))
        name = next((each for each in variances if bool((state[each] < 0).any())), None)
        what = "negative variances"
    if name is not None:
        raise CheckpointError(
            f"{path}: weight '{printable(name, 200)}' contains {what}; give `weights` another file."
        )


def _refuse(path: Path, facts: BackboneFacts, reason: str, *, resized: bool = False) -> NoReturn:
    # timm resamples what it can; the rest fits frames of one size only.
    other_size = f", or frames with a `frame_size` of {facts.side}" if resized else ""
    raise CheckpointError(
        f"the weights in {path} are not those of '{facts.name}': {reason}; use the backbone that "
        f"they were made for{other_size}."
    ) from None
