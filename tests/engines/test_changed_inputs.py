"""A run uses only the manifest and the checkpoint that it began with, whatever replaces them."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tweetprofile.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from tweetprofile.cli import main
from tweetprofile.data.manifests.manifest import Manifest
from tweetprofile.errors import ChangedInputError, WorkerError
from tweetprofile.networks import build_network
from tweetprofile.predicting.plan import PredictOptions
from tweetprofile.predicting.run import Progress, predict_manifest

WriteUsers = Callable[..., Path]

USERS = 120


@pytest.fixture
def checkpoint(model: Path, tmp_path: Path) -> Path:
    """A copy of the model, which the test may replace."""
    return Path(shutil.copyfile(model, tmp_path / "model.safetensors"))


@pytest.fixture
def options(checkpoint: Path) -> PredictOptions:
    return PredictOptions(checkpoint, devices="cpu", precision="fp32", users_per_shard=8)


def once(action: Callable[[], object]) -> Callable[[Progress], None]:
    """Return a progress function that does something after the first batch."""
    waiting = [action]

    def on_progress(progress: Progress) -> None:
        if waiting:
            waiting.pop()()

    return on_progress


def train_another(checkpoint: Path) -> None:
    """Replace a checkpoint by another one of the same name, as training does."""
    loaded = load_checkpoint(checkpoint)
    network = build_network(loaded.network_spec, loaded.volume_spec, loaded.schema)
    network.load_state_dict(loaded.state)
    next(network.parameters()).data += 1
    save_checkpoint(checkpoint, network, {})


@pytest.mark.slow
def test_a_worker_that_finds_another_checkpoint_ends_the_run(
    write_users: WriteUsers,
    faulty_library: None,
    checkpoint: Path,
    options: PredictOptions,
    tmp_path: Path,
) -> None:
    manifest = write_users(USERS, {USERS - 4: [b"FAULTYSIGSEGV"]})
    out = tmp_path / "out.parquet"
    kept = Path(shutil.copyfile(checkpoint, tmp_path / "kept.safetensors"))
    with pytest.raises(ChangedInputError, match=r"checkpoint was replaced after the run had begun"):
        predict_manifest(manifest, out, options, once(lambda: train_another(checkpoint)))
    assert not out.exists()

    shutil.copyfile(kept, checkpoint)
    predict_manifest(manifest, out, replace(options, resume=True))
    predict_manifest(manifest, tmp_path / "undisturbed.parquet", options)
    assert_frame_equal(pl.read_parquet(out), pl.read_parquet(tmp_path / "undisturbed.parquet"))


def test_a_run_whose_worker_cannot_be_replaced_ends_and_can_be_resumed(
    write_users: WriteUsers,
    faulty_library: None,
    checkpoint: Path,
    options: PredictOptions,
    tmp_path: Path,
) -> None:
    manifest = write_users(USERS, {USERS - 4: [b"FAULTYSIGSEGV"]})
    out = tmp_path / "out.parquet"
    with pytest.raises(WorkerError, match=r"another cannot be started.*`resume=True`") as caught:
        predict_manifest(manifest, out, options, once(checkpoint.unlink))
    assert caught.value.exit_code == 1
    assert list((tmp_path / "out.parquet.partial" / "shards").iterdir())


@pytest.mark.parametrize(
    "how",
    [
        "in place",
        pytest.param("by another file", marks=pytest.mark.slow),
        pytest.param("in place, with its old time", marks=pytest.mark.slow),
    ],
)
def test_no_row_of_a_rewritten_manifest_is_used(
    write_users: WriteUsers, options: PredictOptions, tmp_path: Path, how: str
) -> None:
    manifest = write_users(USERS, {})
    other = write_users(USERS, {user: [] for user in range(USERS)}, name="other")
    kept = Path(shutil.copyfile(manifest, tmp_path / "kept.parquet"))
    out = tmp_path / "out.parquet"

    def rewrite() -> None:
        if how == "by another file":
            other.replace(manifest)
            return
        times = manifest.stat()
        manifest.write_bytes(other.read_bytes())
        if how == "in place, with its old time":
            os.utime(manifest, ns=(times.st_atime_ns, times.st_mtime_ns))

    with pytest.raises(ChangedInputError, match=r"manifest\.parquet was changed while"):
        predict_manifest(manifest, out, options, once(rewrite))
    finished = list((tmp_path / "out.parquet.partial" / "shards").iterdir())
    assert finished
    assert all((pl.read_parquet(shard)["images_given"] == 5).all() for shard in finished)

    shutil.copyfile(kept, manifest)
    predict_manifest(manifest, out, replace(options, resume=True))
    assert (pl.read_parquet(out)["images_given"] == 5).all()
    assert len(pl.read_parquet(out)) == USERS


def test_a_changed_manifest_gives_exit_code_1_and_one_sentence(
    write_users: WriteUsers,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest = write_users(16, {})
    opened = Manifest.open(manifest)
    manifest.write_bytes(write_users(16, {}, name="other").read_bytes())
    monkeypatch.setattr(Manifest, "open", lambda source: opened)
    code = main(
        ["predict", str(manifest), "-o", str(tmp_path / "out"), "--checkpoint", str(checkpoint),
         "--devices", "cpu", "--quiet"]
    )  # fmt: skip
    assert code == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith(f"tweetprofile: {manifest} was changed while it was being read")


def test_another_machine_may_read_a_copy_of_the_manifest_but_no_other_manifest(
    write_users: WriteUsers, tmp_path: Path
) -> None:
    file = write_users(8, {})
    manifest = Manifest.open(file)
    expected = manifest.fingerprint()
    copied = Path(shutil.copyfile(file, tmp_path / "copy.parquet"))
    copied.replace(file)  # another file number and other times
    assert manifest.reopened(expected).count_users() == 8
    write_users(8, {0: []})
    with pytest.raises(ChangedInputError, match="is not the same here"):
        manifest.reopened(expected)
