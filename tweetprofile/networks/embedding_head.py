"""The head over embeddings: the vectors of a user's frames in, one vector of logits per trait out.

It is small, so it learns within seconds from embeddings that were computed once.

Shapes: N users, C features of an embedding, D frames of a volume, K clusters.
"""

from collections.abc import Mapping

import torch
from torch import nn

from tweetprofile.networks.explained import Explained
from tweetprofile.networks.heads import Heads
from tweetprofile.networks.specs import COUNTED, WEIGHED_TOGETHER, EmbeddingSetSpec
from tweetprofile.networks.topics import Topics
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes.spec import VolumeSpec

_STEEPNESS = 20.0
"""How sharply clusters are told apart: the factor of cosines of angles before their softmax."""

_COUNT_SCALE = 20.0
"""The factor of counts, which makes heads learn from them as fast as from embeddings."""


class EmbeddingHead(nn.Module):
    """Turns the embeddings of users into logits.

    Args:
        spec: The head.
        volume_spec: The volumes, whose frames are embedded.
        schema: The traits that the network predicts.
    """

    def __init__(
        self, spec: EmbeddingSetSpec, volume_spec: VolumeSpec, schema: TraitSchema
    ) -> None:
        super().__init__()
        self.spec = spec
        self.volume_spec = volume_spec
        self.schema = schema
        # What is subtracted from embeddings, and what they are multiplied by.
        self.register_buffer("mean", torch.zeros(spec.features))
        self.register_buffer("scale", torch.ones(spec.features))
        width = spec.hidden or spec.features
        self.hidden: nn.Module = nn.Identity()
        if spec.hidden:  # of clusters, the rows of the weight are the directions of their centres
            self.hidden = nn.Linear(spec.features, spec.hidden, bias=spec.pool not in COUNTED)
        self.dropout = nn.Dropout(spec.dropout)
        self.attention = nn.Linear(width, 1) if spec.pool == "attention" else None
        self.heads: Heads | Topics
        if spec.pool == "topics":
            self.heads = Topics(width, schema)
            # If the clusters learned, too, they would fit the training users too closely.
            self.hidden.requires_grad_(False)
        else:
            self.heads = Heads(width, schema)

    def initialise(self) -> None:
        """Draw the initial weights of a training from torch's random numbers."""
        if isinstance(self.hidden, nn.Linear):
            self.hidden.reset_parameters()
        if self.attention is not None:
            # At first, every frame counts alike.
            nn.init.zeros_(self.attention.weight)
            nn.init.zeros_(self.attention.bias)
        self.heads.initialise()

    def standardise(self, mean_C: torch.Tensor, std_C: torch.Tensor) -> None:
        """Let every feature have the mean 0 and the deviation 1 on the users to learn from.

        Args:
            mean_C: The mean of each feature.
            std_C: Its deviation.
        """
        self.get_buffer("mean").copy_(mean_C)
        # A feature that hardly varies would become as large as those that say something.
        self.get_buffer("scale").copy_(1 / (std_C + 0.01 * std_C.mean()).clamp(min=1e-6))

    def standardised(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return embeddings (..., C) in units of each feature's deviation from its mean."""
        return (embeddings.float() - self.get_buffer("mean")) * self.get_buffer("scale")

    def shares(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return how much embeddings (..., C) belong to each cluster: (..., K)."""
        with torch.no_grad():
            return self._shares(self.standardised(embeddings))

    def place_clusters(self, centres_KC: torch.Tensor) -> None:
        """Begin with these clusters.

        Args:
            centres_KC: The direction of each cluster's centre, in standardised embeddings.
        """
        assert isinstance(self.hidden, nn.Linear)
        self.hidden.weight.data.copy_(centres_KC)

    def forward(
        self,
        embeddings_NDC: torch.Tensor,
        mask_ND: torch.Tensor | None = None,
        own_M: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return the logits of every trait: (N, classes) by trait name, in schema order.

        Args:
            embeddings_NDC: The embeddings of each user's frames.
            mask_ND: (N, D) bool, True for the user's own frames; None if all are.
            own_M: Ignored: embeddings that do not count are masked.
        """
        if mask_ND is None:
            mask_ND = embeddings_NDC.new_ones(embeddings_NDC.shape[:2], dtype=torch.bool)
        return self._logits(self._frame_features(embeddings_NDC), mask_ND)

    def explain(self, embeddings_NDC: torch.Tensor, mask_ND: torch.Tensor) -> Explained:
        """Return the logits of `forward`, and what each frame adds to them; not in training.

        With attention and topics, where what a frame adds depends on the others, it is by how much
        the logits change if the frame is left out.
        """
        features_NDC = self._frame_features(embeddings_NDC)
        logits = self._logits(features_NDC, mask_ND)
        if self.spec.pool in WEIGHED_TOGETHER:
            return Explained(logits, self._left_out(features_NDC, mask_ND, logits))
        assert isinstance(self.heads, Heads)
        # Each frame as the only one of a user, of whom as many frames are counted.
        alone_NDC = self._scaled(features_NDC * mask_ND[:, :, None], mask_ND[:, :, None])
        return Explained(logits, self.heads.contributions(alone_NDC))

    def compute_in(self, dtype: torch.dtype) -> None:
        """Do nothing: the head takes a thousandth of the time, and computes in float32."""

    def _frame_features(self, embeddings_NDC: torch.Tensor) -> torch.Tensor:
        """Return what is pooled of each frame: (N, D, width)."""
        x = self.standardised(embeddings_NDC)
        if self.spec.pool in COUNTED:
            # Nothing is dropped: training leaves out frames, which does the same for counts.
            shares_NDK = self._shares(x)
            return self.heads.evidence(shares_NDK) if isinstance(self.heads, Topics) else shares_NDK
        if self.spec.hidden:
            dropped: torch.Tensor = self.dropout(nn.functional.gelu(self.hidden(x)))
            return dropped
        return x

    def _logits(self, features_NDC: torch.Tensor, mask_ND: torch.Tensor) -> dict[str, torch.Tensor]:
        pooled = self._pool(features_NDC, mask_ND)
        if not self.spec.hidden:
            pooled = self.dropout(pooled)
        logits: dict[str, torch.Tensor] = self.heads(pooled)
        return logits

    def _left_out(
        self,
        features_NDC: torch.Tensor,
        mask_ND: torch.Tensor,
        logits: Mapping[str, torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        """Return how much the logits change with each frame: (N, D, classes) by trait name."""
        found: dict[str, list[torch.Tensor]] = {name: [] for name in self.schema.names}
        for frame in range(mask_ND.shape[1]):
            others = mask_ND.clone()
            others[:, frame] = False
            for name, without in self._logits(features_NDC, others).items():
                found[name].append(logits[name] - without)
        return {name: torch.stack(each, dim=1) for name, each in found.items()}

    def _shares(self, x: torch.Tensor) -> torch.Tensor:
        """Return how much each frame (..., C) belongs to each cluster: (..., K), in sum 1."""
        assert isinstance(self.hidden, nn.Linear)
        centres_KC = nn.functional.normalize(self.hidden.weight, dim=1)
        cosines = nn.functional.normalize(x, dim=-1) @ centres_KC.T
        return (_STEEPNESS * cosines).softmax(dim=-1)

    def _pool(self, x_NDC: torch.Tensor, mask_ND: torch.Tensor) -> torch.Tensor:
        mask_ND1 = mask_ND[:, :, None]
        if self.attention is not None:
            scores = self.attention(x_NDC).masked_fill(~mask_ND1, -1e4)
            weights: torch.Tensor = scores.softmax(dim=1) * mask_ND1
            return (weights * x_NDC).sum(1)
        return self._scaled((x_NDC * mask_ND1).sum(1), mask_ND)

    def _scaled(self, sums: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Scale features, or their sum over the frames of a user, as the pool does."""
        if self.spec.pool == "topics":
            return sums
        if self.spec.pool == "clusters":
            return _COUNT_SCALE * sums
        if self.spec.pool == "sum":
            # In units of a full volume's mean, so that the features have the same magnitude.
            return sums / self.volume_spec.frames
        return sums / mask.sum(1, keepdim=True).clamp(min=1)
