"""Training over embeddings: the backbone with its weights, its file, and the whole network."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tweetprofile.checkpoints.backbone import Backbone
from tweetprofile.networks import AnyNetwork, EmbeddingSet, EmbeddingSetSpec, count_members
from tweetprofile.training.cache_building import CacheOptions, EmbeddingSource
from tweetprofile.training.settings import TrainOptions
from tweetprofile.weights.backbone_files import load_backbone_of, temporary_file


@dataclass(frozen=True, slots=True)
class LoadedBackbone:
    """A backbone with weights, and where these come from.

    Attributes:
        backbone: The backbone.
        record: The source, licence and checksum of the weights, as JSON.
    """

    backbone: Backbone
    record: Mapping[str, Any]


def load_backbone(options: TrainOptions) -> LoadedBackbone | None:
    """Load the weights of the backbone that the options name; None without weights.

    Raises:
        OptionError: The backbone is unknown, or timm is not installed.
        CheckpointError: The weights cannot be used.
    """
    if options.backbone is None or options.weights is None:
        return None
    backbone, record = load_backbone_of(options.backbone, options.weights, options.volume_spec)
    return LoadedBackbone(backbone, record.to_dict())


@contextmanager
def embedding_source(
    backbone: Backbone, views: int, cache: CacheOptions
) -> Iterator[EmbeddingSource]:
    """Describe the embeddings to cache; workers read the backbone from a temporary file.

    Args:
        backbone: The backbone.
        views: The number of views of each frame that are embedded.
        cache: Where embeddings are kept.
    """
    with temporary_file(backbone) as path:
        yield EmbeddingSource(
            backbone=path,
            digest=backbone.digest,
            features=backbone.features,
            views=views,
            known=cache.root / "embeddings" / backbone.digest[:32],
            gigabytes=cache.gigabytes,
        )


def whole_network(backbone: Backbone, head: AnyNetwork) -> EmbeddingSet:
    """Return a backbone with a trained head, or with several of them, as one network.

    Args:
        backbone: The backbone.
        head: The head, or an ensemble of heads.
    """
    assert isinstance(head.spec, EmbeddingSetSpec)
    network = EmbeddingSet(head.spec, backbone.volume_spec, head.schema, count_members(head))
    network.backbone.load_state_dict(backbone.state)
    network.head.load_state_dict(head.state_dict())
    return network.eval()
