"""The network over embeddings: a backbone that others have trained, and a head for our traits.

The backbone turns each frame into an embedding, a vector of features. The head combines the
embeddings of a user, in any order and number, as `deepset.py` combines what it learns itself.

Shapes: N users, C features of an embedding, D frames of a volume, H, W, M frames of all users
together.
"""

from typing import Literal

import torch

from tweetprofile.networks.embedding_head import EmbeddingHead
from tweetprofile.networks.ensemble import Ensemble
from tweetprofile.networks.folding import Foldable, fold_batch_norms
from tweetprofile.networks.specs import EmbeddingSetSpec
from tweetprofile.networks.timm_backbones import build_backbone, use_channels_last
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes.spec import VolumeSpec

Learned = Literal["head", "last", "all"]
"""What training changes: the head, also the last stages of the backbone, or everything."""

_LAST = 0.3
"""The share of a backbone's weights, counted from its end, that belongs to the last stages."""


def build_head(
    spec: EmbeddingSetSpec, volume_spec: VolumeSpec, schema: TraitSchema, members: int
) -> EmbeddingHead | Ensemble:
    """Build the head of a network, or an ensemble of several, with weights not initialised yet."""
    heads = [EmbeddingHead(spec, volume_spec, schema) for _ in range(members)]
    return heads[0] if members == 1 else Ensemble(heads)


class EmbeddingSet(Foldable):
    """A backbone and a head, or several heads, over the embeddings of a user's frames.

    Args:
        spec: The backbone and the head.
        volume_spec: The volumes that the network takes.
        schema: The traits that the network predicts.
        members: The number of heads, whose mean logits are the result.
    """

    def __init__(
        self,
        spec: EmbeddingSetSpec,
        volume_spec: VolumeSpec,
        schema: TraitSchema,
        members: int = 1,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.volume_spec = volume_spec
        self.schema = schema
        self.backbone = build_backbone(spec.backbone, volume_spec.height, volume_spec.width)
        self.head = build_head(spec, volume_spec, schema, members)
        self._learned: Learned = "all"

    def initialise(self) -> None:
        """Draw the initial weights of the head; the backbone has those that timm draws."""
        assert isinstance(self.head, EmbeddingHead)
        self.head.initialise()

    def learn(self, learned: Learned) -> None:
        """Choose what training changes.

        Args:
            learned: The head, also the last stages of the backbone, or everything.
        """
        self._learned = learned
        parameters = list(self.backbone.parameters())
        left = sum(each.numel() for each in parameters) * (_LAST if learned == "last" else 1.0)
        for parameter in reversed(parameters):
            parameter.requires_grad_(learned != "head" and left > 0)
            left -= parameter.numel()
        self.train(self.training)

    def train(self, mode: bool = True) -> "EmbeddingSet":
        """Set the mode; a backbone that is kept, or changed a little, keeps its normalisation."""
        super().train(mode)
        if self._learned != "all":
            self.backbone.eval()
        return self

    def embed(self, frames_MCHW: torch.Tensor) -> torch.Tensor:
        """Return the embedding of each normalised frame: (M, C) float32."""
        frames = frames_MCHW.contiguous(memory_format=torch.channels_last)
        embeddings: torch.Tensor = self.backbone(frames)
        return embeddings.float()

    def forward(
        self,
        volumes_NCDHW: torch.Tensor,
        mask_ND: torch.Tensor | None = None,
        own_M: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return the logits of every trait: (N, classes) by trait name, in schema order.

        Args:
            volumes_NCDHW: The (N, 3, D, H, W) volumes, normalised by the volume spec, with any D.
            mask_ND: (N, D) bool, True for the user's own frames; None if all are.
            own_M: The positions of the own frames among all N x D; None to find them by the mask,
                for which a GPU has to be waited for.
        """
        frames_NDCHW = volumes_NCDHW.transpose(1, 2)
        users, frames = frames_NDCHW.shape[:2]
        if mask_ND is None:
            mask_ND = frames_NDCHW.new_ones((users, frames), dtype=torch.bool)
        if own_M is None:
            own_M = mask_ND.flatten().nonzero()[:, 0]
        embeddings = self.embed(frames_NDCHW.flatten(0, 1)[own_M])
        blank = embeddings.new_zeros(users * frames, embeddings.shape[1])
        placed = blank.index_copy(0, own_M, embeddings).view(users, frames, -1)
        logits: dict[str, torch.Tensor] = self.head(placed, mask_ND)
        return logits

    def fold(self) -> None:
        """Fold batch normalisation into the convolutions of the backbone."""
        fold_batch_norms(self.backbone)

    def compute_in(self, dtype: torch.dtype) -> None:
        """Let the backbone compute in `dtype`, with channels-last weights."""
        self.backbone.to(dtype=dtype)
        use_channels_last(self.backbone)
