"""A model of texts is data in its checkpoint, and nothing of a hostile one is believed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.text_users import save_text_model
from tweetprofile.checkpoints.checkpoint import load_checkpoint
from tweetprofile.errors import CheckpointError

TEXTS = ["el sol sale", "la luna canta"]

Change = Callable[[dict[str, Any], dict[str, torch.Tensor]], None]


@pytest.mark.parametrize("images", [True, False])
def test_a_model_of_texts_is_the_same_after_loading(tmp_path: Path, images: bool) -> None:
    path = save_text_model(tmp_path / "model.safetensors", TEXTS, images=images)
    loaded, again = load_checkpoint(path), load_checkpoint(path)
    assert loaded.texts is not None
    assert again.texts is not None
    assert bool(loaded.texts.header.fusion) is images
    assert loaded.texts.header == again.texts.header
    assert len(loaded.texts.model.terms.buckets_F) > 10
    assert not any(name.startswith("texts.") for name in loaded.state)


def test_no_word_of_the_training_users_is_in_the_file(tmp_path: Path) -> None:
    path = save_text_model(tmp_path / "model.safetensors", ["unmistakable word"])
    assert b"unmistakable" not in path.read_bytes()


def test_a_model_without_texts_keeps_the_format_that_older_versions_read(
    model: Path, tmp_path: Path
) -> None:
    assert header_of(model)["format"] == 5
    assert header_of(save_text_model(tmp_path / "m.safetensors", TEXTS))["format"] == 6


def header_of(path: Path) -> dict[str, Any]:
    with safe_open(path, "pt") as file:
        header: dict[str, Any] = json.loads(file.metadata()["tweetprofile"])
    return header


def rising_no_more(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["texts.buckets"] = tensors["texts.buckets"].flip(0)


def beyond_the_buckets(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["texts.buckets"][-1] = 1 << 30


def negative(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["texts.buckets"][0] = -1


def of_another_length(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["texts.idf"] = tensors["texts.idf"][1:]


def not_finite(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["texts.weights"][0] = np.inf


def missing(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    del tensors["texts.biases"]


def without_fusion(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    header["texts"]["fusion"] = {}


def with_a_fusion_of_some_traits(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    del header["texts"]["fusion"]["gender"]


def with_a_million_gigabytes(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    block = {"unit": "word", "shortest": 1, "longest": 1, "bits": 24}
    header["texts"]["spec"]["blocks"] = [block] * 16


def without_a_temperature(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    del header["texts"]["temperatures"]["gender"]


def with_a_temperature_of_zero(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    header["texts"]["temperatures"]["gender"] = 0.0


def without_texts_or_images(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    del header["texts"]
    header["network"] = {"kind": "none", "name": "texts"}
    tensors.clear()


@pytest.mark.parametrize(
    "change",
    [
        rising_no_more,
        beyond_the_buckets,
        negative,
        of_another_length,
        not_finite,
        missing,
        without_fusion,
        with_a_fusion_of_some_traits,
        with_a_million_gigabytes,
        without_a_temperature,
        with_a_temperature_of_zero,
        without_texts_or_images,
    ],
)
def test_a_damaged_model_of_texts_is_refused(tmp_path: Path, change: Change) -> None:
    path = save_text_model(tmp_path / "model.safetensors", TEXTS)
    header, tensors = header_of(path), load_file(path)
    change(header, tensors)
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        path,
        {"tweetprofile": json.dumps(header)},
    )
    with pytest.raises(CheckpointError, match=str(path)):
        load_checkpoint(path)
