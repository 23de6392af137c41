"""The network over unordered frames: each frame by itself, then the sum over a user's frames.

A user's images are a set, not a film. This network gives the same result in any order and takes any
number of frames ("Deep Sets", Zaheer et al. 2017). Since the heads are linear, each frame adds its
own evidence to the logits, like independent observations in Bayes' rule: few frames carry little
evidence, so users with few frames are predicted with less confidence.

Shapes: N users, C channels, D frames of a volume, H, W, M frames of all users together.
"""

import torch
from torch import nn

from tweetprofile.networks.backbones import build_cnn
from tweetprofile.networks.explained import Explained
from tweetprofile.networks.heads import Heads
from tweetprofile.networks.specs import DeepSetSpec
from tweetprofile.traits import TraitSchema
from tweetprofile.volumes.spec import VolumeSpec


class DeepSet(nn.Module):
    """A 2D CNN over frames, pooled over the frames of each user, with one head per trait.

    Args:
        spec: The layers of the network.
        volume_spec: The volumes that the network takes.
        schema: The traits that the network predicts.
    """

    def __init__(self, spec: DeepSetSpec, volume_spec: VolumeSpec, schema: TraitSchema) -> None:
        super().__init__()
        self.spec = spec
        self.volume_spec = volume_spec
        self.schema = schema
        self.backbone = build_cnn(spec)
        self.dropout = nn.Dropout(spec.dropout)
        self.heads = Heads(spec.widths[-1], schema)

    def initialise(self) -> None:
        """Draw the initial weights of a training from torch's random numbers."""
        for module in self.backbone.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for name, parameter in self.backbone.named_parameters():
            if name.endswith("bn2.weight"):
                # Each block starts as its shortcut alone, so that depth does no harm.
                nn.init.zeros_(parameter)
        self.heads.initialise()

    def forward(
        self,
        volumes_NCDHW: torch.Tensor,
        mask_ND: torch.Tensor | None = None,
        own_M: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return the logits of every trait.

        Args:
            volumes_NCDHW: The (N, 3, D, H, W) volumes, normalised by the volume spec, with any D.
            mask_ND: (N, D) bool, True for the user's own frames; None if all are. Frames that only
                fill a volume must not count.
            own_M: The positions of the own frames among all N x D, which training needs; None to
                find them by the mask, for which a GPU has to be waited for.

        Returns:
            The (N, classes) logits by trait name, in schema order.
        """
        features_NDC, mask_ND = self._frame_features(volumes_NCDHW, mask_ND, own_M)
        return self._logits(features_NDC, mask_ND)

    def explain(self, volumes_NCDHW: torch.Tensor, mask_ND: torch.Tensor) -> Explained:
        """Return the logits of `forward`, and what each frame adds to them; not in training."""
        features_NDC, mask_ND = self._frame_features(volumes_NCDHW, mask_ND)
        added = self.heads.contributions(self._divide(features_NDC, mask_ND[:, :, None]))
        return Explained(self._logits(features_NDC, mask_ND), added)

    def compute_in(self, dtype: torch.dtype) -> None:
        """Let the backbone compute in `dtype`, with channels-last weights."""
        self.backbone.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _frame_features(
        self,
        volumes_NCDHW: torch.Tensor,
        mask_ND: torch.Tensor | None,
        own_M: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features (N, D, C) of frames, 0 for those that do not count, and the mask."""
        frames_NDCHW = volumes_NCDHW.transpose(1, 2)
        if mask_ND is None:
            mask_ND = frames_NDCHW.new_ones(frames_NDCHW.shape[:2], dtype=torch.bool)
        if self.training:
            # Frames that do not count must neither enter the normalisation nor take time.
            if own_M is None:
                own_M = mask_ND.flatten().nonzero()[:, 0]
            features = self._features(frames_NDCHW.flatten(0, 1)[own_M])
            blank = features.new_zeros(mask_ND.numel(), features.shape[1])
            features = blank.index_copy(0, own_M, features)
        else:
            # All frames are computed, so that no bit of a user's result depends on other users.
            features = self._features(frames_NDCHW.flatten(0, 1)) * mask_ND.flatten()[:, None]
        return features.view(*mask_ND.shape, features.shape[1]), mask_ND

    def _logits(self, features_NDC: torch.Tensor, mask_ND: torch.Tensor) -> dict[str, torch.Tensor]:
        # A sum over D has a fixed order; adding each frame to its user's sum has none on a GPU.
        pooled = self._divide(features_NDC.sum(1), mask_ND)
        logits: dict[str, torch.Tensor] = self.heads(self.dropout(pooled))
        return logits

    def _divide(self, sums: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Divide features, or their sum over the frames of a user, as the pool does."""
        if self.spec.pool == "sum":
            # In units of a full volume's mean, so that the features have the same magnitude.
            return sums / self.volume_spec.frames
        return sums / mask.sum(1, keepdim=True).clamp(min=1)

    def _features(self, frames_MCHW: torch.Tensor) -> torch.Tensor:
        frames = frames_MCHW.contiguous(memory_format=torch.channels_last)
        features: torch.Tensor = self.backbone(frames)
        return features.float()
