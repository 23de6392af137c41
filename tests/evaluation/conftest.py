"""Files of labels and of predictions, for users without images: evaluation needs none."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.evaluation.rewriting import TRAITS, USERS
from tweetprofile.data.files.provenance import METADATA_KEY
from tweetprofile.traits import Trait, TraitSchema
from tweetprofile.workers.profiles import UserOutcome, make_profiles

SCHEMA = TraitSchema(
    (Trait("gender", ("female", "male")), Trait("place", ("north", "south", "west")))
)


@pytest.fixture
def write_labels(tmp_path: Path) -> Callable[..., Path]:
    """`write_labels(ids, gender=[...], place=[...])` writes a manifest with labels."""
    return labels_in(tmp_path)


@pytest.fixture
def write_predictions(tmp_path: Path) -> Callable[..., Path]:
    """`write_predictions(ids, gender=[0, 1])` writes profiles of these classes, all at 0.9."""
    return predictions_in(tmp_path)


@pytest.fixture
def manifest(write_labels: Callable[..., Path]) -> Path:
    """A manifest of 40 users with random labels."""
    random = np.random.default_rng(0)
    return write_labels(
        USERS,
        **{trait: [names[at] for at in random.integers(0, len(names), 40)]
           for trait, names in TRAITS.items()},
    )  # fmt: skip


@pytest.fixture
def ours(write_predictions: Callable[..., Path]) -> Path:
    """Profiles of these users with random classes, as `predict` writes them."""
    random = np.random.default_rng(1)
    guesses = {trait: random.integers(0, len(names), 40) for trait, names in TRAITS.items()}
    frames = random.integers(0, 4, 40).tolist()  # those without an image have no prediction
    return write_predictions(USERS, frames=frames, **guesses)


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[..., Path]:
    """`write_table(user_id=[...], gender=[...])` writes a table as other programs would."""

    def write(name: str = "foreign.parquet", **columns: Any) -> Path:
        pq.write_table(pa.table(columns), tmp_path / name)
        return tmp_path / name

    return write


def labels_in(folder: Path) -> Callable[..., Path]:
    """Return `write_labels` for a folder."""

    def write(
        ids: Sequence[object],
        name: str = "manifest.parquet",
        metadata: dict[str, str] | None = None,
        **labels: Sequence[str | None],
    ) -> Path:
        images = pa.array([[]] * len(ids), pa.list_(pa.string()))
        columns = {name: pa.array(values, pa.string()) for name, values in labels.items()}
        table = pa.table({"user_id": pa.array(ids), "images": images, **columns})
        pq.write_table(table.replace_schema_metadata(metadata), folder / name)
        return folder / name

    return write


def predictions_in(folder: Path) -> Callable[..., Path]:
    """Return `write_predictions` for a folder."""

    def write(
        ids: Sequence[str | int],
        name: str = "out.parquet",
        frames: Sequence[int] | None = None,
        schema: TraitSchema = SCHEMA,
        **classes: Sequence[int],
    ) -> Path:
        seen = [11] * len(ids) if frames is None else frames
        outcomes = [UserOutcome(user, 11, used, ()) for user, used in zip(ids, seen, strict=True)]
        rows = {
            trait.name: _sure(classes.get(trait.name, [0] * len(ids)), len(trait.classes))
            for trait in schema
        }
        facts = {"network": "model1", "schema": schema.to_dict()}
        table = make_profiles(schema, outcomes, rows)
        path = folder / name
        pq.write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps(facts)}), path)
        return path

    return write


def _sure(classes: Sequence[int], of: int) -> NDArray[np.float32]:
    rows = np.full((len(classes), of), 0.1 / (of - 1), np.float32)
    rows[np.arange(len(classes)), list(classes)] = 0.9
    return rows
