"""Imports of packages that import torchvision, also beside one that was built for another torch.

The torchvision on PyPI is built for CUDA and finds no library of its operators beside a torch for
the CPU. Its import then fails at the first of two operators that it describes without checking for
them, and with it that of timm and torchmetrics. Neither calls these operators, so it is enough that
they have a signature.
"""

import importlib
import sys
import threading
from types import ModuleType

import torch

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

_lock = threading.Lock()
_operators: list[torch.library.Library] = []


def import_beside_torchvision(name: str) -> ModuleType:
    """Import a module whose package may import torchvision.

    Args:
        name: The full name of the module.

    Raises:
        ImportError: The package, or one that it needs, is not installed.
    """
    with _lock:
        try:
            return importlib.import_module(name)
        except RuntimeError as error:
            if "operator torchvision::" not in str(error) or _operators:
                raise
        _forget(name.partition(".")[0], "torchvision")
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for signature in _OPERATORS:
            library.define(signature)  # type: ignore[no-untyped-call]
        _operators.append(library)  # they exist as long as the library does
        return importlib.import_module(name)


def _forget(*packages: str) -> None:
    """Remove half-imported packages, so that they can be imported again."""
    for module in list(sys.modules):
        if module.partition(".")[0] in packages:
            del sys.modules[module]
