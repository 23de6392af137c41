"""Facts of workers, for tests of what is made of them."""

from typing import Any

from tweetprofile.job import EmbedderFacts, FrameSize, PredictorFacts
from tweetprofile.traits import PRESETS


def predictor_facts(**differing: Any) -> PredictorFacts:
    """Return the facts of model1 on a CPU, apart from those that differ."""
    facts: dict[str, Any] = {
        "checkpoint_sha256": "0" * 64,
        "network": "model1",
        "schema": PRESETS["mex-a3t-2019"],
        "volume": {"detail": "frame"},
        "device": "cpu",
        "decoder": "pillow",
        "precision": "bf16",
        "batch_size": 2,
        "cuda_devices": 0,
    }
    return PredictorFacts(**facts | differing)


def embedder_facts(**differing: Any) -> EmbedderFacts:
    """Return the facts of a small backbone on a CPU, apart from those that differ."""
    facts: dict[str, Any] = {
        "backbone": "timm/test_resnet",
        "backbone_digest": "0" * 64,
        "features": 96,
        "size": FrameSize(11, 32, 32),
        "detail": "frame",
        "device": "cpu",
        "decoder": "pillow",
        "precision": "fp32",
        "batch_size": 4,
        "cuda_devices": 0,
    }
    return EmbedderFacts(**facts | differing)
