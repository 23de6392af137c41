"""`train` replaces only earlier runs, and removes nothing but frames of its own cache."""

import json
import shutil
from pathlib import Path

import pytest

from tests.attack.outputs.helpers import (
    WITH_AND_WITHOUT_OVERWRITE,
    refused,
    snapshot,
)
from tweetprofile.data.files.protection import Inputs
from tweetprofile.errors import OutputError
from tweetprofile.training.folder import FolderOptions, prepare_folder
from tweetprofile.training.settings import TrainOptions, write_settings

TRAIN = {
    ("ROOT",): "holds the manifest",
    ("ROOT/data", "--image-root", "ROOT"): "holds the manifest",
    ("ROOT/run",): "train.toml exists and is not the settings of a training",
    ("ROOT/notes.txt",): "is a file",
    ("ROOT/manifests", "--val", "ROOT/manifests", "--image-root", "ROOT"): "holds the manifest",
    ("ROOT/init", "--init", "ROOT/init/model.safetensors"): "holds the initial weights",
    ("ROOT/init", "--schema", "ROOT/init/schema.toml"): "holds the schema",
    ("ROOT/init", "--config", "ROOT/init/train.toml"): "holds the settings",
    ("ROOT/init",): "init/train.toml exists and is not the settings of a training",
}


@WITH_AND_WITHOUT_OVERWRITE
@pytest.mark.parametrize("arguments", TRAIN)
def test_train_replaces_only_earlier_runs(
    users: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], flags: list[str]
) -> None:
    sentence = TRAIN[arguments]
    if "--schema" not in arguments:
        arguments = (*arguments, "--schema", "ROOT/schema.toml")
    (users / "init").mkdir()
    shutil.copyfile(users / "model.safetensors", users / "init" / "model.safetensors")
    shutil.copyfile(users / "schema.toml", users / "init" / "schema.toml")
    shutil.copyfile(users / "config.toml", users / "init" / "train.toml")
    manifest = "ROOT/data" if arguments[0] == "ROOT/data" else "ROOT/m.parquet"
    folder, *others = arguments
    said = refused(users, capsys, "train", manifest, "-o", folder, *others, *flags)
    assert sentence in said


@pytest.mark.parametrize("name", ["MODEL_CARD.md", "metrics.jsonl", "state.safetensors"])
def test_a_foreign_file_in_a_run_folder_is_not_replaced(users: Path, name: str) -> None:
    folder = users / "new"
    folder.mkdir()
    write_settings(folder / "train.toml", "m.parquet", TrainOptions())
    (folder / name).write_text("# Model card: mine\n\nprecious\n")
    before = snapshot(users)
    with pytest.raises(OutputError, match=rf"{name} exists and is not"):
        prepare_folder(folder, Inputs(), FolderOptions(overwrite=True))
    assert snapshot(users) == before


def test_making_room_in_the_cache_removes_no_foreign_folder(
    users: Path,
) -> None:
    from tweetprofile.training.cache_folders import make_room, remove_abandoned

    cache = users / "cache"
    for name, files in {
        "thesis.tmp": ("lock", "thesis.tex"),
        "0" * 32 + ".abc.tmp": ("lock",),
        "thesis": ("cache.json", "frames.uint8"),
        "1" * 32: ("cache.json", "frames.uint8", "users.npz"),
        "2" * 32: ("cache.json", "frames.uint8", "users.npz", "thesis.tex"),
    }.items():
        (cache / name).mkdir(parents=True)
        for file in files:
            (cache / name / file).write_text("{}")
    before = snapshot(users)
    remove_abandoned(cache)
    make_room(cache, 1e-9, 1000, keep=cache / "new")
    assert snapshot(users) == before


def test_a_run_of_version_0_1_0_is_recognised(model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "train.toml").write_text(
        "# tweetprofile 0.1.0: every setting of this run.\n\nseed = 0\n"
    )
    shutil.copyfile(model, run / "model.safetensors")
    (run / "MODEL_CARD.md").write_text(
        "# Model card: model1, mood\n\nMade by tweetprofile 0.1.0. The network model1 takes up\n"
    )
    line: dict[str, object] = {
        "epoch": 1, "loss": 1.0, "val_loss": None, "scores": {}, "mean_macro_f1": 0.0,
        "learning_rate": 0.1, "seconds": 1.0,
    }  # fmt: skip
    (run / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    prepare_folder(run, Inputs(), FolderOptions(resume=True))
    prepare_folder(run, Inputs(), FolderOptions(overwrite=True))
    assert not (run / "model.safetensors").exists()
