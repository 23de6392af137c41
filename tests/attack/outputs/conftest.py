"""Users with their images and labels, and much next to them that no command may replace."""

import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from tests.attack.outputs.helpers import write_profiles


@pytest.fixture(scope="session")
def drawn_users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two users: their images, two manifests, labels, a schema and settings."""
    root = tmp_path_factory.mktemp("users")
    for user in ("ada", "bob"):
        (root / "dump" / user).mkdir(parents=True)
        Image.new("RGB", (9, 9), user_colour(user)).save(root / "dump" / user / "1.png")
    frame = pl.DataFrame(
        {
            "user_id": ["ada", "bob"],
            "images": [["dump/ada/1.png"], ["dump/bob/1.png"]],
            "mood": ["calm", "cross"],
        }
    )
    (root / "data").mkdir()
    frame.write_parquet(root / "m.parquet")
    frame.write_parquet(root / "data" / "part-00000.parquet")
    (root / "labels.csv").write_text("user_id,mood\nada,calm\nbob,cross\n")
    (root / "schema.toml").write_text('[traits]\nmood = ["calm", "cross"]\n')
    (root / "config.toml").write_text("epochs = 1\n")
    return root


def user_colour(user: str) -> tuple[int, int, int]:
    return (len(user) * 40, ord(user[0]), 7)


@pytest.fixture
def users(drawn_users: Path, model: Path, tmp_path: Path) -> Path:
    """A copy of that folder with a checkpoint, predictions, links, a pipe and foreign files."""
    root = shutil.copytree(drawn_users, tmp_path / "users")
    shutil.copyfile(model, root / "model.safetensors")
    write_profiles(root / "p.parquet")
    (root / "link.parquet").symlink_to("m.parquet")
    (root / "hard.parquet").hardlink_to(root / "m.parquet")
    (root / "hard.png").hardlink_to(root / "dump" / "ada" / "1.png")
    (root / "loop").symlink_to("loop")
    (root / "beside.csv.json").write_text("{}")
    (root / "read.csv.json").symlink_to("m.parquet")
    os.mkfifo(root / "pipe")
    (root / "notes").mkdir()
    (root / "notes" / "thesis.tex").write_text("precious")
    (root / "notes.txt").write_text("precious")
    (root / "foreign.partial").mkdir()
    (root / "foreign.partial" / "thesis.tex").write_text("precious")
    (root / "logged.worker-0.log").write_text("precious")
    (root / "empty").mkdir()
    (root / "tables").mkdir()
    shutil.copyfile(root / "labels.csv", root / "tables" / "labels.csv")
    (root / "manifests").mkdir()
    shutil.copyfile(root / "m.parquet", root / "manifests" / "part-00000.parquet")
    (root / "run").mkdir()
    (root / "run" / "train.toml").write_text("precious")
    (root / "run" / "metrics.jsonl").write_text("precious")
    return root
