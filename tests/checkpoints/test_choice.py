"""Which checkpoint is used when there are several to choose from."""

import shutil
from pathlib import Path

import pytest

from tweetprofile.checkpoints.choice import (
    CHECKPOINT_VARIABLE,
    MODEL_FILE,
    default_checkpoint,
    find_checkpoint,
    set_default_checkpoint,
)
from tweetprofile.errors import CheckpointError, OutputError


@pytest.fixture(autouse=True)
def no_default_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv(CHECKPOINT_VARIABLE, raising=False)


def test_the_given_checkpoint_wins_then_the_variable_then_the_default(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        CheckpointError,
        match=r"no checkpoint to use: name one with `checkpoint`.* 'tweetprofile use RUN'",
    ):
        find_checkpoint(None)
    assert set_default_checkpoint(model) == default_checkpoint() == find_checkpoint(None)
    monkeypatch.setenv(CHECKPOINT_VARIABLE, "from-variable")
    assert find_checkpoint(None) == Path("from-variable")
    assert find_checkpoint("given") == Path("given")


def test_a_run_folder_stands_for_its_checkpoint(model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(CheckpointError, match=r"run is a folder without model\.safetensors"):
        find_checkpoint(run)
    shutil.copyfile(model, run / MODEL_FILE)
    assert find_checkpoint(run) == run / MODEL_FILE


def test_the_default_checkpoint_is_a_copy_that_outlives_its_run(
    model: Path, tmp_path: Path
) -> None:
    own = shutil.copyfile(model, tmp_path / "own.safetensors")
    set_default_checkpoint(own)
    own.unlink()
    assert default_checkpoint().read_bytes() == model.read_bytes()
    assert set_default_checkpoint(default_checkpoint()) == default_checkpoint(), (
        "copying it onto itself is harmless"
    )
    assert default_checkpoint().read_bytes() == model.read_bytes()


def test_a_file_that_is_no_checkpoint_is_not_replaced_by_the_default_one(model: Path) -> None:
    default_checkpoint().parent.mkdir(parents=True)
    default_checkpoint().write_text("somebody's notes")
    with pytest.raises(OutputError, match=r"model\.safetensors"):
        set_default_checkpoint(model)
    assert default_checkpoint().read_text() == "somebody's notes"


def test_a_data_folder_that_cannot_be_created_is_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(
        OutputError, match=r"file/tweetprofile/model\.safetensors cannot be written"
    ):
        set_default_checkpoint(model)
