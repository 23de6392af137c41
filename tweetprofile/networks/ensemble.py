"""Several networks as one: the mean of their logits is more reliable than those of one network.

Shapes: N users, C channels, D frames of a volume, H, W.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from tweetprofile.networks.cnn3d import Cnn3d
from tweetprofile.networks.deepset import DeepSet
from tweetprofile.networks.embedding_head import EmbeddingHead
from tweetprofile.networks.explained import Explained


class Ensemble(nn.Module):
    """The mean over networks of one spec that were trained independently.

    Args:
        members: The networks, at least one, which are used unchanged.
    """

    def __init__(self, members: Sequence[Cnn3d | DeepSet | EmbeddingHead]) -> None:
        super().__init__()
        self.spec = members[0].spec
        self.volume_spec = members[0].volume_spec
        self.schema = members[0].schema
        self.members = nn.ModuleList(members)

    def forward(
        self, users: torch.Tensor, mask_ND: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """Return the members' mean logits: (N, classes) by trait name.

        Args:
            users: What each member takes: the volumes of users, or their embeddings.
            mask_ND: Which frames are a user's own; None if all are.
        """
        each: list[dict[str, Any]] = [member(users, mask_ND) for member in self.members]
        return self._mean(each)

    def explain(self, users: torch.Tensor, mask_ND: torch.Tensor) -> Explained:
        """Return the logits of `forward`, and what each frame adds to them.

        All members must be networks that have this method, too.
        """
        each = []
        for member in self.members:
            assert isinstance(member, DeepSet | EmbeddingHead)
            each.append(member.explain(users, mask_ND))
        return Explained(
            self._mean([one.logits for one in each]),
            self._mean([one.contributions for one in each]),
        )

    def _mean(self, each: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        return {
            name: torch.stack([values[name] for values in each]).mean(dim=0)
            for name in self.schema.names
        }

    def compute_in(self, dtype: torch.dtype) -> None:
        """Let the convolutions of all members compute in `dtype`."""
        for member in self.members:
            assert isinstance(member, (Cnn3d, DeepSet, EmbeddingHead))
            member.compute_in(dtype)
