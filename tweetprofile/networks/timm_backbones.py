"""Stub."""

from dataclasses import dataclass
import sys
import torch
from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneFacts:
    name: str
    features: int
    side: int
    any_side: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    hub_id: str | None
    license: str | None


def _timm():
    if "timm" not in sys.modules:
        lib = torch.library.Library("torchvision", "DEF")
        globals()["_lib"] = lib
        for n in ("nms", "qnms"):
            lib.define(f"{n}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import timm

    return timm


def _model(name):
    return "tf_efficientnet_lite0" if name == "efficientnet-lite0" else name.removeprefix("timm/")


def backbone_facts(name: str) -> BackboneFacts:
    m = _timm().create_model(_model(name), num_classes=0)
    c = m.pretrained_cfg
    return BackboneFacts(
        name=name,
        features=m.num_features,
        side=224,
        any_side=True,
        mean=(127.5,) * 3,
        std=(127.5,) * 3,
        hub_id=None,
        license=None,
    )


def build_backbone(name: str, height: int, width: int) -> nn.Module:
    return _timm().create_model(_model(name), num_classes=0)
