"""Damaged files of weights, at random: they are read, or refused in one sentence, and run no code.

Whatever a file of weights holds, `load_backbone_weights` fills the backbone with finite numbers or
raises `CheckpointError`.
"""

import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from tweetprofile.errors import CheckpointError
from tweetprofile.networks.timm_backbones import backbone_facts, build_backbone
from tweetprofile.weights import load_backbone_weights

NAME = "timm/test_vit"
KINDS = ["w.safetensors", "zip.pth", "legacy.pth"]


@cache
def backbone() -> nn.Module:
    torch.manual_seed(0)
    return build_backbone(NAME, 64, 64)


@cache
def good(kind: str) -> bytes:
    state = backbone().state_dict()
    if kind.endswith("safetensors"):
        return save(state)
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=kind.startswith("zip"))
    return file.getvalue()


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """Change some bytes, mostly at the ends, where files describe themselves; or cut, or double."""
    changed = bytearray(data)
    for _ in range(random.integers(1, 8)):
        span = int(random.choice([64, 4096, len(data)]))
        place = int(random.integers(span))
        changed[place if random.random() < 0.5 else len(data) - 1 - place] = random.integers(256)
    match random.integers(6):
        case 0:
            del changed[random.integers(len(changed)) :]
        case 1:
            start = int(random.integers(4096))
            changed[start:start] = changed[start : start + int(random.integers(64))]
    return bytes(changed)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_of_weights_is_read_or_refused_in_one_sentence(
    kind: str, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    facts, path = backbone_facts(NAME), tmp_path / kind
    refused = 0
    for _ in range(15):
        path.write_bytes(damaged(good(kind), random))
        try:
            load_backbone_weights(backbone(), facts, str(path))
        except CheckpointError as error:
            refused += 1
            assert str(error).isprintable()
            assert len(str(error)) < 4000
        state = backbone().state_dict().values()
        assert all(bool(tensor.isfinite().all()) for tensor in state)
    assert refused > 3


def test_tensors_of_random_shapes_are_refused_without_much_memory(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    state = backbone().state_dict()
    names = list(state)
    for _ in range(15):
        changed = dict(state)
        for name in random.choice(names, 3):
            shape = random.choice([0, 1, 2, 3, 7, 64, 300], random.integers(0, 5))
            if np.prod(shape) < 1e6:
                changed[str(name)] = torch.zeros([int(side) for side in shape])
        path = tmp_path / "w.safetensors"
        path.write_bytes(save(changed))
        try:
            load_backbone_weights(backbone(), backbone_facts(NAME), str(path))
        except CheckpointError as error:
            assert str(error).isprintable()
