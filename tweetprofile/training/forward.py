"""The forward pass of training and validation, in the precision of the recipe."""

import torch
from torch import nn

from tweetprofile.training.recipes import Recipe
from tweetprofile.workers.devices import resolve_precision


def training_dtype(recipe: Recipe, device: torch.device) -> torch.dtype:
    """Return the type that a recipe computes in on a device."""
    if not recipe.mixed_precision:
        return torch.float32
    dtype = resolve_precision("auto", device)
    # The gradients of fp16 would have to be scaled; bf16 has the range of fp32.
    return torch.float32 if dtype == torch.float16 else dtype


def compute_logits(
    network: nn.Module,
    inputs: torch.Tensor,
    mask: torch.Tensor,
    own: torch.Tensor | None,
    dtype: torch.dtype,
) -> dict[str, torch.Tensor]:
    """Return the logits of a network as float32, by trait.

    Args:
        network: The network.
        inputs: The volumes of N users (N, C, D, H, W), or their embeddings (N, D, C).
        mask: Which frames of the volumes are a user's own (N, D).
        own: The positions of these frames, among all N x D; None where nothing is learnt.
        dtype: The type to compute in.
    """
    lower = dtype != torch.float32
    given = (inputs, mask) if own is None else (inputs, mask, own)
    with torch.autocast(inputs.device.type, dtype=dtype, enabled=lower):
        logits: dict[str, torch.Tensor] = network(*given)
    return {trait: values.float() for trait, values in logits.items()}
