"""Invented texts whose words tell the classes of users, and small models of texts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from tweetprofile.checkpoints.checkpoint import save_checkpoint
from tweetprofile.checkpoints.text_part import TextHeader, TextPart
from tweetprofile.networks import (
    AnyNetwork,
    DeepSet,
    NoImages,
    NoImagesSpec,
    build_network,
    network_spec,
)
from tweetprofile.scoring.fusion import Fusion
from tweetprofile.texts.model import TermWeights, TextModel
from tweetprofile.texts.ngrams import count_ngrams
from tweetprofile.texts.spec import NgramBlock, TextSpec
from tweetprofile.traits import PRESETS, TraitSchema
from tweetprofile.volumes.spec import VolumeSpec

SCHEMA = PRESETS["mex-a3t-2019"]

SPEC = TextSpec((NgramBlock("word", 1, 1, 12), NgramBlock("character", 2, 3, 12)))

PROFILE_SPEC = TextSpec(
    (
        *SPEC.blocks,
        NgramBlock("character", 2, 3, 12, "names"),
        NgramBlock("word", 1, 1, 12, "description"),
    )
)

_TELLING = {"female": "lira", "male": "tambor"}
_COMMON = ["el", "sol", "sale", "y", "la", "luna", "canta", "sobre", "un", "monte", "de", "papel"]


def draw_texts(gender: str, rng: np.random.Generator, texts: int = 6) -> list[str]:
    """Return texts of common words, in which one word tells the gender."""
    return [
        " ".join([*rng.choice(_COMMON, 5), _TELLING[gender] if rng.random() < 0.5 else "pan"])
        for _ in range(texts)
    ]


def labelled_texts(path: Path, users: int, seed: int = 0) -> Path:
    """Write a manifest of users with texts and a gender, and without images."""
    rng = np.random.default_rng(seed)
    genders = ["female", "male"] * (users // 2)
    rows = {
        "user_id": [f"t{number}" for number in range(users)],
        "texts": [draw_texts(gender, rng) for gender in genders],
        "gender": genders,
    }
    pl.DataFrame(rows).write_parquet(path)
    return path


def text_part(
    texts: Sequence[str],
    schema: TraitSchema = SCHEMA,
    *,
    fused: bool,
    profile: Mapping[str, str] | None = None,
) -> TextPart:
    """Return a model with random weights that knows the n-grams of some texts and of a profile."""
    rng = np.random.default_rng(0)
    spec = SPEC if profile is None else PROFILE_SPEC
    buckets = count_ngrams(texts, spec, profile).buckets_J
    classes = {trait.name: len(trait.classes) for trait in schema}
    columns = sum(classes.values())
    model = TextModel(
        terms=TermWeights(
            spec=spec,
            buckets_F=buckets,
            idf_F=rng.uniform(1, 3, len(buckets)).astype(np.float32),
        ),
        classes=classes,
        weights_FK=rng.normal(size=(len(buckets), columns)).astype(np.float16),
        biases_K=rng.normal(size=columns).astype(np.float32),
    )
    fusion = {
        name: Fusion(0.8, 0.9, (1 / count,) * count) for name, count in classes.items() if fused
    }
    return TextPart(model, TextHeader(spec, dict.fromkeys(classes, 1.5), fusion))


def save_text_model(
    path: Path,
    texts: Sequence[str],
    *,
    images: bool = True,
    profile: Mapping[str, str] | None = None,
) -> Path:
    """Write a model of texts, and of images if they are wanted, with random weights."""
    volume = VolumeSpec(11, 32, 32)
    network: AnyNetwork = NoImages(NoImagesSpec(), volume, SCHEMA)
    if images:
        spec = network_spec("deepset", widths=(4, 8), layers=(1, 1))
        network = build_network(spec, volume, SCHEMA)
        assert isinstance(network, DeepSet)
        network.initialise()
    part = text_part(texts, fused=images, profile=profile)
    save_checkpoint(path, network.eval(), {}, texts=part)
    return path
