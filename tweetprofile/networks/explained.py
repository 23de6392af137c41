"""Logits, and what each frame of a user contributes to them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Explained:
    """The logits of users, and what each frame contributes to them.

    Shapes: N users, D frames of a volume, K classes.

    Attributes:
        logits: (N, K) by trait name.
        contributions: (N, D, K) by trait name; 0 for frames that are not a user's own. Where a
            network adds up frames, they and the biases of its heads add up to the logits.
    """

    logits: Mapping[str, torch.Tensor]
    contributions: Mapping[str, torch.Tensor]
